"""The TextMate grammar says of every token what the language's own lexer says of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from namel3ss.language.source import Source
from namel3ss.language.tokens import read_tokens
from tests.editors.npm import EXTENSION, ROOT
from tests.editors.snippets import snippet_programs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from namel3ss.language.source import Span
    from tests.editors.conftest import Node

GRAMMAR: Final = EXTENSION / "syntaxes" / "namel3ss.tmLanguage.json"
SYNTAX_TESTS: Final = sorted((ROOT / "tests" / "editors" / "grammar").glob("*.ai"))
FILES: Final = [
    *sorted((ROOT / "grammar" / "corpus").rglob("*.ai")),
    *sorted((ROOT / "examples").rglob("*.ai")),
    *SYNTAX_TESTS,
]
# The scopes, one of which the first character of a token has. A name in quotes is a string to the lexer, and a type may
# stand where a word does.
SCOPES: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("KEY", "OPEN_KEY", "TIGHT_KEY"), ("support.type.property-name",)),
    **dict.fromkeys(("MODEL", "PART"), ("storage.type.declaration",)),
    **dict.fromkeys(("LBRACE", "LESS"), ("punctuation.section.block.begin",)),
    **dict.fromkeys(("RBRACE", "GREATER"), ("punctuation.section.block.end",)),
    **dict.fromkeys(("LBRACKET", "RBRACKET"), ("punctuation.section.brackets",)),
    **dict.fromkeys(("TYPE", "LIST_OF"), ("support.type",)),
    "BAR": ("keyword.operator.choice",),
    "BOOLEAN": ("constant.language.boolean",),
    "COMMA": ("punctuation.separator.comma",),
    "COMMENT": ("comment.line",),
    "ENV": ("meta.environment",),
    "EQUALS": ("keyword.operator.assignment",),
    "FOREIGN": ("meta.foreign",),
    "IMPORT": ("keyword.control.import",),
    "NAME": ("entity.name",),
    "NULL": ("constant.language.null",),
    "NUMBER": ("constant.numeric",),
    "OPTIONAL": ("keyword.operator.optional",),
    "OTHERWISE": ("keyword.operator.otherwise",),
    "STEP": ("keyword.control.step",),
    "STRING": ("string.quoted", "entity.name"),
    "TEXT": ("keyword.control.block-text",),
    "WORD": ("string.unquoted", "support.type"),
}
# And those that its last character has, where a token has more than one: a grammar that stops in its middle shows here.
LAST_SCOPES: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("KEY", "OPEN_KEY", "TIGHT_KEY"), ("punctuation.separator.key-value",)),
    **{
        kind: SCOPES[kind]
        for kind in ("BOOLEAN", "COMMENT", "ENV", "NAME", "NULL", "NUMBER", "STRING", "TYPE", "WORD")
    },
}
# Where the parser mends what stands there before it goes on: a grammar of patterns colours it as it is written.
MENDED: Final = {
    "fuzz_second_without_a_name.ai": "a brace within a keyword",
    "syntax_closers.ai": "the wrong closing bracket",
    "syntax_import.ai": "an import without a path in quotes",
    "syntax_misspelt.ai": "a keyword with a slip",
    "syntax_odd_blanks.ai": "blanks that are none",
    "syntax_unclosed_bracket.ai": "an open bracket, closed by the next key",
    "syntax_unterminated_string.ai": "an open string, closed where its line makes sense again",
}


@dataclass(frozen=True)
class Coloured:
    """A file as VS Code colours it."""

    path: Path
    text: str
    lines: Sequence[Sequence[tuple[int, int, str]]]

    @property
    def source(self) -> Source:
        return Source(self.text, str(self.path))

    def scopes(self, source: Source, offset: int) -> str:
        line = source.position(offset).line
        start = source.text.rfind("\n", 0, offset) + 1
        column = len(self.text[start:offset].encode("utf-16-le")) // 2
        return next((scopes for begin, end, scopes in self.lines[line - 1] if begin <= column < end), "")


@pytest.fixture(scope="module")
def coloured(node: Node, tmp_path_factory: pytest.TempPathFactory) -> list[Coloured]:
    files = [path for path in FILES if _is_text(path)]
    folder = tmp_path_factory.mktemp("snippets")
    for name, text in snippet_programs():
        files.append(folder / f"{name}.ai")
        files[-1].write_text(text, encoding="utf-8")
    printed = node.run("tokenize.js", GRAMMAR, *files).splitlines()
    return [
        Coloured(path, path.read_bytes().decode(), json.loads(line)["lines"])
        for path, line in zip(files, printed, strict=True)
    ]


def _is_text(path: Path) -> bool:
    try:
        path.read_bytes().decode()
    except UnicodeDecodeError:
        return False
    return True


def test_every_token_has_the_scope_of_its_kind(coloured: list[Coloured]) -> None:
    differing = []
    mended = set()
    checked = 0
    for file in coloured:
        source, view = file.source, read_tokens(file.text)
        for kind, span in [*view.tokens, *(("COMMENT", span) for span in view.comments)]:
            checked += 1
            for offset, wanted in _ends(kind, span, file.text):
                scopes = file.scopes(source, offset)
                if any(each in scopes for each in wanted):
                    continue
                if file.path.name in MENDED:
                    mended.add(file.path.name)
                else:
                    differing.append(_place(file, source, offset, f"{kind} has {scopes!r}"))

    assert mended == MENDED.keys()
    assert not differing, "\n".join(differing[:40])
    assert checked > 2_500


def _ends(kind: str, span: Span, text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    yield span.start, SCOPES[kind]
    if kind in LAST_SCOPES and span.end - span.start > 1 and "\n" not in text[span.start : span.end]:
        yield span.end - 1, LAST_SCOPES[kind]


def _place(file: Coloured, source: Source, offset: int, what: str) -> str:
    line = source.position(offset).line
    return f"{file.path.name}:{line}: {file.text[offset : offset + 30]!r}: {what}"


def test_nothing_but_a_comment_is_coloured_as_one(coloured: list[Coloured]) -> None:
    differing = []
    for file in coloured:
        source, view = file.source, read_tokens(file.text)
        # What stands behind the bar of a block text belongs to its token.
        allowed = [*view.comments, *(span for kind, span in view.tokens if kind in {"FOREIGN", "TEXT"})]
        starts = [0, *(at + 1 for at, letter in enumerate(file.text) if letter == "\n")]
        for number, line in enumerate(file.lines):
            for begin, _, scopes in line:
                units = file.text[starts[number] :].split("\n", 1)[0].encode("utf-16-le")
                offset = starts[number] + len(units[: 2 * begin].decode("utf-16-le"))
                if "comment.line" in scopes and not any(span.start <= offset < span.end for span in allowed):
                    differing.append(_place(file, source, offset, "is no comment"))

    assert not differing, "\n".join(differing[:40])


@pytest.mark.long
def test_every_line_of_a_block_text_is_text_and_nothing_else(coloured: list[Coloured]) -> None:
    differing = []
    checked = 0
    for file in coloured:
        source = file.source
        for kind, span in read_tokens(file.text).tokens:
            if kind != "TEXT":
                continue
            at = span.start
            for line in file.text[span.start : span.end].splitlines(keepends=True):
                # The first line is the key's.
                if at > span.start and line.strip():
                    checked += 1
                    offset = at + len(line) - len(line.lstrip())
                    if "string.unquoted.block" not in (scopes := file.scopes(source, offset)):
                        differing.append(_place(file, source, offset, f"has {scopes!r}"))
                at += len(line)

    assert not differing, "\n".join(differing[:40])
    assert checked > 20


@pytest.mark.parametrize("path", SYNTAX_TESTS, ids=lambda path: path.stem)
def test_scopes_are_those_that_the_syntax_test_says(node: Node, path: Path) -> None:
    printed = node.run(node.modules / "vscode-tmgrammar-test/dist/unit.js", "--compact", "-g", GRAMMAR, path)

    assert path.name in printed
