"""The span of every name, key, value, colon and brace, by cutting it out of the text."""

from __future__ import annotations

import pytest

from namel3ss.language import (
    BareWord,
    Block,
    BlockText,
    Declaration,
    EnvReference,
    ForeignDeclaration,
    Import,
    List,
    Pair,
    Source,
    Span,
    Step,
    String,
    TypeForm,
    parse,
)


def cut(text: str, span: Span | None) -> str | None:
    return None if span is None else text[span.start : span.end]


def only_declaration(text: str) -> Declaration:
    result = parse(text)
    (item,) = result.tree.items
    assert result.diagnostics == ()
    assert isinstance(item, Declaration)
    return item


def pair_of(text: str, key: str = "k") -> Pair:
    pair = only_declaration(text).block.get(key)
    assert pair is not None
    return pair


@pytest.mark.parametrize(
    "keyword", ["ai model", "ai  \tmodel", "llm", "prompt", "chain", "server", "gateway"]
)
def test_declaration_parts_are_cut_exactly(keyword: str) -> None:
    text = f"# note\n  {keyword} the-name {{ k: v }}  # note\n"

    item = only_declaration(text)

    assert item.name is not None
    assert cut(text, item.keyword) == keyword
    assert cut(text, item.name.span) == "the-name"
    assert cut(text, item.block.open) == "{"
    assert cut(text, item.block.close) == "}"
    assert cut(text, item.block.span) == "{ k: v }"
    assert cut(text, item.span) == f"{keyword} the-name {{ k: v }}"


def test_quoted_names_span_their_quotes() -> None:
    text = 'llm "a \\"name\\"" { }'

    item = only_declaration(text)

    assert item.name is not None
    assert (item.name.text, item.name.quoted) == ('a "name"', True)
    assert cut(text, item.name.span) == '"a \\"name\\""'


@pytest.mark.parametrize(
    ("written", "key", "quoted"),
    [
        ("k: v", "k", False),
        ("k : v", "k", False),
        ('"k": v', "k", True),
        ("'k'  : v", "k", True),
        ("k:v", "k", False),
    ],
)
def test_keys_and_colons_are_cut_exactly(written: str, key: str, quoted: bool) -> None:
    text = f"ai model m {{ {written} }}"

    pair = pair_of(text)

    assert (pair.key.text, pair.key.quoted) == (key, quoted)
    assert cut(text, pair.key.span) == written.partition(":")[0].rstrip()
    assert cut(text, pair.key.colon) == ":"
    assert cut(text, pair.span) == written


@pytest.mark.parametrize(
    "value",
    [
        "word", "llama3:8b", "1", "-0.5e-3", "true", "null", '"a # \\"b\\""', "'it''", "[a, 1]", "[]", "{ a: 1 }", "{}",
        "env.X", 'env.X ?? env.Y ?? "z"', "int = 1", "str?", "list[str]", 'list["a" | "b"]? = []', '"a" | "b"',
        "object = {}", "{ a: str }?",
    ],
)  # fmt: skip
@pytest.mark.parametrize("behind", ["\n}", " }", ", b: 2 }", "  # note\n}", "\r\n}"])
def test_values_are_cut_exactly_whatever_stands_behind(value: str, behind: str) -> None:
    value = value.replace("'it''", "'it'")
    text = f"ai model m {{ k: {value}{behind}"

    found = pair_of(text).value

    assert found is not None
    assert cut(text, found.span) == value


def test_words_inside_angle_brackets_end_before_the_closer() -> None:
    text = "ai model m <k: a>b>"

    item = only_declaration(text)

    pair = item.block.get("k")
    assert pair is not None
    assert isinstance(pair.value, BareWord)
    assert cut(text, pair.value.span) == "a>b"
    assert cut(text, item.block.open) == "<"
    assert cut(text, item.block.close) == ">"


@pytest.mark.parametrize("value", ["0.7", "true", "env.X", '"text"', "[1]", "{ a: 1 }"])
def test_the_angle_closer_may_touch_any_value(value: str) -> None:
    text = f"ai model < k: {value}>"

    pair = pair_of(text)

    assert pair.value is not None
    assert not isinstance(pair.value, BareWord)
    assert cut(text, pair.value.span) == value


def test_lists_maps_and_references_span_their_parts() -> None:
    text = 'ai model m { k: [ "a" , { b: env.C ?? 1 } ] }'

    found = pair_of(text).value

    assert isinstance(found, List)
    assert (cut(text, found.open), cut(text, found.close)) == ("[", "]")
    string, inner = found.items
    assert isinstance(string, String)
    assert isinstance(inner, Block)
    assert cut(text, string.span) == '"a"'
    reference = inner.entries[0]
    assert isinstance(reference, Pair)
    assert isinstance(reference.value, EnvReference)
    assert cut(text, reference.value.span) == "env.C ?? 1"
    assert cut(text, reference.value.name.span) == "C"
    assert reference.value.fallback is not None
    assert cut(text, reference.value.fallback.span) == "1"


def test_types_span_base_argument_and_default() -> None:
    text = "prompt p { k: list[str?] = [a] }"

    found = pair_of(text).value

    assert isinstance(found, TypeForm)
    assert isinstance(found.base, BareWord)
    assert isinstance(found.argument, TypeForm)
    assert found.default is not None
    assert [cut(text, span) for span in (found.base.span, found.argument.span, found.default.span)] == [
        "list",
        "str?",
        "[a]",
    ]


def test_block_text_spans_from_the_bar_to_the_end_of_its_last_line() -> None:
    text = "prompt p {\r\n  k: |\r\n    one\r\n\r\n    two\r\n  \r\n}"

    found = pair_of(text).value

    assert isinstance(found, BlockText)
    assert found.value == "one\n\ntwo"
    assert cut(text, found.span) == "|\r\n    one\r\n\r\n    two"


def test_steps_imports_and_foreign_declarations_are_cut_exactly() -> None:
    step = "step first { model: m }"
    path = 'import "./a.ai"'
    page = "page Chat {\n  x } y\n}"
    text = f"chain c {{ {step} }}\n{path}\n{page}\n"

    chain, imported, foreign = parse(text).tree.items

    assert isinstance(chain, Declaration)
    (entry,) = chain.block.entries
    assert isinstance(entry, Step)
    assert (cut(text, entry.span), cut(text, entry.keyword), cut(text, entry.name.span)) == (
        step,
        "step",
        "first",
    )
    assert isinstance(imported, Import)
    assert (cut(text, imported.span), cut(text, imported.path.span)) == (path, '"./a.ai"')
    assert isinstance(foreign, ForeignDeclaration)
    assert (cut(text, foreign.span), cut(text, foreign.keyword), foreign.head) == (page, "page", "Chat")


def test_missing_parts_are_empty_or_none() -> None:
    text = "ai model m {\n    provider ollama\n    model:\n"

    (item,) = parse(text).tree.items

    assert isinstance(item, Declaration)
    assert item.block.close is None
    provider, model = item.block.pairs()
    assert cut(text, provider.key.colon) == ""
    assert isinstance(provider.value, BareWord)
    assert model.value is None


def test_positions_count_characters_from_one_behind_a_byte_order_mark() -> None:
    source = Source("\ufeffab\tc\r\nd", "x.ai")

    assert [source.position(offset) for offset in (1, 4, 7)] == [(1, 1), (1, 4), (2, 1)]
    assert (source.line_text(1), source.line_text(2)) == ("ab\tc", "d")
