"""The tree-sitter grammar reads every text as the language's own parser does."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from tree_sitter import Language, Parser, QueryCursor

from namel3ss.language import Severity, parse
from tests.editors.npm import ROOT
from tests.editors.snippets import snippet_programs
from tests.editors.tree_sitter_parser import GRAMMAR, Parsed, compiled, errors, lexer_tokens, query
from tests.language.texts import pieces, programs

if TYPE_CHECKING:
    from pathlib import Path

    from tree_sitter import Node

CORPUS: Final = ROOT / "grammar" / "corpus"
VALID: Final = [*sorted((CORPUS / "valid").rglob("*.ai")), *sorted((ROOT / "examples").rglob("*.ai"))]
# The others are no text.
INVALID: Final = [
    path for path in sorted((CORPUS / "invalid").rglob("*.ai")) if not path.name.startswith("bytes_")
]
QUERIES: Final = sorted((ROOT / "grammar").glob("*/queries/*.scm")) + sorted(
    (ROOT / "grammar" / "zed").rglob("*.scm")
)
GENERATED: Final = ("grammar.json", "node-types.json", "parser.c")
# What is wrong with the size of something whose form is right.
NOT_OF_THE_FORM: Final = {"N3014", "N3904", "N3905", "N3906"}
# A keyword with a slip: its declaration may look like one of the wider language, whose text is not read.
MISSPELT: Final = "N3023"
# A declaration whose brace is missing takes the next one with it.
TAKES_THE_NEXT_ONE_WITH_IT: Final = {"syntax_missing_brace.ai"}
DAMAGE: Final = ["", "", "", *"{}[]<>,:\"'|?=# \n\ta", "??", "env.", "step ", "page x {\n"]
# As editors colour it; where two patterns fit, the last one counts.
SAMPLE: Final = """\
# note
import "./a.ai"
llm m < provider: env.P ?? "a\\n" >
prompt p {
    input: { a: str?, b: list[int], c: "x" | "y", d: int = 1 }
    template: |
        {{ a }}
    "k": [w, true, null]
}
chain c { step s { prompt: p } }
page x { }
"""
COLOURS: Final = [
    ("# note", "comment"),
    ("import", "keyword"), ('"./a.ai"', "string"),
    ("llm", "keyword"), ("m", "type"), ("<", "punctuation.bracket"), ("provider", "property"), (":", "punctuation.delimiter"),
    ("env.P", "constant"), ("??", "operator"), ('"a\\n"', "string"), ("\\n", "string.escape"), (">", "punctuation.bracket"),
    ("prompt", "keyword"), ("p", "type"),
    ("input", "property"), ("a", "property"), ("str", "type.builtin"), ("?", "operator"), (",", "punctuation.delimiter"),
    ("b", "property"), ("list", "type.builtin"), ("[", "punctuation.bracket"), ("int", "type.builtin"),
    ("c", "property"), ('"x"', "string"), ("|", "operator"), ('"y"', "string"),
    ("d", "property"), ("=", "operator"), ("1", "number"),
    ("template", "property"), ("|", "punctuation.special"), ("{{ a }}", "string"),
    ('"k"', "property"), ("w", "string"), ("true", "boolean"), ("null", "constant.builtin"),
    ("chain", "keyword"), ("step", "keyword"), ("s", "function"),
    ("page", "keyword"),
]  # fmt: skip


@pytest.fixture(scope="session")
def language(tmp_path_factory: pytest.TempPathFactory) -> Language:
    return compiled(tmp_path_factory.mktemp("tree_sitter"))


def agree(codes: set[str], parsed: Parsed) -> bool:
    """Whether the tree has an error where the parser found one in the form of the text."""
    if codes <= NOT_OF_THE_FORM or MISSPELT in codes:
        return bool(codes) or not parsed.is_broken
    return parsed.is_broken


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_every_token_of_a_valid_file_is_that_of_the_lexer(language: Language, path: Path) -> None:
    text = path.read_bytes().decode()
    parsed = Parsed.of(text, language)

    assert [*errors(parsed.tree.root_node)] == []
    assert parsed.tokens() == lexer_tokens(text)


def test_every_token_of_a_snippet_is_that_of_the_lexer(language: Language) -> None:
    for name, text in snippet_programs():
        parsed = Parsed.of(text, language)

        assert not parsed.is_broken, name
        assert parsed.tokens() == lexer_tokens(text), name


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.long] if path.name.startswith("limits_") else [], id=path.stem)
        for path in INVALID
    ],
)
def test_an_invalid_file_has_an_error_where_its_form_is_wrong(language: Language, path: Path) -> None:
    text = path.read_bytes().decode()
    result = parse(text)
    mistakes = [found for found in result.diagnostics if found.severity is Severity.ERROR]
    parsed = Parsed.of(text, language)

    assert agree({found.code for found in mistakes}, parsed)
    ours, theirs = parsed.tokens(), lexer_tokens(text)
    differing = [
        item.span
        for item in result.tree.items
        if not any(item.span.start <= found.span.start <= item.span.end for found in mistakes)
        and _within(ours, *item.span) != _within(theirs, *item.span)
    ]
    assert bool(differing) == (path.name in TAKES_THE_NEXT_ONE_WITH_IT)


def _within(tokens: list[tuple[str, int, int]], start: int, end: int) -> list[tuple[str, int, int]]:
    return [token for token in tokens if start <= token[1] < end]


@settings(max_examples=20, derandomize=True)
@given(programs)
def test_every_token_of_a_generated_program_is_that_of_the_lexer(language: Language, text: str) -> None:
    parsed = Parsed.of(text, language)

    assert not parsed.is_broken
    assert parsed.tokens() == lexer_tokens(text)


@pytest.mark.parametrize(
    "around", ["{}", "ai model m {{\n{}\n}}", "ai model m <\n{}\n>", "llm m {{ k: {} }}"]
)
def test_any_row_of_pieces_is_broken_where_the_parser_says_so(language: Language, around: str) -> None:
    @settings(max_examples=25, derandomize=True, database=None)
    @given(pieces)
    def agrees(row: str) -> None:
        text = around.format(row).encode(errors="replace").decode().replace("\x00", "")
        findings = parse(text).diagnostics
        parsed = Parsed.of(text, language)
        assert agree({found.code for found in findings if found.severity is Severity.ERROR}, parsed)
        if not findings:
            assert parsed.tokens() == lexer_tokens(text)

    agrees()


@pytest.mark.long
@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_damaged_file_is_broken_where_the_parser_says_so(language: Language, path: Path) -> None:
    dice = random.Random(path.name)
    whole = path.read_bytes().decode()
    for _ in range(12):
        text = whole
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(text) + 1)
            text = text[:at] + dice.choice(DAMAGE) + text[at + dice.randint(0, 1) :]
        findings = parse(text).diagnostics

        parsed = Parsed.of(text, language)
        assert agree({found.code for found in findings if found.severity is Severity.ERROR}, parsed), text
        if not findings:
            assert parsed.tokens() == lexer_tokens(text), text


@pytest.mark.long
@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_text_that_was_edited_has_the_tree_of_a_text_read_anew(language: Language, path: Path) -> None:
    wanted = path.read_bytes().decode().encode()
    parser = Parser(language)
    for at in range(0, len(wanted), max(1, len(wanted) // 12)):
        # One byte is taken away, and typed again.
        broken = parser.parse(wanted[:at] + wanted[at + 1 :])
        place = (wanted.count(b"\n", 0, at), at - (wanted.rfind(b"\n", 0, at) + 1))
        after = (place[0] + 1, 0) if wanted[at : at + 1] == b"\n" else (place[0], place[1] + 1)
        broken.edit(at, at, at + 1, place, place, after)

        assert _nodes(parser.parse(wanted, broken).root_node) == _nodes(parser.parse(wanted).root_node)


def _nodes(node: Node) -> list[tuple[str, int, int]]:
    found = [(node.type, node.start_byte, node.end_byte)]
    for child in node.children:
        found += _nodes(child)
    return found


def test_a_sample_has_its_colours(language: Language) -> None:
    root = Parser(language).parse(SAMPLE.encode()).root_node
    highlights = query(language, GRAMMAR / "queries" / "highlights.scm")
    colours: dict[tuple[int, int], tuple[int, str]] = {}
    for pattern, captured in QueryCursor(highlights).matches(root):
        for colour, nodes in captured.items():
            for node in nodes:
                place = (node.start_byte, node.end_byte)
                colours[place] = max(colours.get(place, (-1, "")), (pattern, colour))

    found = [(SAMPLE[slice(*place)], colour) for place, (_, colour) in sorted(colours.items())]
    rest = iter(found)
    assert [wanted for wanted in COLOURS if wanted not in rest] == []
    assert {text for text, colour in found if colour == "string" and text.startswith("{{")} == {"{{ a }}"}


def test_templates_are_given_to_jinja_and_other_texts_are_not(language: Language) -> None:
    text = 'prompt p {\n a: "{{x}}"\n b: "x"\n c: |\n  {% if x %}\n d: |\n  text\n}\n'
    injections = query(language, GRAMMAR / "queries" / "injections.scm")

    captured = QueryCursor(injections).captures(Parser(language).parse(text.encode()).root_node)

    found = {node.text for node in captured["injection.content"]}
    assert found == {b'"{{x}}"', b"{% if x %}"}


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: "/".join(path.parts[-2:]))
def test_queries_name_only_nodes_that_there_are(language: Language, path: Path) -> None:
    assert query(language, path).pattern_count > 0


def test_the_scanner_has_the_tokens_of_the_grammar_in_its_order() -> None:
    grammar = json.loads((GRAMMAR / "src" / "grammar.json").read_text(encoding="utf-8"))
    declared = (GRAMMAR / "src" / "state.h").read_text(encoding="utf-8")
    listed = re.search(r"enum TokenKind \{(.*?)\};", declared, re.DOTALL)
    assert listed is not None

    names = [
        each["name"].strip("_") if each["type"] == "SYMBOL" else {"]": "right_bracket"}[each["value"]]
        for each in grammar["externals"]
    ]

    assert [name.lower() for name in re.findall(r"\w+", listed[1])] == [
        {"null": "null_value"}.get(name, name) for name in names
    ]


@pytest.mark.skipif(shutil.which("tree-sitter") is None, reason="the program tree-sitter is not installed")
def test_the_generated_parser_is_that_of_the_grammar(tmp_path: Path) -> None:
    program = shutil.which("tree-sitter")
    assert program is not None
    folder = tmp_path / "grammar"
    shutil.copytree(GRAMMAR, folder)

    subprocess.run(
        [program, "generate", "--abi", "14"], cwd=folder, check=True, capture_output=True, timeout=120
    )

    for name in GENERATED:
        assert (folder / "src" / name).read_bytes() == (GRAMMAR / "src" / name).read_bytes(), (
            f"{name} is of another grammar.js, or of another tree-sitter than 0.27: run tree-sitter generate --abi 14 in {GRAMMAR}"
        )
