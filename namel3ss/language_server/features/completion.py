"""Completion: what may be written where the cursor stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lsprotocol import types

from namel3ss.language_server.cursor import Cursor, find_cursor, span_of
from namel3ss.language_server.features.templates import template_items
from namel3ss.language_server.names import documents_of_program, has_letters, sites_of
from namel3ss.language_server.schema import (
    TYPES,
    KeyInfo,
    choices_of,
    config_model_of,
    key_infos,
    provider_of,
    settings_model_at,
)
from namel3ss.language_server.words import gigabytes, setting_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.machine import ServerFacts
    from namel3ss.language_server.names import NameKind
    from namel3ss.language_server.workspace import Workspace

__all__ = ["complete"]

_SNIPPETS: Final = (
    ("ai model", "A model on a provider", "ai model ${1:name} {\n    provider: ${2:ollama}\n    model: ${3:llama3:8b}\n}"),
    ("prompt", "A question with inputs", "prompt ${1:name} {\n    input: { ${2:text}: str }\n    template: |\n        ${3:Summarise this:} {{ ${2:text} }}\n}"),
    ("chain", "Steps over models and prompts", 'chain ${1:name} {\n    input: { ${2:text}: str }\n    step ${3:first} {\n        prompt: "${4:Shorten this:} {{ input.${2:text} }}"\n        output: ${5:short}\n    }\n}'),
    ("import", "Another file of the program", 'import "./${1:models}.ai"'),
    ("server", "A server of the gateway", "server ${1:name} {\n    $0\n}"),
    ("gateway", "Many users in front of the servers", "gateway ${1:name} {\n    $0\n}"),
)  # fmt: skip
_STEP: Final = (
    "step",
    "One step of the chain",
    'step ${1:name} {\n    prompt: "$2"\n    output: ${3:answer}\n}',
)
_MOST_NAMES: Final = 100  # more are found by typing on
_MODEL_NAMES: Final = frozenset({"extends"})


def complete(
    workspace: Workspace,
    document: Document,
    position: types.Position,
    facts: ServerFacts | None = None,
    *,
    snippets: bool = True,
) -> types.CompletionList:
    """What fits at a position. `facts` are those of the server of the declaration around it, where any are known.

    The list is marked incomplete where a server has not answered yet, so that the editor asks again.
    """
    if document.refusals:
        return types.CompletionList(is_incomplete=False, items=[])
    cursor = find_cursor(document, document.offset(position))
    completing = _Completing(workspace, cursor, facts, snippets)
    items = completing.items()
    waits = cursor.spot == "value" and cursor.key == "model" and facts is None and _is_model(cursor)
    return types.CompletionList(is_incomplete=waits or completing.is_cut, items=items)


def _is_model(cursor: Cursor) -> bool:
    return cursor.declaration is not None and cursor.declaration.kind == "ai model" and not cursor.path


class _Completing:
    def __init__(
        self,
        workspace: Workspace,
        cursor: Cursor,
        facts: ServerFacts | None,
        snippets: bool,
    ) -> None:
        self._workspace = workspace
        self._cursor = cursor
        self._facts = facts
        self._snippets = snippets
        self.is_cut = False  # there is more than is offered
        self._range = cursor.document.range(span_of(cursor))

    def items(self) -> list[types.CompletionItem]:
        cursor = self._cursor
        match cursor.spot:
            case "top":
                return [self._snippet(*each) for each in _SNIPPETS]
            case "key":
                return list(self._keys())
            case "value":
                return list(self._values())
            case "template":
                return template_items(self._workspace, cursor, self._range)
            case _:
                return []

    # -- keys -------------------------------------------------------------------------------------------------

    def _keys(self) -> Iterable[types.CompletionItem]:
        cursor = self._cursor
        program = self._workspace.program(cursor.document)
        config_model = config_model_of(self._workspace.registry, provider_of(cursor, program))
        present = {pair.key.text for pair in cursor.block.pairs()} if cursor.block is not None else set()
        for order, key in enumerate(key_infos(cursor, config_model)):
            if key.name not in present or key.name == cursor.word:
                yield self._key(key, order)
        if cursor.declaration is not None and cursor.declaration.kind == "chain" and cursor.step is None:
            yield self._snippet(*_STEP)

    def _key(self, key: KeyInfo, order: int) -> types.CompletionItem:
        colon = "" if self._colon_follows() else ": "
        text = f"{key.name}{colon}"
        if colon and self._snippets and key.opens == "block":
            text = f"{key.name}: {{ $0 }}"
        elif colon and self._snippets and key.opens == "text":
            text = f"{key.name}: |\n    $0"
        return types.CompletionItem(
            label=key.name,
            kind=types.CompletionItemKind.Property,
            detail=key.form or None,
            documentation=_markdown(setting_text(key.info) if key.info is not None else key.documentation),
            sort_text=f"{0 if key.is_usual else 1}{order:03}",
            text_edit=types.TextEdit(self._range, text),
            insert_text_format=types.InsertTextFormat.Snippet
            if "$0" in text
            else types.InsertTextFormat.PlainText,
            command=types.Command("Suggest values", "editor.action.triggerSuggest")
            if text.endswith(": ")
            else None,
        )

    def _colon_follows(self) -> bool:
        rest = self._cursor.document.text[self._cursor.offset :].split("\n", 1)[0]
        return rest.lstrip(" \t").startswith(":")

    # -- values -----------------------------------------------------------------------------------------------

    def _values(self) -> Iterable[types.CompletionItem]:
        cursor = self._cursor
        kind = cursor.declaration.kind if cursor.declaration is not None else ""
        if cursor.word.startswith("env."):
            yield from self._variables()
            return
        if kind == "ai model" and (not cursor.path or cursor.path == ("fallback",)):
            yield from self._model_values()
        elif cursor.path[-1:] in (("input",), ("output",)) or cursor.key == "output":
            yield from self._words(TYPES, types.CompletionItemKind.TypeParameter)
        elif kind in ("prompt", "chain", "server", "gateway"):
            yield from self._part_values(kind)
        program = self._workspace.program(cursor.document)
        config_model = config_model_of(self._workspace.registry, provider_of(cursor, program))
        settings = settings_model_at(cursor, config_model)
        if settings is not None:
            yield from self._words(choices_of(settings, cursor.key), types.CompletionItemKind.EnumMember)
        if settings is not None or cursor.path[:1] in (("config",), ("deployment_config",)):
            yield from self._variables()

    def _model_values(self) -> Iterable[types.CompletionItem]:
        cursor = self._cursor
        if cursor.key == "provider":
            yield from self._words(self._workspace.registry.names(), types.CompletionItemKind.Module)
        elif cursor.key in _MODEL_NAMES or cursor.key == "fallback" or cursor.path:
            yield from self._names("ai model")
        elif cursor.key == "model":
            yield from self._models()

    def _part_values(self, kind: str) -> Iterable[types.CompletionItem]:
        cursor = self._cursor
        if cursor.key in ("model", "models", "fallback"):
            yield from self._names("ai model")
        elif kind == "gateway" and cursor.key == "servers":
            yield from self._names("server")
        elif kind == "chain" and cursor.key == "prompt":
            yield from self._names("prompt")

    def _models(self) -> Iterable[types.CompletionItem]:
        facts = self._facts
        for order, model in enumerate(facts.models if facts is not None else ()):
            details = [
                gigabytes(model.size_bytes) if model.size_bytes is not None else "",
                model.parameters or "",
                model.quantization or "",
                "loaded" if model.is_loaded else "installed",
            ]
            yield self._value(
                model.name,
                types.CompletionItemKind.Value,
                detail=" · ".join(filter(None, details)),
                sort_text=f"0{order:03}",
            )
        for order, name in enumerate(facts.suggestions if facts is not None else ()):
            yield self._value(
                name, types.CompletionItemKind.Value, detail="not installed", sort_text=f"1{order:03}"
            )

    def _names(self, kind: NameKind) -> Iterable[types.CompletionItem]:
        own = self._cursor.declaration
        own_name = own.name.text if own is not None and own.name is not None else None
        names = {
            site.name.text
            for document in documents_of_program(self._workspace, self._cursor.document)
            for site, _ in sites_of(document)
            if site.is_declaration and site.name.kind == kind
        }
        if own is not None and own.kind == kind:
            names.discard(own_name or "default")
        fitting = sorted(name for name in names if has_letters(name, self._cursor.word))
        self.is_cut = self.is_cut or len(fitting) > _MOST_NAMES
        for name in fitting[:_MOST_NAMES]:
            yield self._value(name, types.CompletionItemKind.Reference, detail=kind)

    def _variables(self) -> Iterable[types.CompletionItem]:
        """The names of variables that are set; what they say is nobody's business."""
        for name in sorted(self._workspace.environ):
            if name.isidentifier():
                yield self._value(
                    f"env.{name}", types.CompletionItemKind.Variable, detail="set", sort_text=f"9{name}"
                )

    def _words(self, words: Iterable[str], kind: types.CompletionItemKind) -> Iterable[types.CompletionItem]:
        for order, word in enumerate(words):
            yield self._value(word, kind, sort_text=f"0{order:03}")

    def _value(
        self,
        text: str,
        kind: types.CompletionItemKind,
        *,
        detail: str | None = None,
        sort_text: str | None = None,
    ) -> types.CompletionItem:
        return types.CompletionItem(
            label=text,
            kind=kind,
            detail=detail,
            sort_text=sort_text,
            text_edit=types.TextEdit(self._range, text),
        )

    def _snippet(self, label: str, detail: str, text: str) -> types.CompletionItem:
        return types.CompletionItem(
            label=label,
            kind=types.CompletionItemKind.Snippet if self._snippets else types.CompletionItemKind.Keyword,
            detail=detail,
            sort_text=f"0{label}",
            filter_text=label,
            text_edit=types.TextEdit(self._range, text if self._snippets else label),
            insert_text_format=types.InsertTextFormat.Snippet
            if self._snippets
            else types.InsertTextFormat.PlainText,
        )


def _markdown(text: str) -> types.MarkupContent | None:
    return types.MarkupContent(types.MarkupKind.Markdown, text) if text else None
