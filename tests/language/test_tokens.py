from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings

from namel3ss.language.tokens import read_tokens
from tests.language.texts import pieces, programs

VALID = sorted((Path(__file__).resolve().parent.parent.parent / "grammar/corpus/valid").glob("*.ai"))


def test_tokens_and_comments_are_cut_exactly() -> None:
    text = "# one\nllm m { # two\n k: |\n   # text\n l: [a#b, 'c # d'] #three\r\n}#"

    view = read_tokens(text)

    assert [text[span.start : span.end] for span in view.comments] == ["# one", "# two", "#three"]
    assert [(token.kind, text[token.span.start : token.span.end]) for token in view.tokens] == [
        ("MODEL", "llm"), ("NAME", "m"), ("LBRACE", "{"), ("KEY", "k:"), ("TEXT", "|\n   # text"), ("KEY", "l:"),
        ("LBRACKET", "["), ("WORD", "a#b"), ("COMMA", ","), ("STRING", "'c # d'"), ("RBRACKET", "]"), ("RBRACE", "}"),
    ]  # fmt: skip


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_tokens_comments_and_blanks_are_the_whole_of_a_valid_file(path: Path) -> None:
    text = path.read_bytes().decode()

    view = read_tokens(text)

    rest = list(text.removeprefix("\ufeff").rjust(len(text)))
    for span in [token.span for token in view.tokens] + list(view.comments):
        assert "".join(rest[span.start : span.end]) == text[span.start : span.end], "no two overlap"
        rest[span.start : span.end] = " " * (span.end - span.start)
    assert "".join(rest).strip() == ""


@settings(max_examples=30, deadline=None)
@given(programs)
def test_generated_programs_are_covered(text: str) -> None:
    view = read_tokens(text)

    spans = sorted([token.span for token in view.tokens] + list(view.comments))
    gaps = [text[left.end : right.start] for left, right in itertools.pairwise(spans)]
    assert "".join(gaps).strip() == ""


@settings(max_examples=30, deadline=None)
@given(pieces)
def test_broken_texts_have_tokens_in_order(text: str) -> None:
    view = read_tokens("ai model m {\n" + text)

    ends = [token.span.end for token in view.tokens]
    assert ends == sorted(ends)
