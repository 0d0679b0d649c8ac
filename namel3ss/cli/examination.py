"""Gathers the facts for the doctor: asks the servers, looks at the disk and the environment. Changes nothing."""

from __future__ import annotations

import asyncio
import platform
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from namel3ss._version import __version__
from namel3ss.cli.diagnosis import DiskFacts, Facts, FileFacts, ModelFacts, ServerFacts, Variable
from namel3ss.cli.exposure import reached_from_outside
from namel3ss.cli.model_server import plain_provider
from namel3ss.declarations import EnvironmentValue, read_program
from namel3ss.errors import ProgramError, UsageError
from namel3ss.language import Severity
from namel3ss.language.suggest import closest
from namel3ss.providers.local.ollama import (
    DEFAULT_OLLAMA_URL,
    OLLAMA_BASE_URL_ENV,
    OllamaProvider,
    OllamaServerManager,
    resolve_address,
)
from namel3ss.runtime import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from namel3ss.declarations import ModelDeclaration, ProgramFile
    from namel3ss.runtime import Program

__all__ = ["examine"]

_ADDRESSES: Final = frozenset({OLLAMA_BASE_URL_ENV, "OLLAMA_HOST"})
# What each variable does where it is set; those below the addresses are read by the server alone, when it starts.
_VARIABLES: Final = {
    OLLAMA_BASE_URL_ENV: "the server's address, unless a file gives base_url",
    "OLLAMA_HOST": "the server's address, unless something above says otherwise",
    "OLLAMA_MODELS": "where the server keeps its models",
    "OLLAMA_CONTEXT_LENGTH": "the server's context window",
    "OLLAMA_KEEP_ALIVE": "how long the server keeps a model loaded",
    "OLLAMA_NUM_PARALLEL": "how many requests the server answers at once",
}


async def examine(
    path: str | None,
    environ: Mapping[str, str],
    *,
    sandbox_url: str | None = None,
    profile: str | None = None,
    root: str | None = None,
) -> Facts:
    """The facts about a file's servers and models, or about the server that is used without a file."""
    file = read_program(path, environ=environ, profile=profile, root=root) if path else None
    if file is None:
        servers = [await _plain_server(environ, sandbox_url)]
    elif file.models:
        async with load(
            file.path, environ=environ, sandbox_url=sandbox_url, profile=profile, root=root
        ) as program:
            servers = await _servers_of(program, environ, is_sandbox=sandbox_url is not None)
    else:
        servers = []
    is_local = sandbox_url is None and any(server.is_local for server in servers)
    here = OllamaServerManager({"base_url": DEFAULT_OLLAMA_URL}, environ=environ)
    return Facts(
        version=__version__,
        python=platform.python_version(),
        program=here.executable,
        how_to_install=here.how_to_install,
        servers=tuple(servers),
        file=_file_facts(file) if file else None,
        elsewhere=tuple(_elsewhere(file)) if file else (),
        disk=_disk_facts(environ) if is_local else None,
        variables=tuple(_variables(environ)),
        unset=tuple(sorted(set(_unset_variables(file.models.values(), environ)))) if file else (),
    )


def _file_facts(file: ProgramFile) -> FileFacts:
    warnings = sum(finding.severity is Severity.WARNING for finding in file.diagnostics)
    return FileFacts(file.path, len(file.models), len(file.errors), warnings)


def _elsewhere(file: ProgramFile) -> Iterable[str]:
    for model in file.models.values():
        if model.provider != "ollama":
            yield f"{model.name} uses {model.model} on {model.provider}"


def _unset_variables(models: Iterable[ModelDeclaration], environ: Mapping[str, str]) -> Iterable[str]:
    for model in models:
        for reference in model.references.values():
            if not reference.has_default and reference.find(environ) is None:
                yield reference.names[0]


# -- servers --------------------------------------------------------------------------------------------------


