"""What the doctor says, as data: facts go in, findings come out. Pure; `commands/doctor.py` gathers and prints.

A model can run when its server answers (or may be started), and has the model (or may pull it). The doctor exits
with what `run` would exit with: the code of the first problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

from namel3ss.cli.exit_codes import ExitCode
from namel3ss.cli.exposure import how_to_hide
from namel3ss.cli.formats import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "DiskFacts",
    "Facts",
    "FileFacts",
    "Finding",
    "ModelFacts",
    "ServerFacts",
    "Variable",
    "diagnose",
    "verdict",
]

Level: TypeAlias = Literal["ok", "info", "warning", "problem"]

# Less than any usual model takes.
_SCARCE_BYTES = 5 * 10**9


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model that somebody wants: what the file calls it, what the server calls it, what may be done for it."""

    name: str
    model: str
    is_installed: bool
    may_pull: bool
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One server. `origin` is the rule that gave the address; `version` is None where nothing usable answered.

    `outside` is an address at which a server of this machine answers others as well.
    """

    url: str
    origin: str
    version: str | None
    response_ms: float
    is_local: bool
    installed_count: int = 0
    models: tuple[ModelFacts, ...] = ()
    failure: str | None = None
    may_start: bool = False
    outside: str | None = None


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The `.ai` file that was examined."""

    path: str
    models: int
    errors: int
    warnings: int


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The disk that holds the models of a local server."""

    path: str
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable in force; the value of a secret one is never part of it."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was found out. `program` is where the `ollama` program is, None where there is none.

    `unset` are variables that the file needs; `elsewhere` are models on providers that the doctor knows nothing of.
    """

    version: str
    python: str
    program: str | None
    how_to_install: str
    servers: tuple[ServerFacts, ...]
    file: FileFacts | None = None
    disk: DiskFacts | None = None
    variables: tuple[Variable, ...] = ()
    unset: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor. A problem keeps models from running; `code` is what `run` would then exit with.

    `next_step` may have several lines.
    """

    level: Level
    subject: str
    text: str
    next_step: str | None = None
    code: ExitCode = ExitCode.OK


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """Everything there is to say, in the order in which things depend on each other."""
    return (
        Finding("ok", "namel3ss", f"{facts.version} on Python {facts.python}"),
        *_file(facts),
        *_variables(facts),
        *_program(facts),
        *(finding for server in facts.servers for finding in _server(server, facts)),
        *_elsewhere(facts),
        *_disk(facts),
    )


def verdict(findings: Sequence[Finding]) -> ExitCode:
    """Whether a model could run: OK, or the code of the first problem."""
    return next((finding.code for finding in findings if finding.level == "problem"), ExitCode.OK)


def _file(facts: Facts) -> Iterator[Finding]:
    file = facts.file
    if file is None:
        return
    if file.errors:
        some = f"{file.errors} error{'s' if file.errors != 1 else ''}"
        step = f"See them: namel3ss check {file.path}"
        if file.models:
            yield Finding(
                "warning", "file", f"{file.path} has {some}; {_count(file.models)} can be used", step
            )
        else:
            yield Finding("problem", "file", f"{file.path} has {some}", step, ExitCode.PROGRAM)
    elif not file.models:
        step = "Add: ai model NAME { provider: ollama  model: llama3.2:1b }"
        yield Finding("problem", "file", f"{file.path} declares no model", step, ExitCode.PROGRAM)
    else:
        yield Finding("ok", "file", f"{file.path} declares {_count(file.models)}")


def _variables(facts: Facts) -> Iterator[Finding]:
    for variable in facts.variables:
        yield Finding("info", "environment", f"{variable.name}={variable.value} ({variable.meaning})")
    for name in facts.unset:
        text = f"{name} is not set, and the file gives no default"
        yield Finding("problem", "environment", text, f"Set it: export {name}=…", ExitCode.PROGRAM)


def _program(facts: Facts) -> Iterator[Finding]:
    if facts.program is not None:
        yield Finding("ok", "program", f"ollama is {facts.program}")
    elif any(server.is_local for server in facts.servers):
        is_needed = any(server.is_local and server.version is None for server in facts.servers)
        level: Level = "warning" if is_needed else "info"
        yield Finding(level, "program", "the ollama program was not found on this machine")


def _server(server: ServerFacts, facts: Facts) -> Iterator[Finding]:
    address = f"{server.url} (from {server.origin})"
    if server.version is not None:
        text = f"Ollama {server.version} answers at {address} in {server.response_ms:.0f} ms"
        yield Finding("ok", "server", text)
        if server.outside is not None:
            text = f"it also answers at {server.outside}, where other machines may ask it, and it asks nobody for a key"
            yield Finding("warning", "server", text, how_to_hide(urlsplit(server.url).port))
        yield from _models(server)
    elif server.may_start and server.is_local and facts.program is not None:
        yield Finding(
            "warning", "server", f"nothing answers at {address}", "It is started when it is needed."
        )
    else:
        failure = server.failure or "nothing answers there"
        yield Finding(
            "problem", "server", f"{address}: {failure}", _how_to_start(server, facts), ExitCode.SERVER
        )


def _how_to_start(server: ServerFacts, facts: Facts) -> str:
    if not server.is_local:
        return "Look whether the server runs and its address is right."
    if facts.program is None:
        return f"{facts.how_to_install}\nOr try without a server: --sandbox"
    return "Start it: namel3ss server start"


def _models(server: ServerFacts) -> Iterator[Finding]:
    if not server.models:
        if server.installed_count:
            yield Finding("ok", "models", f"{_count(server.installed_count)} installed")
        else:
            step = f"Get one: namel3ss models pull llama3.2:1b --base-url {server.url}"
            yield Finding("problem", "models", "no model is installed", step, ExitCode.MODEL)
    for model in server.models:
        if model.is_installed:
            yield Finding("ok", "models", f"{model.name} uses {model.model}, which is installed")
        elif model.may_pull:
            text = f"{model.name} uses {model.model}, which is pulled when it is first used"
            yield Finding("warning", "models", text, f"Pull it now: {_pull(model, server)}")
        else:
            near = f"\nSimilar: {', '.join(model.nearest)}." if model.nearest else ""
            text = f"{model.name} uses {model.model}, which is not installed"
            yield Finding("problem", "models", text, f"Run: {_pull(model, server)}{near}", ExitCode.MODEL)


def _pull(model: ModelFacts, server: ServerFacts) -> str:
    return f"namel3ss models pull {model.model} --base-url {server.url}"


def _elsewhere(facts: Facts) -> Iterator[Finding]:
    for model in facts.elsewhere:
        yield Finding("info", "models", f"{model}, which is not examined")


def _disk(facts: Facts) -> Iterator[Finding]:
    disk = facts.disk
    if disk is None:
        return
    text = f"{format_bytes(disk.free_bytes)} free in {disk.path}, where models are kept"
    if disk.free_bytes < _SCARCE_BYTES:
        yield Finding("warning", "disk", text, "Make room before pulling: namel3ss models rm NAME")
    else:
        yield Finding("ok", "disk", text)


def _count(models: int) -> str:
    return f"{models} model{'s' if models != 1 else ''}"
