"""Hover: what a key, a value or a name is, and where the value in force comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from namel3ss.declarations.provenance import resolve_model
from namel3ss.language_server.cursor import find_cursor
from namel3ss.language_server.features.templates import names_in_scope, uses_in
from namel3ss.language_server.names import definitions, name_at
from namel3ss.language_server.schema import config_model_of, key_infos, provider_of
from namel3ss.language_server.words import came_from, gigabytes, setting_text

if TYPE_CHECKING:
    from namel3ss.language import Pair, Span
    from namel3ss.language_server.cursor import Cursor
    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.machine import ServerFacts
    from namel3ss.language_server.names import NameSite
    from namel3ss.language_server.workspace import Workspace

__all__ = ["hover"]


def hover(
    workspace: Workspace, document: Document, position: types.Position, facts: ServerFacts | None = None
) -> types.Hover | None:
    """What stands at a position. `facts` are those of the server of the declaration around it."""
    if document.refusals:
        return None
    offset = document.offset(position)
    named = name_at(document, offset)
    if named is not None:
        return _shown(document, named[1], _of_name(workspace, document, named[0]))
    cursor = find_cursor(document, offset)
    if cursor.declaration is None:
        return None
    inner = offset - cursor.piece.start
    for use in uses_in(cursor.declaration, cursor.piece.source):
        if use.span.start <= inner <= use.span.end:
            return _shown(document, cursor.piece.span(use.span), _of_template_name(cursor, use.text))
    pair = cursor.pair
    if pair is None:
        return None
    if pair.key.span.start <= inner <= pair.key.span.end:
        return _shown(document, cursor.piece.span(pair.key.span), _of_key(workspace, cursor, pair))
    if (
        pair.value is not None
        and pair.key.text == "model"
        and not cursor.path
        and cursor.declaration.kind == "ai model"
        and isinstance(model := getattr(pair.value, "value", None), str)
    ):
        return _shown(document, cursor.piece.span(pair.value.span), _of_model(model, facts))
    return None


def _shown(document: Document, span: Span, text: str) -> types.Hover | None:
    if not text:
        return None
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), document.range(span))


def _of_key(workspace: Workspace, cursor: Cursor, pair: Pair) -> str:
    program = workspace.program(cursor.document)
    config_model = config_model_of(workspace.registry, provider_of(cursor, program))
    key = next((each for each in key_infos(cursor, config_model) if each.name == pair.key.text), None)
    if key is None:
        return ""
    texts = [f"**{key.name}**", setting_text(key.info) if key.info is not None else key.documentation]
    declaration = cursor.declaration
    name = declaration.name.text if declaration is not None and declaration.name is not None else "default"
    if declaration is not None and declaration.kind == "ai model" and name in program.file.models:
        resolved = resolve_model(program.file, name, workspace.environ, {})
        value = resolved.values.get(key.name)
        if value is not None and (key.info is None or not key.info.secret):
            texts.append(came_from(value, program))
    return "\n\n".join(filter(None, texts))


def _of_name(workspace: Workspace, document: Document, site: NameSite) -> str:
    found = next(definitions(workspace, document, site.name), None)
    texts = [f"**{site.name.kind}** `{site.name.text}`"]
    program = workspace.program(document)
    match site.name.kind:
        case "ai model" if (model := program.file.models.get(site.name.text)) is not None:
            texts.append(f"`{model.model}` on {model.provider}")
            texts += [model.description] if model.description else []
        case "prompt" if (prompt := program.file.prompts.get(site.name.text)) is not None:
            texts.append(f"inputs: {', '.join(each.name for each in prompt.input.fields) or 'none'}")
            texts += [prompt.description] if prompt.description else []
        case "chain" if (chain := program.file.chains.get(site.name.text)) is not None:
            texts.append(f"steps: {', '.join(step.name for step in chain.steps)}")
            texts += [chain.description] if chain.description else []
    if found is not None and found.document is not document:
        texts.append(f"in `{found.document.path.rpartition('/')[2]}`")
    return "\n\n".join(texts)


def _of_template_name(cursor: Cursor, text: str) -> str:
    assert cursor.declaration is not None
    found = [name for name in names_in_scope(cursor.declaration, cursor.piece.source) if name.text == text]
    lines = [
        f"`{name.text}`: {name.type}" + (" (input)" if name.is_input else " (what a step gives)")
        for name in found
    ]
    return "\n\n".join(lines)


def _of_model(name: str, facts: ServerFacts | None) -> str:
    texts = [f"**{name}**"]
    if facts is None:
        return "\n\n".join([*texts, "Nothing is known of its server yet."])
    if not facts.is_reachable:
        return "\n\n".join([*texts, f"Its server cannot be reached: {facts.problem}"])
    model = facts.find(name)
    if model is None:
        return "\n\n".join([*texts, "not installed"])
    words = [
        gigabytes(model.size_bytes) if model.size_bytes is not None else "",
        f"{model.parameters} parameters" if model.parameters else "",
        model.quantization or "",
        "loaded" if model.is_loaded else "installed, not loaded",
    ]
    texts.append(" · ".join(filter(None, words)))
    details = facts.details.get(model.name)
    if details is not None and details.context_length is not None:
        texts.append(f"context: trained for {details.context_length:,} tokens")
    capabilities = (details.capabilities if details is not None else None) or model.capabilities
    if capabilities:
        texts.append(f"can do: {', '.join(capabilities)}")
    return "\n\n".join(texts)
