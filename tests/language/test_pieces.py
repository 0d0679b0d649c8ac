from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from namel3ss.language import parse
from namel3ss.language.pieces import cut

if TYPE_CHECKING:
    from namel3ss.language import Diagnostic
    from namel3ss.language.pieces import Piece, Pieces

_CORPUS = Path(__file__).parents[2] / "grammar" / "corpus"
_INSERTED = (
    "{", "}", "[", "]", "<", ">", '"', "'", ":", "|", ",", " ", "\t", "\n", "\r\n", "\n\n", "}\n", "# c\n", "env.", "junk", "junk\n",
    "ai model x {\n", "ai modle y {\n", "llm z <\n", "prompt p {", 'import "a.ai"\n', "import a.b as c\n", "page X {\n",
    "  layout: |\n", "foo {", "{{ x }}", "step s {", "agent\n", "\ufeff",
)  # fmt: skip


def _moved(found: Diagnostic, piece: Piece, whole: Pieces) -> Diagnostic:
    """A piece's finding in the terms of the whole text."""
    return replace(
        found,
        source=whole.whole,
        span=piece.span(found.span),
        labels=tuple(replace(label, span=piece.span(label.span)) for label in found.labels),
        fixes=tuple(
            replace(fix, edits=tuple(replace(edit, span=piece.span(edit.span)) for edit in fix.edits))
            for fix in found.fixes
        ),
    )


def _assert_same_as_whole(pieces: Pieces) -> None:
    text = pieces.whole.text
    whole = parse(text)
    expected = [replace(found, source=pieces.whole) for found in whole.diagnostics]

    found = [_moved(finding, piece, pieces) for piece in pieces.all for finding in piece.result.diagnostics]
    items = [(type(item), piece.span(item.span)) for piece in pieces.all for item in piece.result.tree.items]

    assert "".join(piece.source.text for piece in pieces.all) == text
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert items == [(type(item), item.span) for item in whole.tree.items]


def _texts() -> list[str]:
    found = []
    for path in sorted(_CORPUS.glob("*/*.ai")):
        try:
            found.append(path.read_bytes().decode())
        except UnicodeDecodeError:
            continue
    return found


@pytest.mark.parametrize("seed", range(4))
def test_random_edits_give_the_findings_of_a_fresh_parse(seed: int) -> None:
    choose = random.Random(seed)
    texts = _texts()
    for _ in range(7):
        text = "".join(choose.choice(texts) for _ in range(2))[:5000]
        pieces = cut(text)
        for _ in range(12):
            start = choose.randint(0, len(text))
            end = min(len(text), start + choose.choice((0, 0, 0, 1, 2, 5, 30, 200)))
            text = text[:start] + choose.choice(_INSERTED) + text[end:]
            pieces = cut(text, earlier=pieces)
            _assert_same_as_whole(pieces)


def test_a_piece_that_did_not_change_keeps_its_parse_result_wherever_it_stands() -> None:
    first = cut("ai model a { provider: ollama }\nai model b { provider: ollama }\n")

    second = cut("# new\nai model a { provider: scripted }\nai model b { provider: ollama }\n", earlier=first)

    assert second.all[-1].result is first.all[-1].result
    assert second.all[-1].start > first.all[-1].start


def test_two_equal_pieces_have_a_source_each() -> None:
    text = "ai model a { provider: ollama }\n" * 3

    pieces = cut(text, earlier=cut(text))

    assert len({piece.source for piece in pieces.all}) == 3


def test_an_unclosed_declaration_is_read_with_the_one_below_it() -> None:
    pieces = cut("ai model a {\n    provider: ollama\nai model b {\n}\nai model c {\n}\n")

    assert [piece.start for piece in pieces.all] == [0, 49]
    _assert_same_as_whole(pieces)


def test_the_end_of_a_piece_is_the_start_of_the_next() -> None:
    pieces = cut("ai model a {\n}\nai model b {\n}\n")

    assert [pieces.at(offset).start for offset in (0, 14, 15, 29, 30)] == [0, 0, 15, 15, 15]


def test_a_text_with_too_many_mistakes_is_one_piece() -> None:
    pieces = cut("ai model a { b }\n" * 300)

    assert len(pieces.all) == 1
    _assert_same_as_whole(pieces)
