"""What is wrong by what a server said: marked as such, beside what the text alone tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from lsprotocol import types

from namel3ss.language import Span
from namel3ss.language_server.trust import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from namel3ss.declarations import Location, ModelDeclaration
    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.machine import Machine, ServerFacts
    from namel3ss.language_server.programs import CheckedProgram
    from namel3ss.language_server.trust import Address
    from namel3ss.language_server.workspace import Workspace

__all__ = [
    "ONLINE",
    "AskServer",
    "AskServers",
    "OnlineProblem",
    "ServerQuestions",
    "find_online_problems",
    "one_by_one",
]

ONLINE: Final = "namel3ss online"
_WARNING: Final = types.DiagnosticSeverity.Warning
_INFORMATION: Final = types.DiagnosticSeverity.Information


class AskServer(Protocol):
    """Gives what is known of the server of an ai model, without waiting."""

    def __call__(self, model: ModelDeclaration, /) -> ServerFacts | None: ...


class AskServers(Protocol):
    """Gives what is known of the server of each of several ai models, without waiting."""

    def __call__(self, models: Sequence[ModelDeclaration], /) -> Sequence[ServerFacts | None]: ...


class OnlineProblem:
    """One finding. `code` is a word; `model` the ai model that it is about."""

    def __init__(
        self, code: str, message: str, span: Span, model: ModelDeclaration, severity: types.DiagnosticSeverity
    ) -> None:
        self.code = code
        self.message = message
        self.span = span
        self.model = model
        self.severity = severity

    def as_diagnostic(self, document: Document) -> types.Diagnostic:
        return types.Diagnostic(
            range=document.range(self.span),
            message=self.message,
            severity=self.severity,
            code=self.code,
            source=ONLINE,
        )


class ServerQuestions:
    """How features learn what is known of models' servers; servers that must not be asked are not known.

    The address of a declaration is made out once; those of the declarations that `of_all` was asked about last are kept.
    """

    def __init__(self, workspace: Workspace, machine: Machine) -> None:
        self._workspace = workspace
        self._machine = machine
        # By the identity of the declaration, which the entry keeps alive.
        self._addresses: dict[int, tuple[ModelDeclaration, Address | None]] = {}

    def of_one(self, model: ModelDeclaration) -> ServerFacts | None:
        """What is known of the server of a model."""
        address = address_of(model, self._workspace.environ)
        return None if address is None else self._machine.facts(model.provider, address, model.model)

    def of_all(self, models: Sequence[ModelDeclaration]) -> list[ServerFacts | None]:
        """What is known of the server of each model. What several share is asked for once."""
        last, environ = self._addresses, self._workspace.environ
        self._addresses = {
            id(model): last.get(id(model)) or (model, address_of(model, environ)) for model in models
        }
        wanted: dict[tuple[str, str | None], list[str]] = {}
        addresses: dict[tuple[str, str | None], Address] = {}
        servers: list[tuple[str, str | None] | None] = []
        for model, address in self._addresses.values():
            server = None if address is None else (model.provider, address.url)
            servers.append(server)
            if address is not None and server is not None:
                addresses[server] = address
                wanted.setdefault(server, []).append(model.model)
        known = {
            server: self._machine.facts(server[0], address, *wanted[server])
            for server, address in addresses.items()
        }
        return [None if server is None else known[server] for server in servers]


def one_by_one(ask: AskServer) -> AskServers:
    """Asks for each model by itself."""
    return lambda models: [ask(model) for model in models]


def find_online_problems(workspace: Workspace, document: Document, ask: AskServers) -> list[OnlineProblem]:
    """The findings about a document by what its servers said last, in its order."""
    program = workspace.program(document)
    models = program.models_in(document)
    found: list[OnlineProblem] = []
    for model, facts in zip(models, ask(models), strict=True):
        if facts is not None:
            found += _about(program, document, model, facts)
    found.sort(key=lambda problem: (problem.span, problem.code))
    return found


def _about(
    program: CheckedProgram, document: Document, model: ModelDeclaration, facts: ServerFacts
) -> Iterator[OnlineProblem]:
    place = _span(program, document, model.locations.get(("model",)), model)
    if not facts.is_reachable:
        message = f"the server of `{model.name}` cannot be reached: {facts.problem}"
        yield OnlineProblem("server-unreachable", message, place, model, _INFORMATION)
        return
    installed = facts.find(model.model)
    if installed is None:
        message = f"`{model.model}` is not installed on its server"
        yield OnlineProblem("model-not-installed", message, place, model, _WARNING)
        return
    details = facts.details.get(installed.name)
    if details is None:
        return
    settings = {**model.config, **model.deployment_config}
    window = settings.get("num_ctx")
    if isinstance(window, int) and details.context_length is not None and window > details.context_length:
        yield OnlineProblem(
            "window-too-large",
            f"`{model.model}` was trained for {details.context_length:,} tokens; num_ctx asks for {window:,}",
            _span(program, document, model.locations.get(("num_ctx",)), model),
            model,
            _WARNING,
        )
    can = details.capabilities
    if can is None:
        return
    if settings.get("think") not in (None, False) and "thinking" not in can:
        yield OnlineProblem(
            "no-thinking",
            f"`{model.model}` cannot think: it can do {', '.join(can) or 'nothing that it tells'}",
            _span(program, document, model.locations.get(("think",)), model),
            model,
            _WARNING,
        )
    if "completion" not in can and any(
        prompt.model == model.name for prompt in program.file.prompts.values()
    ):
        yield OnlineProblem(
            "no-completion",
            f"`{model.model}` answers no prompts: it can do {', '.join(can) or 'nothing that it tells'}",
            place,
            model,
            _WARNING,
        )


def _span(
    program: CheckedProgram, document: Document, location: Location | None, model: ModelDeclaration
) -> Span:
    """A place in the document; the name of the ai model where the value stands in another file."""
    for each in (location, model.location):
        place = program.place(each) if each is not None else None
        if place is not None and place.document is document:
            return place.span
    return Span(0, 0)
