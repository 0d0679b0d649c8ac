"""Gathers the facts for the doctor: asks the servers, looks at the disk and the environment. Changes nothing."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from namel3ss._version import __version__
from namel3ss.cli.diagnosis import DiskFacts, Facts, FileFacts, ModelFacts, ServerFacts, Variable
from namel3ss.declarations import EnvironmentValue, read_program
from namel3ss.errors import N3Error, ProgramError
from namel3ss.language import Severity
from namel3ss.language.suggest import closest
from namel3ss.providers.local.ollama import (
    OllamaModelManager,
    OllamaProvider,
    OllamaServerManager,
    display_url,
    find_executable,
    how_to_install,
    is_loopback,
    resolve_address,
)
from namel3ss.runtime import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from namel3ss.declarations import ModelDeclaration, ProgramFile
    from namel3ss.runtime import Program

__all__ = ["examine"]

# What each variable does where it is set; the last group is read by the server alone, when it starts.
_VARIABLES: Final = {
    "NAMEL3SS_OLLAMA_BASE_URL": "the server's address, unless a file gives base_url",
    "OLLAMA_HOST": "the server's address, unless something above says otherwise",
    "OLLAMA_MODELS": "where the server keeps its models",
    "OLLAMA_CONTEXT_LENGTH": "the server's context window",
    "OLLAMA_KEEP_ALIVE": "how long the server keeps a model loaded",
    "OLLAMA_NUM_PARALLEL": "how many requests the server answers at once",
}


async def examine(path: str | None, environ: Mapping[str, str], *, sandbox_url: str | None = None) -> Facts:
    """The facts about a file's servers and models, or about the server that is used without a file."""
    file = read_program(path, environ=environ) if path else None
    unset = sorted(set(_unset_variables(file.models.values(), environ))) if file else []
    if file is None:
        servers = [await _plain_server(environ, sandbox_url)]
    elif file.models:
        async with load(file.path, environ=environ, sandbox_url=sandbox_url) as program:
            servers = await _servers_of(program, environ, is_sandbox=sandbox_url is not None)
    else:
        servers = []
    is_local = sandbox_url is None and any(server.is_local for server in servers)
    return Facts(
        version=__version__,
        python=platform.python_version(),
        program=find_executable(environ),
        how_to_install=how_to_install(),
        servers=tuple(servers),
        file=_file_facts(file) if file else None,
        disk=_disk_facts(environ) if is_local else None,
        variables=tuple(_variables(environ)),
        unset=tuple(unset),
    )


def _file_facts(file: ProgramFile) -> FileFacts:
    warnings = sum(finding.severity is Severity.WARNING for finding in file.diagnostics)
    return FileFacts(file.path, len(file.models), len(file.errors), warnings)


def _unset_variables(models: Iterable[ModelDeclaration], environ: Mapping[str, str]) -> Iterable[str]:
    for model in models:
        for reference in model.references.values():
            if not reference.has_default and reference.find(environ) is None:
                yield reference.names[0]


# -- servers --------------------------------------------------------------------------------------------------


async def _plain_server(environ: Mapping[str, str], sandbox_url: str | None) -> ServerFacts:
    address = resolve_address(sandbox_url, environ=environ)
    async with OllamaServerManager({"base_url": address.url}, environ=environ) as manager:
        health = await manager.health_check(force=True)
    installed = 0
    failure = health.get("error")
    if health["version"] is not None:
        async with OllamaModelManager(address.url) as models:
            try:
                installed = len(await models.list_models())
            except N3Error as error:
                failure = error.message
    return ServerFacts(
        url=address.url,
        origin="--sandbox" if sandbox_url else address.origin,
        version=health["version"],
        response_ms=health["response_time_ms"],
        is_local=is_loopback(address.url),
        installed_count=installed,
        failure=failure,
    )


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
    return [await _file_server(url, users) for url, users in wanted.items()]


async def _file_server(url: str, users: list[tuple[OllamaProvider, str]]) -> ServerFacts:
    models: list[ModelFacts] = []
    for provider, _ in users:
        health = await provider.health_check(force=True)
        names = health["available_models"]
        is_installed = health["model_available"]
        nearest = () if is_installed else tuple(closest(provider.model, names, n=3))
        models.append(
            ModelFacts(provider.name, provider.model, is_installed, provider.auto_pull_model, nearest)
        )
    first, origin = users[0]
    health = await first.health_check()
    server = health["server_health"]
    return ServerFacts(
        url=url,
        origin=origin,
        version=server["version"],
        response_ms=server["response_time_ms"],
        is_local=is_loopback(url),
        installed_count=len(health["available_models"]),
        models=tuple(models),
        failure=server.get("error"),
        may_start=any(provider.auto_start_server for provider, _ in users),
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
            yield Variable(name, display_url(environ[name]), meaning)
