"""What values mean: the lexical rules, one by one."""

from __future__ import annotations

import pytest

from namel3ss.language import (
    BareWord,
    Block,
    BlockText,
    Boolean,
    Declaration,
    EnvReference,
    List,
    Null,
    Number,
    Pair,
    Severity,
    String,
    TypeForm,
    Value,
    parse,
)


def value_of(written: str) -> Value:
    result = parse(f"ai model m {{ k: {written}\n}}")
    assert result.diagnostics == ()
    (item,) = result.tree.items
    assert isinstance(item, Declaration)
    (entry,) = item.block.entries
    assert isinstance(entry, Pair)
    assert entry.value is not None
    return entry.value


@pytest.mark.parametrize(
    "word",
    [
        "llama3:8b", "hf.co/org/repo:Q4_K_M", "meta-llama/Llama-2-7b-chat-hf", "./models/a.gguf", "10m", "http://h:1/#x",
        "C:\\x", "True", "yes", "1_000", "0x10", "1.2.3", "--1", "nan", "inf", "environment", "nullable", "a=b", "a>b", "b>",
        "日本", "-", "é", "str", "a?b", "a|b", "a{b", "a[b", "it's", "#fff"[1:], "١٢",
    ],
)  # fmt: skip
def test_a_word_that_is_not_wholly_something_else_is_a_string(word: str) -> None:
    found = value_of(word)

    assert isinstance(found, BareWord)
    assert found.value == word


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("+40", 40),
        ("007", 7),
        ("0.7", 0.7),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-2E-1", -0.2),
    ],
)
def test_a_word_that_is_wholly_a_number_is_one(written: str, value: float) -> None:
    found = value_of(written)

    assert isinstance(found, Number)
    assert (found.value, type(found.value), found.spelling) == (value, type(value), written)


def test_booleans_and_null_are_lower_case() -> None:
    true, false, null = value_of("true"), value_of("false"), value_of("null")

    assert isinstance(true, Boolean)
    assert isinstance(false, Boolean)
    assert (true.value, false.value) == (True, False)
    assert isinstance(null, Null)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"a \\"b\\" \\\\ \\n \\t \\r \\/ \\b \\f"', 'a "b" \\ \n \t \r / \b \f'),
        ("'it\\'s \"x\"'", 'it\'s "x"'),
        ('"\\{\\{ \\}\\}"', "{{ }}"),
        ('"\\u00e9 \\ud83d\\ude00"', "é 😀"),
        ('""', ""),
        ('"# , } ] env.X"', "# , } ] env.X"),
    ],
)
def test_quoted_strings_resolve_their_escapes(written: str, value: str) -> None:
    found = value_of(written)

    assert isinstance(found, String)
    assert found.value == value


def test_words_end_at_blanks_commas_and_closers() -> None:
    found = value_of("[a,b , {c: d}, e ]")

    assert isinstance(found, List)
    first, second, inner, last = found.items
    assert isinstance(inner, Block)
    assert [item.value for item in (first, second, last) if isinstance(item, BareWord)] == ["a", "b", "e"]


def test_references_chain_to_the_right() -> None:
    found = value_of('env.A ?? env.B?? "c"')

    assert isinstance(found, EnvReference)
    assert isinstance(found.fallback, EnvReference)
    assert (found.name.text, found.fallback.name.text) == ("A", "B")
    assert isinstance(found.fallback.fallback, String)


@pytest.mark.parametrize(
    ("written", "optional", "has_default"),
    [("str?", True, False), ("int = 5", False, True), ("int=5", False, True), ("list[str]? = []", True, True),
     ('"a" | "b" = "a"', False, True), ("{ a: str }?", True, False), ("mood = happy", False, True)],
)  # fmt: skip
def test_types_carry_their_mark_and_default(written: str, optional: bool, has_default: bool) -> None:
    found = value_of(written)

    assert isinstance(found, TypeForm)
    assert (found.optional, found.default is not None) == (optional, has_default)


def test_choices_keep_all_their_strings() -> None:
    found = value_of('"a" | \'b\' | "c"')

    assert isinstance(found, TypeForm)
    assert isinstance(found.base, tuple)
    assert [string.value for string in found.base] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("|\n    a\n      b\n\n    c\n", "a\n  b\n\nc"),
        ("|  # note\n   a\n", "a"),
        ("|\n\n   a\n   \n\n", "\na"),
        ("|\r\n   a\r\n\r\n   b\r\n", "a\n\nb"),
        ("|\n\ta\n\t\tb\n", "a\n\tb"),
        ("|\n    # not a comment\n    { [ \" ' ] }\n", "# not a comment\n{ [ \" ' ]"[:16] + "{ [ \" ' ] }"),
        ("|\n      a\n   b\n", "   a\nb"),
    ],
)
def test_block_text_is_what_is_indented_deeper_without_the_common_indentation(text: str, value: str) -> None:
    result = parse("ai model m {\n  k: " + text + "  l: 1\n}")

    assert result.diagnostics == ()
    (item,) = result.tree.items
    assert isinstance(item, Declaration)
    block_text, other = item.block.pairs()
    assert isinstance(block_text.value, BlockText)
    assert block_text.value.value == value
    assert other.key.text == "l"


def test_block_text_is_measured_from_the_line_that_holds_its_key() -> None:
    result = parse("chain c {\n  step s { model: m  prompt: |\n    text\n  }\n}")

    assert result.diagnostics == ()


@pytest.mark.parametrize(
    "inside", ["a:1", "a:1,b:2", "\na:1\nb:2\n", "a: 1 b: 2", "a: 1,b:2", 'a: 1 "b": 2', "a: x b: y,"]
)
def test_a_key_without_a_blank_behind_its_colon_is_told_by_its_place(inside: str) -> None:
    found = value_of("{" + inside + "}")

    assert isinstance(found, Block)
    assert {pair.key.text for pair in found.pairs()} <= {"a", "b"}


def test_a_word_with_a_colon_is_no_key_behind_a_value() -> None:
    (finding,) = parse("ai model m { a: x b:y }").diagnostics

    assert finding.code == "N3002"


def test_hashes_begin_comments_only_behind_blanks() -> None:
    result = parse("#x\nai model m { #x\n a: b#c #x\n d: [e,#f\n] }#y")

    (item,) = result.tree.items
    assert isinstance(item, Declaration)
    values = [pair.value for pair in item.block.pairs()]
    assert isinstance(values[0], BareWord)
    assert values[0].value == "b#c"
    assert isinstance(values[1], List)
    assert len(values[1].items) == 2
    assert [finding.code for finding in result.diagnostics] == ["N3009"]


def test_step_is_a_keyword_only_in_front_of_a_name_and_a_brace() -> None:
    result = parse('chain c { step: a  step b { step: c }  step "d e" {} }')

    assert result.diagnostics == ()
    (item,) = result.tree.items
    assert isinstance(item, Declaration)
    assert [type(entry).__name__ for entry in item.block.entries] == ["Pair", "Step", "Step"]


def test_a_word_that_ends_in_a_quote_is_a_warning() -> None:
    (finding,) = parse('ai model m { k: tiny" }').diagnostics

    assert (finding.code, finding.severity) == ("N3019", Severity.WARNING)
