"""Hover, symbols, folds, selections, links, tokens, hints, signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lsprotocol import types

from namel3ss.language_server.features import coloring, hints, outline
from namel3ss.language_server.features.hover import hover
from namel3ss.language_server.features.signature import signature_help
from tests.language_server.files import FACTS, at, make_workspace, opened, spelled

if TYPE_CHECKING:
    from pathlib import Path

    from namel3ss.language_server.documents import Document

PROGRAM = """\
# models
# of this team
ai model base {
    provider: ollama
    config: { num_ctx: 4096 }
}

ai model chat {
    extends: base
    model: llama3:8b
    config: {
        temperature: 0.2
    }
}

prompt ask {
    model: chat
    input: { text: str }
    template: |
        Answer: {{ text }}
        In one line.
}

chain talk {
    input: { text: str }
    step first { prompt: ask  input: { text: "{{ input.text }}" }  output: answer }
    step second { model: chat  prompt: "More of {{ answer }}"  output: more }
}
"""


def hovered(marked: str) -> str:
    before, _, after = marked.partition("¦")
    text = PROGRAM.replace(before + after, marked, 1)
    workspace, document = opened(text, make_workspace(environ={"SECRET": "s3cret"}))
    found = hover(workspace, document, at(document, text), FACTS)
    if found is None:
        return ""
    assert isinstance(found.contents, types.MarkupContent)
    return found.contents.value


def whole(document: Document) -> types.Range:
    return types.Range(types.Position(0, 0), document.lines.position(len(document.text)))


@pytest.mark.parametrize(
    ("marked", "parts"),
    [
        ("tempe¦rature: 0.2", ["a number from 0 to 2", "in force: `0.2`, written here"]),
        ("num_c¦tx: 4096", ["tokens"]),
        ("extends: ba¦se", ["ai model", "`base`"]),
        ("model: llam¦a3:8b", ["4.7 GB", "8B parameters", "Q4_0", "loaded", "8,192 tokens", "tools"]),
        ("prompt as¦k", ["prompt", "inputs: text"]),
        ("prompt: as¦k", ["prompt", "inputs: text"]),
        ("chain ta¦lk", ["steps: first, second"]),
        ("Answer: {{ te¦xt }}", ["`text`: str", "input"]),
        ("More of {{ ans¦wer }}", ["`answer`", "step"]),
        ("temp¦late: |", ["template"]),
    ],
)
def test_hover_tells_what_stands_there(marked: str, parts: list[str]) -> None:
    found = hovered(marked)

    assert [part for part in parts if part not in found] == [], found


def test_hover_never_shows_a_secret() -> None:
    text = "ai model a {\n    provider: ollama\n    model: tiny\n    config: { api_k¦ey: env.SECRET }\n}\n"
    workspace, document = opened(text, make_workspace(environ={"SECRET": "s3cret-value"}))

    found = hover(workspace, document, at(document, text))

    assert found is not None
    assert "s3cret-value" not in repr(found)


def test_symbols_are_declarations_with_their_keys_and_steps() -> None:
    _, document = opened(PROGRAM)

    found = outline.document_symbols(document)

    assert [(each.name, each.detail) for each in found] == [
        ("base", "ai model"),
        ("chat", "ai model"),
        ("ask", "prompt"),
        ("talk", "chain"),
    ]
    assert [child.name for child in found[3].children or ()] == ["input", "first", "second"]
    for each in found:
        assert each.range.start <= each.selection_range.start
        assert each.selection_range.end <= each.range.end


def test_declarations_blocks_texts_and_comments_fold() -> None:
    _, document = opened(PROGRAM)

    found = {(fold.start_line, fold.end_line, fold.kind) for fold in outline.folding_ranges(document)}

    assert (0, 1, types.FoldingRangeKind.Comment) in found
    assert (7, 12, None) in found  # ai model chat, without its closing brace
    assert (10, 11, None) in found  # config
    assert (18, 20, None) in found  # the template


def test_a_selection_grows_from_the_value_to_the_file() -> None:
    text = PROGRAM.replace("temperature: 0.2", "temperature: 0¦.2")
    _, document = opened(text)

    (found,) = outline.selection_ranges(document, [at(document, text)])

    spans: list[str] = []
    current: types.SelectionRange | None = found
    while current is not None:
        spans.append(spelled(document, current.range))
        current = current.parent
    assert spans[:2] == ["0.2", "temperature: 0.2"]
    assert spans[-2].startswith("ai model chat")
    assert spans[-1] == document.text


def test_imports_that_exist_are_links(tmp_path: Path) -> None:
    (tmp_path / "models.ai").write_text("")
    text = 'import "./models.ai"\nimport "./missing.ai"\n'
    workspace, document = opened(text, make_workspace(tmp_path), (tmp_path / "app.ai").as_uri())

    found = outline.document_links(workspace, document)

    assert [(spelled(document, link.range), link.target) for link in found] == [
        ("./models.ai", (tmp_path / "models.ai").as_uri())
    ]


def decoded(document: Document, data: list[int]) -> list[tuple[str, str]]:
    found, line, column = [], 0, 0
    for at_ in range(0, len(data), 5):
        down, right, length, kind, _ = data[at_ : at_ + 5]
        line, column = line + down, right if down else column + right
        place = types.Range(types.Position(line, column), types.Position(line, column + length))
        found.append((spelled(document, place), coloring.LEGEND.token_types[kind]))
    return found


def test_tokens_say_what_a_word_is() -> None:
    _, document = opened(PROGRAM)

    found = decoded(document, coloring.semantic_tokens(document))

    assert found[:6] == [
        ("# models", "comment"),
        ("# of this team", "comment"),
        ("ai model", "keyword"),
        ("base", "class"),
        ("provider", "property"),
        ("ollama", "string"),
    ]
    assert ("4096", "number") in found
    assert ("ask", "function") in found
    assert ("answer", "variable") in found


def test_a_template_leaves_all_but_its_text_and_its_names_to_the_grammar() -> None:
    _, document = opened(
        "prompt ask {\n"
        "    model: chat\n"
        '    input: { text: str, mood: "good" | "bad", many: list[str] }\n'
        "    output: { label: str }\n"
        "    template: |\n"
        "        {# only a remark on text #}\n"
        "        {% if mood == 'good' %}Say {{ text | upper }}!{% endif %}\n"
        "}\n"
    )

    found = decoded(document, coloring.semantic_tokens(document))

    assert found[found.index(("template", "property")) + 1 :] == [
        ("mood", "variable"),
        ("Say ", "string"),
        ("text", "variable"),
        ("!", "string"),
    ]
    assert [word for word, kind in found if kind == "type"] == ["str", '"good" | "bad"', "list[str]", "str"]


def test_inputs_of_a_step_are_texts_and_no_types() -> None:
    _, document = opened(PROGRAM)

    found = decoded(document, coloring.semantic_tokens(document))

    assert [word for word, kind in found if kind == "type"] == ["str", "str"]
    assert ("More of ", "string") not in found
    assert ('"More of ', "string") in found


def test_tokens_of_a_text_with_emoji_count_the_clients_units() -> None:
    _, document = opened('ai model a {\n    description: "😀 b"  # 😀\n    provider: ollama\n}\n')

    found = decoded(document, coloring.semantic_tokens(document))

    assert ('"😀 b"', "string") in found
    assert ("# 😀", "comment") in found


def test_a_delta_makes_the_new_tokens_of_the_old_ones() -> None:
    workspace, document = opened(PROGRAM)
    before = coloring.semantic_tokens(document)
    _, document = opened(PROGRAM.replace("num_ctx: 4096", "num_ctx: 4096  # more"), workspace)
    after = coloring.semantic_tokens(document)

    edits = coloring.delta(before, after)

    made = list(before)
    for edit in edits:
        made[edit.start : edit.start + edit.delete_count] = list(edit.data or [])
    assert made == after
    assert coloring.delta(after, after) == []
    assert len(edits) == 1
    assert len(edits[0].data or []) < len(after)


def test_tokens_of_a_range_are_those_that_touch_it() -> None:
    _, document = opened(PROGRAM)
    span = document.lines.span(types.Range(types.Position(2, 0), types.Position(3, 0)))

    assert decoded(document, coloring.semantic_tokens(document, span)) == [
        ("ai model", "keyword"),
        ("base", "class"),
    ]


def test_hints_show_values_in_force_and_the_window() -> None:
    workspace, document = opened(PROGRAM)

    found = hints.inlay_hints(workspace, document, whole(document), lambda _: FACTS)

    shown = [(hint.position.line, hint.label) for hint in found]
    assert (9, "window 4,096 of 8,192 tokens") in shown
    assert any(line == 10 and "num_ctx: 4096" in str(label) for line, label in shown)


@pytest.mark.parametrize(
    ("text", "label", "active"),
    [
        (
            'prompt p {\n    input: { a: str }\n    template: "{{ a | replace(¦ }}"\n}\n',
            "replace(old, new, count)",
            0,
        ),
        (
            'prompt p {\n    input: { a: str }\n    template: "{{ a | replace(b, ¦ }}"\n}\n',
            "replace(old, new, count)",
            1,
        ),
        (PROGRAM.replace('ask  input: { text: "', 'ask  input: { ¦text: "'), "ask(text)", 0),
    ],
)
def test_signatures_tell_what_belongs_there(text: str, label: str, active: int) -> None:
    workspace, document = opened(text)

    found = signature_help(workspace, document, at(document, text))

    assert found is not None
    assert (found.signatures[0].label, found.active_parameter) == (label, active)
