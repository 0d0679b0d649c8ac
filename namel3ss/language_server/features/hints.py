"""Inlay hints: the values that hold though nobody wrote them, and the window in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lsprotocol import types

from namel3ss.declarations.provenance import resolve_model
from namel3ss.language import Block, Declaration, Span
from namel3ss.language_server.words import spelled

if TYPE_CHECKING:
    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.features.online import AskServer
    from namel3ss.language_server.workspace import Workspace

__all__ = ["inlay_hints"]

# The defaults that people ask about; all of them would drown the file.
_SHOWN: Final = ("temperature", "num_ctx", "keep_alive", "max_tokens")


def inlay_hints(
    workspace: Workspace, document: Document, within: types.Range, ask: AskServer | None = None
) -> list[types.InlayHint]:
    """The hints in a range: effective defaults behind the opening brace of `config`, the window behind the model.

    `ask` gives what is known of a model's server.
    """
    span = document.lines.span(within)
    program = workspace.program(document)
    found = []
    for piece in document.pieces.all:
        if piece.end < span.start or piece.start > span.end:
            continue
        for declaration in piece.result.tree.declarations():
            name = declaration.name.text if declaration.name is not None else "default"
            model = program.file.models.get(name)
            if declaration.kind != "ai model" or model is None or model.location.source is not piece.source:
                continue
            resolved = resolve_model(program.file, name, workspace.environ, {})
            facts = ask(model) if ask is not None else None
            values = {key: resolved.values[key] for key in _SHOWN if key in resolved.values}
            window = values.get("num_ctx")
            pair = declaration.block.get("model")
            if window is not None and pair is not None and pair.value is not None:
                details = (
                    facts.details.get(known.name) if facts and (known := facts.find(model.model)) else None
                )
                trained = details.context_length if details is not None else None
                text = _window_text(window.value, trained)
                if text:
                    found.append(_hint(document, piece.span(pair.value.span).end, text))
            shown = [
                f"{key}: {spelled(value.value)}"
                for key, value in values.items()
                if value.origin.kind in ("default", "environment", "extends") and value.value is not None
            ]
            at = _place_for_defaults(declaration)
            if shown and at is not None:
                found.append(
                    _hint(
                        document,
                        piece.start + at,
                        ", ".join(shown),
                        "values in force that this declaration does not write",
                    )
                )
    return [hint for hint in found if within.start.line <= hint.position.line <= within.end.line]


def _window_text(window: object, trained: int | None) -> str:
    if isinstance(window, int) and trained is not None:
        return f"window {window:,} of {trained:,} tokens"
    if isinstance(window, int):
        return f"window {window:,} tokens"
    return f"trained for {trained:,} tokens" if trained is not None else ""


def _place_for_defaults(declaration: Declaration) -> int | None:
    pair = declaration.block.get("config")
    block = pair.value if pair is not None and isinstance(pair.value, Block) else declaration.block
    return block.open.end if block.open.start < block.open.end else None


def _hint(document: Document, offset: int, label: str, tooltip: str | None = None) -> types.InlayHint:
    return types.InlayHint(
        position=document.range(Span(offset, offset)).start, label=label, padding_left=True, tooltip=tooltip
    )
