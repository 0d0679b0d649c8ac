from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.gateway.serving.chunks import ChunkLines


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


def chunked(chunks: list[bytes], extension: bytes = b"", at: int = -1) -> bytes:
    lines = [
        b"%x%b\r\n%b\r\n" % (len(chunk), extension if number == at else b"", chunk)
        for number, chunk in enumerate(chunks)
    ]
    return b"".join(lines) + b"0%b\r\n" % (extension if at == len(chunks) else b"")


CHUNKS = st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.just(b"5;a=b\r\nabcde\r\n")), max_size=5)
CUTS = st.lists(st.integers(0, 2000), max_size=6)


@pytest.mark.security(19)
@given(CHUNKS, CUTS, st.binary(max_size=20))
def test_sizes_and_chunks_in_any_pieces_are_nothing_else(
    chunks: list[bytes], cuts: list[int], rest: bytes
) -> None:
    """Whatever stands in the chunks, and behind the last size, is none of its business."""
    lines = ChunkLines()

    assert all(lines.feed(piece) for piece in pieces_of(chunked(chunks) + rest, cuts))


@pytest.mark.security(19)
@given(
    CHUNKS,
    CUTS,
    st.sampled_from([b";", b";a=b", b" ", b"\t", b";\n", b"x", b",", b'; a="']),
    st.integers(0, 5),
)
def test_anything_behind_a_size_is_noticed_in_any_pieces(
    chunks: list[bytes], cuts: list[int], extension: bytes, at: int
) -> None:
    data = chunked(chunks, extension, min(at, len(chunks)))
    lines = ChunkLines()

    assert not all(lines.feed(piece) for piece in pieces_of(data, cuts))
