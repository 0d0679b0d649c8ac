from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.providers.transport.lines import LineSplitter
from namel3ss.providers.transport.reading import PieceTooLongError


def split(data: bytes, cuts: list[int], limit_bytes: int = 1000) -> tuple[list[bytes], bytes]:
    splitter = LineSplitter(limit_bytes)
    lines: list[bytes] = []
    positions = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(positions):
        lines += splitter.feed(data[start:end])
    return lines, splitter.rest()


records = st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers() | st.none(), max_size=3)


@given(st.lists(records, max_size=6), st.lists(st.integers(0, 500), max_size=20), st.booleans())
def test_records_are_the_same_however_the_bytes_are_cut(
    values: list[dict[str, object]], cuts: list[int], ascii_only: bool
) -> None:
    encoded = [
        json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for value in values
    ]

    lines, rest = split(b"".join(line + b"\n" for line in encoded), cuts)

    assert (lines, rest) == (encoded, b"")


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=10))
def test_any_bytes_give_the_same_lines_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    assert split(data, cuts) == split(data, [])


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1e", "\0"])
def test_only_a_line_feed_ends_a_line(character: str) -> None:
    line = f'{{"content":"a{character}b"}}'.encode()

    assert split(line + b"\n", []) == ([line], b"")


def test_empty_lines_and_carriage_returns_alone_are_left_out() -> None:
    assert split(b'\n\r\n{"a":1}\r\n\n', []) == ([b'{"a":1}\r'], b"")


@pytest.mark.parametrize("cuts", [[], [1], [2], [3], [1, 2, 3]])
def test_byte_order_mark_at_the_start_is_dropped(cuts: list[int]) -> None:
    assert split(b'\xef\xbb\xbf{"a":1}\n', cuts) == ([b'{"a":1}'], b"")


def test_byte_order_mark_elsewhere_stays() -> None:
    assert split(b"1\n\xef\xbb\xbf2\n", []) == ([b"1", b"\xef\xbb\xbf2"], b"")


def test_what_follows_the_last_line_feed_is_the_rest() -> None:
    assert split(b'{"a":1}\n{"b', [9]) == ([b'{"a":1}'], b'{"b')


@pytest.mark.parametrize("data", [b"x" * 11, b"x" * 11 + b"\n", b"1\n" + b"x" * 11])
def test_line_above_the_limit_is_refused_with_its_beginning(data: bytes) -> None:
    with pytest.raises(PieceTooLongError) as raised:
        split(data, [3, 5], limit_bytes=10)

    assert raised.value.beginning.startswith(b"xxx")
    assert raised.value.limit_bytes == 10


def test_line_at_the_limit_passes() -> None:
    assert split(b"x" * 10 + b"\n" + b"y" * 10 + b"\n", [4], limit_bytes=10) == ([b"x" * 10, b"y" * 10], b"")
