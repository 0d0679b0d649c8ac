"""Code actions and lenses: every fix of every finding, and what may be done about a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lsprotocol import types

from namel3ss.language import Span
from namel3ss.language.fixing import apply_fixes
from namel3ss.language_server.features.diagnostics import as_diagnostic, find_problems
from namel3ss.language_server.features.online import find_online_problems, one_by_one
from namel3ss.language_server.trust import address_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from namel3ss.declarations import ModelDeclaration
    from namel3ss.language import Diagnostic, Fix
    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.features.online import AskServer, OnlineProblem
    from namel3ss.language_server.trust import Trust
    from namel3ss.language_server.workspace import Workspace

__all__ = [
    "ALLOW",
    "CHAT",
    "COMMANDS",
    "PULL",
    "REMOVE",
    "RUN",
    "START",
    "STATUS",
    "ask_server_actions",
    "code_actions",
    "code_lenses",
]

PULL: Final = "namel3ss.pullModel"
START: Final = "namel3ss.startServer"
RUN: Final = "namel3ss.run"
CHAT: Final = "namel3ss.chat"
ALLOW: Final = "namel3ss.allowHost"
REMOVE: Final = "namel3ss.removeModel"
STATUS: Final = "namel3ss.status"
COMMANDS: Final = (PULL, START, RUN, CHAT, ALLOW, REMOVE, STATUS)
_MOST_INSTALLED: Final = 5


def code_actions(
    workspace: Workspace,
    document: Document,
    within: types.Range,
    *,
    ask: AskServer,
    trust: Trust,
    only: Collection[str] | None = None,
) -> list[types.CodeAction]:
    """What can be done about the findings that a range touches, and about the declaration in it."""
    if document.refusals:
        return []
    span = document.lines.span(within)
    found: list[types.CodeAction] = []
    problems = find_problems(workspace, document)
    for problem in problems:
        if _touches(problem.span, span):
            found += _fixes(workspace, document, problem)
    if any(fix.safe for problem in problems for fix in problem.fixes):
        found += _fix_all(document, problems)
    for online in find_online_problems(workspace, document, one_by_one(ask)):
        if _touches(online.span, span):
            found += _about_online(workspace, document, online, ask)
    found += ask_server_actions(workspace, document, span, trust)
    found += _run_actions(workspace, document, span)
    if only:
        found = [each for each in found if each.kind is not None and _is_wanted(each.kind, only)]
    return found


def _is_wanted(kind: str, only: Collection[str]) -> bool:
    return any(kind == wanted or kind.startswith(f"{wanted}.") for wanted in only)


def _touches(span: Span, other: Span) -> bool:
    return span.start <= other.end and other.start <= span.end


def _fixes(workspace: Workspace, document: Document, problem: Diagnostic) -> Iterator[types.CodeAction]:
    for number, fix in enumerate(problem.fixes):
        yield types.CodeAction(
            title=fix.title[:1].upper() + fix.title[1:],
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[as_diagnostic(workspace, document, problem)],
            is_preferred=fix.safe and number == 0,
            edit=_edit(document, fix),
        )


def _edit(document: Document, fix: Fix) -> types.WorkspaceEdit:
    edits = [types.TextEdit(document.range(edit.span), edit.text) for edit in fix.edits]
    return types.WorkspaceEdit(changes={document.uri: edits})


def _fix_all(document: Document, problems: list[Diagnostic]) -> Iterator[types.CodeAction]:
    fixes = [next((fix for fix in problem.fixes if fix.safe), None) for problem in problems]
    fixed = apply_fixes(document.text, [fix for fix in fixes if fix is not None])
    if fixed.fixes > 1:
        yield types.CodeAction(
            title=f"Make all {fixed.fixes} safe fixes of this file",
            kind=types.CodeActionKind.SourceFixAll,
            edit=types.WorkspaceEdit(changes={document.uri: [types.TextEdit(_whole(document), fixed.text)]}),
        )


def _whole(document: Document) -> types.Range:
    return document.range(Span(0, len(document.text)))


# -- models and servers ---------------------------------------------------------------------------------------


def _about_online(
    workspace: Workspace, document: Document, problem: OnlineProblem, ask: AskServer
) -> Iterator[types.CodeAction]:
    model = problem.model
    address = address_of(model, workspace.environ)
    url = address.url if address is not None else None
    diagnostics = [problem.as_diagnostic(document)]
    if problem.code == "model-not-installed":
        yield _command(f"Pull model {model.model}", PULL, [model.provider, model.model, url], diagnostics)
        facts = ask(model)
        for installed in (facts.models if facts is not None else ())[:_MOST_INSTALLED]:
            yield types.CodeAction(
                title=f"Use an installed model: {installed.name}",
                kind=types.CodeActionKind.QuickFix,
                diagnostics=diagnostics,
                edit=types.WorkspaceEdit(
                    changes={document.uri: [types.TextEdit(document.range(problem.span), installed.name)]}
                ),
            )
    elif problem.code == "server-unreachable":
        yield _command(
            "Start Ollama" if model.provider == "ollama" else f"Start the server of {model.provider}",
            START,
            [model.provider, url],
            diagnostics,
        )


def ask_server_actions(
    workspace: Workspace, document: Document, span: Span, trust: Trust
) -> Iterator[types.CodeAction]:
    """For a server that only a click may let us ask: that click."""
    for model, place in _models_of(workspace, document):
        if _touches(place, span):
            address = address_of(model, workspace.environ)
            if address is not None and not trust.may_ask(address):
                yield _command(f"Ask {address.host} about its models", ALLOW, [address.host], None)


def _run_actions(workspace: Workspace, document: Document, span: Span) -> Iterator[types.CodeAction]:
    program = workspace.program(document)
    for prompt in program.file.prompts.values():
        place = program.place(prompt.location)
        if place is not None and place.document is document and _touches(place.span, span):
            yield _command("Run this prompt", RUN, [document.uri, "prompt", prompt.name], None)


def _command(
    title: str, command: str, arguments: list[object], diagnostics: list[types.Diagnostic] | None
) -> types.CodeAction:
    return types.CodeAction(
        title=title,
        kind=types.CodeActionKind.QuickFix if diagnostics else types.CodeActionKind.Empty,
        diagnostics=diagnostics,
        command=types.Command(title, command, arguments=arguments),
    )


def _models_of(workspace: Workspace, document: Document) -> Iterator[tuple[ModelDeclaration, Span]]:
    """The healthy ai models that a document declares, with the places of their names."""
    program = workspace.program(document)
    for model in program.file.models.values():
        place = program.place(model.location)
        if place is not None and place.document is document:
            yield model, place.span


def code_lenses(workspace: Workspace, document: Document, ask: AskServer) -> list[types.CodeLens]:
    """Run, Chat and Pull above the declarations that they are about."""
    if document.refusals:
        return []
    found: list[types.CodeLens] = []
    for model, span in _models_of(workspace, document):
        found.append(_lens(document, span, "Chat", CHAT, [document.uri, model.name]))
        facts = ask(model)
        if facts is not None and facts.is_reachable and facts.find(model.model) is None:
            address = address_of(model, workspace.environ)
            url = address.url if address is not None else None
            found.append(
                _lens(document, span, f"Pull {model.model}", PULL, [model.provider, model.model, url])
            )
    program = workspace.program(document)
    for kind, declared in (("prompt", program.file.prompts), ("chain", program.file.chains)):
        for name, each in declared.items():
            place = program.place(each.location)
            if place is not None and place.document is document:
                found.append(_lens(document, place.span, "Run", RUN, [document.uri, kind, name]))
    return sorted(found, key=lambda lens: (lens.range.start.line, lens.range.start.character))


def _lens(
    document: Document, span: Span, title: str, command: str, arguments: list[object]
) -> types.CodeLens:
    return types.CodeLens(
        range=document.range(span), command=types.Command(title, command, arguments=arguments)
    )
