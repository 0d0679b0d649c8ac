"""Whatever the text: few findings, and time in proportion to its length."""

from __future__ import annotations

import pytest

from namel3ss.language import Declaration, parse
from namel3ss.language.findings import MAX_PER_DECLARATION, MAX_PER_FILE

HEAD = "ai model m {\n"
# A unit of each text is repeated; the amount of work for one unit must not depend on how many there are.
REPEATED = {
    "braces": ("", "{", ""),
    "braces in a block": (HEAD, "{", ""),
    "maps": (HEAD, "a: {", ""),
    "lists": (HEAD + "a: ", "[", ""),
    "type lists": (HEAD + "a: ", "list[", ""),
    "closers": (HEAD + "a: ", "]", ""),
    "closers outside": ("", "}\n", ""),
    "words": (HEAD + "a: ", "word ", "\n}"),
    "one word": (HEAD + "a: ", "xxxxx", "\n}"),
    "one string": (HEAD + 'a: "', "xxxxx", "\n}"),
    "quotes": (HEAD + "a: ", '" ', "\n}"),
    "backslashes": (HEAD + 'a: "', "\\", ""),
    "keys": (HEAD, "a: ", ""),
    "pairs on a line": (HEAD, "a: 1 ", "}"),
    "duplicate keys": (HEAD, "a: 1\n", "}"),
    "broken lines": (HEAD, "a b\n", "}"),
    "broken declarations": ("", "ai model {\n a b\n}\n", ""),
    "heads": ("", "ai model\n", ""),
    "unclosed declarations": ("", HEAD, ""),
    "unclosed maps": (HEAD + "a: {\n" * 60, "b: 1\n", ""),
    "foreign": ("", "page p {\n x\n}\n", ""),
    "foreign unclosed": ("", "page p {\n", ""),
    "foreign and own unclosed": ("", "page p {\nai model m {\n", "}\n"),
    "foreign without a brace": ("", "page p\n", ""),
    "imports on a line": ("", 'import "a" ', ""),
    "broken imports": ("", "import a b\n", ""),
    "references": (HEAD + "a: env.A", " ?? env.B", "\n}"),
    "choices": (HEAD + "a: ", '"x" | ', "\n}"),
    "steps": (HEAD, 'step "', ""),
    "commas": (HEAD + "a: [", ",", ""),
    "block text": (HEAD + " a: |\n", "    text\n", "}"),
    "bars": (HEAD, " a: |\n", "}"),
    "odd characters": (HEAD, "\u00a0", ""),
    "angles": ("ai model m <", " a: x>", ""),
    "digits": (HEAD + "a: ", "9", "\n}"),
    "hashes": ("", "#", ""),
    "blank lines": ("", "\n", ""),
    "templates": (HEAD, "a: {{x\n", ""),
    "escapes": (HEAD + 'a: "', "\\q", '"\n}'),
    "blanks behind a string": (HEAD + 'a: ["', " ,", "\n}"),
}


@pytest.mark.parametrize("name", REPEATED)
def test_findings_do_not_grow_with_the_length(name: str) -> None:
    before, unit, behind = REPEATED[name]

    result = parse(before + unit * 8_000 + behind)

    assert len(result.diagnostics) <= 2 * MAX_PER_FILE + 1


@pytest.mark.security(40)
def test_nesting_up_to_the_limit_is_read_and_one_deeper_refused_once() -> None:
    def nested(depth: int) -> str:
        return "ai model m " + "{a:" * depth + "1" + "}" * depth

    assert parse(nested(64)).diagnostics == ()
    (finding,) = parse(nested(65) + "\nai model healthy { }\n").diagnostics
    assert finding.code == "N3904"


def test_lists_and_references_count_as_nesting() -> None:
    assert [found.code for found in parse("llm m { a: " + "[" * 64 + "]" * 64 + " }").diagnostics] == [
        "N3904"
    ]
    assert parse("llm m { a: " + "[" * 63 + "]" * 63 + " }").diagnostics == ()
    assert [found.code for found in parse("llm m { a: env.A" + " ?? env.B" * 64 + "\n}").diagnostics] == [
        "N3904"
    ]


@pytest.mark.security(40)
def test_ten_thousand_pairs_are_read_and_one_more_refused_once() -> None:
    assert parse(HEAD + "a: 1\n" * 10_000 + "}").diagnostics == ()

    result = parse(HEAD + "a: 1\n" * 10_001 + "}")
    assert [finding.code for finding in result.diagnostics] == ["N3905"]
    (item,) = result.tree.items
    assert isinstance(item, Declaration)
    assert item.block.entries == ()


def test_a_declaration_and_a_file_report_only_so_much() -> None:
    one = HEAD + "a b\n" * 100 + "}\n"

    assert len(parse(one).diagnostics) == MAX_PER_DECLARATION
    codes = [finding.code for finding in parse(one * 50).diagnostics]
    assert codes == ["N3006"] * MAX_PER_FILE + ["N3906"]


def test_every_declaration_with_a_mistake_in_it_has_an_error_in_it() -> None:
    """However many mistakes came before: what has none can be trusted."""
    result = parse((HEAD + "a b\n" * 15 + "}\n") * 30)

    for item in result.tree.items:
        assert any(item.span.start <= found.span.start < item.span.end for found in result.diagnostics)