async def _plain_server(environ: Mapping[str, str], sandbox_url: str | None) -> ServerFacts:
    async with plain_provider(sandbox_url) as provider:
        origin = "--sandbox" if sandbox_url else resolve_address(environ=environ).origin
        return await _server(provider, origin, ())


async def _servers_of(program: Program, environ: Mapping[str, str], *, is_sandbox: bool) -> list[ServerFacts]:
    """Each server once, with the models that the file expects there; a model that cannot be opened is left out."""
    wanted: dict[str, list[tuple[OllamaProvider, str]]] = {}
    for model in program.models.values():
        try:
            provider = model.provider
        except ProgramError:  # a variable is not set, which is a finding of its own
            continue
        if isinstance(provider, OllamaProvider):
            origin = "--sandbox" if is_sandbox else _origin(model.declaration, provider, environ)
            wanted.setdefault(provider.base_url, []).append((provider, origin))
    return [await _file_server(users) for users in wanted.values()]


async def _file_server(users: list[tuple[OllamaProvider, str]]) -> ServerFacts:
    models: list[ModelFacts] = []
    for provider, _ in users:
        health = await provider.health_check()
        is_installed = health["model_available"]
        nearest = () if is_installed else tuple(closest(provider.model, health["available_models"], n=3))
        models.append(
            ModelFacts(provider.name, provider.model, is_installed, provider.auto_pull_model, nearest)
        )
    first, origin = users[0]
    may_start = any(provider.auto_start_server for provider, _ in users)
    return replace(await _server(first, origin, tuple(models)), may_start=may_start)


async def _server(provider: OllamaProvider, origin: str, models: tuple[ModelFacts, ...]) -> ServerFacts:
    await provider.health_check()
    # The second look measures the server alone; the first also loaded what asking it takes.
    health = await provider.health_check(force=True)
    server = health["server_health"]
    is_real = server["version"] is not None and origin != "--sandbox"
    return ServerFacts(
        url=provider.base_url,
        origin=origin,
        version=server["version"],
        response_ms=server["response_time_ms"],
        is_local=OllamaServerManager({"base_url": provider.base_url}).is_local,
        installed_count=len(health["available_models"]),
        models=models,
        failure=server.get("error"),
        outside=await asyncio.to_thread(reached_from_outside, provider.base_url) if is_real else None,
    )


def _origin(declaration: ModelDeclaration, provider: OllamaProvider, environ: Mapping[str, str]) -> str:
    """The rule that gave the address; for one of the file, where it stands there."""
    for key in ("hosts", "base_url"):
        if getattr(provider.config, key) is not None:
            return _place(declaration, key)
    origin = resolve_address(None, provider.config.host, provider.config.port, environ).origin
    key = "host" if provider.config.host is not None else "port"
    return _place(declaration, key) if origin == "host and port" else origin


def _place(declaration: ModelDeclaration, key: str) -> str:
    location = declaration.locations.get((key,))
    reference = declaration.references.get((key,))
    by_way_of = f", {reference}" if isinstance(reference, EnvironmentValue) else ""
    return f"{key} at {location}{by_way_of}" if location else key


# -- this machine ---------------------------------------------------------------------------------------------


def _disk_facts(environ: Mapping[str, str]) -> DiskFacts | None:
    folder = Path(environ.get("OLLAMA_MODELS") or Path.home() / ".ollama" / "models")
    for existing in (folder, *folder.parents):
        try:
            return DiskFacts(str(folder), shutil.disk_usage(existing).free)
        except OSError:
            continue
    return None


def _variables(environ: Mapping[str, str]) -> Iterable[Variable]:
    for name, meaning in _VARIABLES.items():
        if environ.get(name):
            yield Variable(name, _shown(name, environ[name]), meaning)


def _shown(name: str, value: str) -> str:
    """The value; of an address what it was understood as, without a password that may be in it."""
    if name not in _ADDRESSES:
        return value
    try:
        return resolve_address(environ={name: value}).url
    except UsageError as error:
        return f"unusable: {error.message}"
