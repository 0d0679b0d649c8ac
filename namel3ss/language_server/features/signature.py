"""Help while a template's filter is written, and what a prompt takes while a step fills it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lsprotocol import types

from namel3ss.language import Block
from namel3ss.language_server.cursor import find_cursor

if TYPE_CHECKING:
    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.workspace import Workspace

__all__ = ["FILTER_FORMS", "signature_help"]

# Of the filters that take something.
FILTER_FORMS: Final = {
    "default": ("value", "boolean=false"),
    "join": ("separator", "attribute"),
    "replace": ("old", "new", "count"),
    "round": ("digits", "method"),
    "truncate": ("length", "killwords", "end", "leeway"),
    "indent": ("width", "first", "blank"),
    "tojson": ("indent",),
    "sort": ("reverse", "case_sensitive", "attribute"),
    "map": ("filter",),
    "selectattr": ("attribute",),
    "rejectattr": ("attribute",),
}
_FILTER_CALL: Final = re.compile(r"\|\s*(\w+)\(([^()|]*)\Z")


def signature_help(
    workspace: Workspace, document: Document, position: types.Position
) -> types.SignatureHelp | None:
    """What belongs where the cursor stands: the arguments of a filter, or the inputs of the prompt that a step names."""
    offset = document.offset(position)
    cursor = find_cursor(document, offset)
    if cursor.spot == "template":
        line_start = document.text.rfind("\n", 0, offset) + 1
        found = _FILTER_CALL.search(document.text[line_start:offset])
        if found is None or found[1] not in FILTER_FORMS:
            return None
        return _help(found[1], FILTER_FORMS[found[1]], found[2].count(","))
    if cursor.step is None or cursor.path[:1] != ("input",):
        return None
    pair = cursor.step.block.get("prompt")
    name = getattr(pair.value, "value", None) if pair is not None else None
    prompt = workspace.program(document).file.prompts.get(name) if isinstance(name, str) else None
    if prompt is None:
        return None
    fields = tuple(each.name for each in prompt.input.fields)
    given = [each.key.text for each in cursor.block.pairs()] if isinstance(cursor.block, Block) else []
    active = fields.index(cursor.key) if cursor.key in fields else min(len(given), max(len(fields) - 1, 0))
    return _help(prompt.name, fields, active)


def _help(name: str, parameters: tuple[str, ...], active: int) -> types.SignatureHelp:
    return types.SignatureHelp(
        signatures=[
            types.SignatureInformation(
                label=f"{name}({', '.join(parameters)})",
                parameters=[types.ParameterInformation(parameter) for parameter in parameters],
            )
        ],
        active_signature=0,
        active_parameter=min(active, max(len(parameters) - 1, 0)),
    )
