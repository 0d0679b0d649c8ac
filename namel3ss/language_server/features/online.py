"""What is wrong by what a server said: marked as such, beside what the text alone tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from lsprotocol import types

from namel3ss.language import Span
from namel3ss.language_server.trust import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.declarations import Location, ModelDeclaration
    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.machine import Machine, ServerFacts
    from namel3ss.language_server.programs import CheckedProgram
    from namel3ss.language_server.workspace import Workspace

__all__ = ["ONLINE", "AskServer", "OnlineProblem", "ask_about", "find_online_problems"]

ONLINE: Final = "namel3ss online"
_WARNING: Final = types.DiagnosticSeverity.Warning
_INFORMATION: Final = types.DiagnosticSeverity.Information


class AskServer(Protocol):
    """Gives what is known of the server of an ai model, without waiting."""

    def __call__(self, model: ModelDeclaration, /) -> ServerFacts | None: ...


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


def ask_about(workspace: Workspace, machine: Machine) -> AskServer:
    """How features learn what is known of a model's server; servers that must not be asked are not known."""

    def ask(model: ModelDeclaration) -> ServerFacts | None:
        address = address_of(model, workspace.environ)
        return None if address is None else machine.facts(model.provider, address, model.model)

    return ask


def find_online_problems(workspace: Workspace, document: Document, ask: AskServer) -> list[OnlineProblem]:
    """The findings about a document by what its servers said last, in its order."""
    program = workspace.program(document)
    found: list[OnlineProblem] = []
    for model in program.file.models.values():
        place = program.place(model.location)
        if place is None or place.document is not document or model.location.source.text == "":
            continue
        facts = ask(model)
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
