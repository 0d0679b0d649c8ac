"""Server-sent events out of bytes that are cut anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from namel3ss.providers.transport.events import EventSplitter, ServerSentEvent
from namel3ss.providers.transport.reading import CutOffError, PieceTooLongError


def read(data: bytes, *cuts: int) -> list[tuple[str, bytes]]:
    """The events of `data` fed in pieces; what its end leaves over comes last."""
    splitter = EventSplitter()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(places)]
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return [(event.name, event.data) for event in (*events, *splitter.end())]


STREAM = (
    "\N{BYTE ORDER MARK}: a comment\r\n"
    "event: start\r\ndata: {}\r\n\r\n"
    "data: one\rdata: two\r\r"
    'id: 7\nretry: 10\ndata:{"text": "a\N{LINE SEPARATOR}b\N{NEXT LINE}c"}\n\n'
    ":\n\ndata\ndata\n\n"
    "event: empty\n\ndata:  spaced \n\n"
    "unknown: field\n\ndata: [DONE]\n\n"
).encode()
EVENTS = [
    ("start", b"{}"),
    ("message", b"one\ntwo"),
    ("message", '{"text": "a\N{LINE SEPARATOR}b\N{NEXT LINE}c"}'.encode()),
    ("message", b"\n"),
    ("message", b" spaced "),
    ("message", b"[DONE]"),
]


def test_line_ends_comments_names_and_joined_data_are_read() -> None:
    assert read(STREAM) == EVENTS


def test_plain_events_are_read_like_any_others() -> None:
    plain = b'data: {"a": 1}\n\ndata: [DONE]\n\n'
    assert read(plain) == [("message", b'{"a": 1}'), ("message", b"[DONE]")]
    assert read(b"event: x\n" + plain, 9) == [("x", b'{"a": 1}'), ("message", b"[DONE]")]
    assert read(b"data: {}\n" + plain, 9) == [("message", b'{}\n{"a": 1}'), ("message", b"[DONE]")]
    assert read(plain + b"\n\n" + plain, len(plain)) == [*read(plain), *read(plain)]


def test_every_single_cut_gives_the_same_events() -> None:
    for cut in range(len(STREAM)):
        assert read(STREAM, cut) == EVENTS


def test_bytes_one_by_one_give_the_same_events() -> None:
    assert read(STREAM, *range(len(STREAM))) == EVENTS


@given(
    st.lists(
        st.sampled_from(
            [b"data: {}", b"data: {}\n\n", b"data:", b"event: x", b":", b"\r", b"\n", b"\r\n", b"z", b"\xe2"]
        )
    ),
    st.lists(st.integers(0, 80)),
)
@settings(deadline=None)
def test_any_bytes_give_the_same_events_however_they_are_cut(words: list[bytes], cuts: list[int]) -> None:
    def outcome(*cuts: int) -> object:
        try:
            return read(b"".join(words), *cuts)
        except CutOffError:
            return "cut off"

    assert outcome(*cuts) == outcome()


def test_last_event_without_its_blank_line_is_taken_when_it_is_whole() -> None:
    assert read(b"data: [DONE]") == [("message", b"[DONE]")]
    assert read(b'event: x\ndata: {"a": 1}\n') == [("x", b'{"a": 1}')]


@pytest.mark.parametrize("rest", [b'data: {"a', b"dat", b"event: x", b"data: [DO"])
def test_event_that_was_cut_is_told_from_a_whole_one(rest: bytes) -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: {}\n\n" + rest) == [ServerSentEvent(b"{}")]
    with pytest.raises(CutOffError):
        splitter.end()


def test_end_after_a_whole_event_or_a_comment_is_quiet() -> None:
    assert read(b"data: {}\n\n") == [("message", b"{}")]
    assert read(b"data: {}\n\n: still there") == [("message", b"{}")]
    assert read(b"") == []


@pytest.mark.parametrize(
    "piece",
    [
        b"data: " + b"x" * 40,
        b"data: xxxxxxxxxx\n",
        b"data:\n",
        b"y" * 40,
        b"event: " + b"x" * 200 + b"\n",
    ],
)
def test_memory_of_an_event_without_an_end_is_bounded(piece: bytes) -> None:
    splitter = EventSplitter(limit_bytes=100)

    def feed_for_ever() -> None:
        for _ in range(200):
            splitter.feed(piece)

    with pytest.raises(PieceTooLongError, match="longer than 100 bytes"):
        feed_for_ever()


def test_events_within_the_limit_pass_however_many_there_are() -> None:
    splitter = EventSplitter(limit_bytes=100)
    for _ in range(50):
        assert len(splitter.feed(b"data: " + b"x" * 90 + b"\n\n: a comment that lasts\n")) == 1
