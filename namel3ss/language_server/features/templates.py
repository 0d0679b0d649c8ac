"""What can be known inside of a template: the names that are in scope there, filters, and where a name comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lsprotocol import types

from namel3ss.declarations.template_language import FILTERS
from namel3ss.declarations.template_places import TemplatePlaces, normalised
from namel3ss.language import BareWord, Block, BlockText, Declaration, List, Span, Step, String

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from namel3ss.language import Pair, Source, Value
    from namel3ss.language_server.cursor import Cursor
    from namel3ss.language_server.workspace import Workspace

__all__ = ["TemplateName", "TemplateUse", "names_in_scope", "template_items", "uses_in"]

_TAG: Final = re.compile(r"\{\{(?P<expression>.*?)(?:\}\}|\Z)|\{%(?P<statement>.*?)(?:%\}|\Z)", re.DOTALL)
_STRING: Final = re.compile(r"""'[^']*'|"[^"]*\"""")
_NAME: Final = re.compile(r"(?<![\w.|])(?:input\s*\.\s*)?([A-Za-z_]\w*)")
_WORDS: Final = frozenset(
    [
        "if",
        "else",
        "elif",
        "endif",
        "for",
        "endfor",
        "in",
        "not",
        "and",
        "or",
        "is",
        "set",
        "true",
        "false",
        "none",
        "True",
        "False",
        "None",
        "loop",
        "raw",
        "endraw",
        "input",
    ]
)
_KEYWORDS: Final = ("if", "for", "else", "endif", "endfor", "set")


@dataclass(frozen=True, slots=True)
class TemplateName:
    """A name that templates of a declaration may use: an input, or what a step gives. The span is the piece's."""

    text: str
    span: Span
    is_input: bool
    type: str


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """One place in a template that uses such a name."""

    text: str
    span: Span


def names_in_scope(declaration: Declaration, source: Source) -> list[TemplateName]:
    """The inputs of a prompt or chain, and the outputs of its steps."""
    found = [
        TemplateName(pair.key.text, pair.key.span, True, _written(pair.value, source))
        for pair in _fields(declaration.block, "input")
    ]
    for step in (entry for entry in declaration.block.entries if isinstance(entry, Step)):
        output = step.block.get("output")
        if output is None:
            continue
        if isinstance(output.value, BareWord | String):
            found.append(TemplateName(output.value.value, output.value.span, False, "answer"))
        else:
            found += [
                TemplateName(pair.key.text, pair.key.span, False, _written(pair.value, source))
                for pair in _fields(step.block, "output")
            ]
    return found


def uses_in(declaration: Declaration, source: Source) -> Iterator[TemplateUse]:
    """Every place in the templates of a declaration that uses a name of its scope."""
    known = {name.text for name in names_in_scope(declaration, source)}
    for node in _texts(declaration.block):
        text = normalised(node.value)
        places: TemplatePlaces | None = None
        for tag in _TAG.finditer(text):
            body = _STRING.sub(lambda found: " " * len(found[0]), tag[0])
            for word in _NAME.finditer(body):
                if word[1] in known and word[1] not in _WORDS:
                    places = places or TemplatePlaces(node, source)
                    start = tag.start() + word.start(1)
                    yield TemplateUse(word[1], places.span(start, start + len(word[1])))


def template_items(workspace: Workspace, cursor: Cursor, place: types.Range) -> list[types.CompletionItem]:
    """The completion inside ``{{ … }}``: names, what `input.` has, filters behind a bar, words of statements."""
    del workspace
    declaration = cursor.declaration
    if declaration is None:
        return []
    names = names_in_scope(declaration, cursor.piece.source)
    line_start = cursor.document.text.rfind("\n", 0, cursor.offset) + 1
    before = cursor.document.text[line_start : cursor.start].rstrip()
    if before.endswith("|"):
        return [_item(name, types.CompletionItemKind.Function, "filter", place) for name in FILTERS]
    prefix, dot, _ = cursor.word.rpartition(".")
    if dot:
        inputs = [name for name in names if name.is_input] if prefix == "input" else []
        return [
            _item(f"input.{name.text}", types.CompletionItemKind.Variable, name.type, place)
            for name in inputs
        ]
    found = [_item(name.text, types.CompletionItemKind.Variable, name.type, place) for name in names]
    if any(name.is_input for name in names):
        found.append(_item("input", types.CompletionItemKind.Variable, "all inputs", place))
    if before.endswith("{%"):
        found += [_item(word, types.CompletionItemKind.Keyword, "statement", place) for word in _KEYWORDS]
    return found


def _item(text: str, kind: types.CompletionItemKind, detail: str, place: types.Range) -> types.CompletionItem:
    return types.CompletionItem(
        label=text, kind=kind, detail=detail, filter_text=text, text_edit=types.TextEdit(place, text)
    )


def _fields(block: Block, key: str) -> Iterable[Pair]:
    pair = block.get(key)
    return pair.value.pairs() if pair is not None and isinstance(pair.value, Block) else ()


def _written(value: Value | None, source: Source) -> str:
    return source.text[value.span.start : value.span.end] if value is not None else "str"


def _texts(block: Block) -> Iterator[String | BlockText]:
    for entry in block.entries:
        if isinstance(entry, Step):
            yield from _texts(entry.block)
        elif entry.value is not None:
            yield from _texts_of(entry.value)


def _texts_of(value: Value) -> Iterator[String | BlockText]:
    if isinstance(value, String | BlockText):
        yield value
    elif isinstance(value, Block):
        yield from _texts(value)
    elif isinstance(value, List):
        for item in value.items:
            yield from _texts_of(item)
