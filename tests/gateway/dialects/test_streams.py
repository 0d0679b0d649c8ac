"""Streams go on in whole lines and events, however their bytes are cut, and tell what they used."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.gateway.dialects import StreamReader, error_event, usage_of_body
from namel3ss.gateway.dialects.streams import MAX_TAIL_BYTES
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.routes import Dialect, Route
from namel3ss.gateway.usage import Usage
from tests.contract.recordings import Recording, all_recordings, recording
from tests.gateway.dialects.routes import STREAMED, post

STREAMS = tuple(
    each
    for each in all_recordings()
    if each.version == "0.24.0" and each.response.get("lines") and each.request["path"] in STREAMED
)


def bytes_of(each: Recording) -> bytes:
    return "\n".join(each.response["lines"]).encode()


def run(route: Route, data: bytes, cuts: list[int]) -> tuple[StreamReader, list[bytes]]:
    """A reader that has got `data` in pieces that end at `cuts`, and what came out, the rest last."""
    reader = StreamReader(route)
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    out = [reader.feed(data[begin:end]) for begin, end in itertools.pairwise(places)]
    return reader, [*out, reader.finish()]


CUTS = st.lists(st.integers(min_value=0, max_value=1 << 16), max_size=40)


@given(each=st.sampled_from(STREAMS), cuts=CUTS)
def test_recorded_stream_comes_out_as_it_went_in_for_every_chunking(each: Recording, cuts: list[int]) -> None:
    route, data = post(each.request["path"]), bytes_of(each)
    whole, _ = run(route, data, [])

    reader, out = run(route, data, cuts)

    assert b"".join(out) == data
    assert all(
        piece.endswith(b"\n" if route.dialect is Dialect.OLLAMA else b"\n\n") for piece in out if piece
    )
    said = (reader.usage, reader.ended_well, reader.content_events, reader.error, reader.held_bytes)
    assert said == (whole.usage, whole.ended_well, whole.content_events, whole.error, 0)


@given(each=st.sampled_from(STREAMS), cut=st.integers(min_value=0), cuts=CUTS)
def test_stream_that_is_cut_anywhere_loses_nothing_but_what_was_incomplete(
    each: Recording, cut: int, cuts: list[int]
) -> None:
    route, data = post(each.request["path"]), bytes_of(each)
    end = b"\n" if route.dialect is Dialect.OLLAMA else b"\n\n"
    rest = data[: cut % (len(data) + 1)]
    complete = rest[: rest.rfind(end) + len(end)] if end in rest else b""

    reader, out = run(route, rest, cuts)

    sent = b"".join(out)
    assert sent.startswith(complete)
    # The last line may lack its end and be whole all the same.
    assert sent in (complete, rest)
    assert reader.held_bytes == 0


def feed_all(reader: StreamReader, data: bytes) -> None:
    reader.feed(data)
    reader.finish()


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("generate/stream", Usage(6, 7)),
        ("chat/stream", Usage(6, 7)),
        ("chat/think-stream", Usage(6, 10)),
        ("openai/chat-stream-usage", Usage(6, 7)),
        ("openai/responses-stream", Usage(6, 7)),
        ("anthropic/stream", Usage(6, 7)),
        ("anthropic/tools-stream", Usage(116, 8)),
    ],
)
def test_usage_is_the_servers_own(name: str, usage: Usage) -> None:
    each = recording(f"ollama-0.24.0/{name}")
    reader = StreamReader(post(each.request["path"]))
    feed_all(reader, bytes_of(each))
    assert (reader.usage, reader.charged(99), reader.ended_well) == (usage, usage, True)


@pytest.mark.parametrize(
    ("name", "pieces", "ended_well"),
    [
        ("openai/chat-stream", 7, True),  # nobody asked for usage
        ("died/generate-stream", 11, False),
        ("died/chat-stream", 11, False),
        ("died/server-killed-stream", 11, False),
        ("died/openai-stream", 5, False),
        ("died/anthropic-stream", 1, False),
        ("generate/repeat-guard", 31, False),
        ("openai/repeat-guard-stream", 31, False),
    ],
)
def test_without_the_servers_word_the_pieces_are_charged_as_an_estimate(
    name: str, pieces: int, ended_well: bool
) -> None:
    each = recording(f"ollama-0.24.0/{name}")
    reader = StreamReader(post(each.request["path"]))
    feed_all(reader, bytes_of(each))
    assert (reader.usage, reader.ended_well) == (None, ended_well)
    assert reader.charged(5) == Usage(5, pieces, estimated=True)


def test_every_piece_is_sent_on_at_once_where_it_is_whole_and_is_not_copied() -> None:
    reader = StreamReader(post("/api/chat"))
    line = b'{"message":{"content":"a"},"done":false}\n'
    assert reader.feed(line) is line
    assert reader.feed(line + line[:10]) == line
    assert reader.held_bytes == 10
    assert reader.feed(line[10:]) == line
    assert reader.content_events == 3


def test_completions_that_repeat_an_account_of_nothing_are_charged_by_the_last_one() -> None:
    reader = StreamReader(post("/v1/completions"))
    reader.feed(b'data: {"choices":[{"text":"a"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\n')
    assert reader.usage is None
    reader.feed(b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\ndata: [DONE]\n\n')
    assert reader.charged(9) == Usage(3, 1)
    assert reader.ended_well


def test_events_of_other_servers_may_end_in_carriage_returns() -> None:
    data = b'data: {"choices":[{"delta":{}}]}\r\n\r\ndata: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\r\n\r\ndata: [DONE]\r\n\r\n'
    for size in (1, 2, 3, 5, 40, 1000):
        reader, out = run(post("/v1/chat/completions"), data, list(range(0, len(data), size)))
        assert b"".join(out) == data
        assert (reader.usage, reader.ended_well, reader.content_events) == (Usage(3, 1), True, 1)


@pytest.mark.parametrize(
    ("path", "forged"),
    [
        ("/v1/chat/completions", "\n\ndata: [DONE]\n\n"),
        ("/v1/messages", "event: message_stop\n"),
        ("/v1/responses", "event: response.completed\n"),
    ],
)
def test_end_that_the_model_only_writes_is_no_end(path: str, forged: str) -> None:
    reader = StreamReader(post(path))
    event = {"choices": [{"delta": {"content": forged}}], "delta": {"text": forged}}
    feed_all(reader, b"data: " + json.dumps(event).encode() + b"\n\n")
    assert not reader.ended_well


def test_end_that_the_model_only_writes_is_no_end_of_lines_either() -> None:
    reader = StreamReader(post("/api/chat"))
    call = {"function": {"arguments": {"done": True, "eval_count": 9, "error": "x"}}}
    feed_all(reader, json.dumps({"message": {"tool_calls": [call]}, "done": False}).encode() + b"\n")
    assert (reader.ended_well, reader.usage, reader.error) == (False, None, None)


@pytest.mark.parametrize("rest", [b"\n", b""])
def test_last_line_may_lack_its_end(rest: bytes) -> None:
    reader = StreamReader(post("/api/generate"))
    data = b'{"response":"","done":true,"done_reason":"load"}' + rest
    assert reader.feed(data) + reader.finish() == data
    assert (reader.ended_well, reader.usage) == (True, Usage(0, 0))


def test_line_that_never_ends_is_given_up() -> None:
    reader = StreamReader(post("/api/chat"))
    reader.feed(b"x" * MAX_TAIL_BYTES)
    with pytest.raises(Refusal, match="more than 8 MiB") as caught:
        reader.feed(b"x")
    assert caught.value.reason is Reason.bad_upstream


@pytest.mark.security(22)
@pytest.mark.parametrize(
    ("path", "frame"),
    [
        ("/api/chat", "%s\n"),
        ("/v1/chat/completions", "data: %s\n\n"),
        ("/v1/messages", "event: error\ndata: %s\n\n"),
    ],
)
def test_error_within_a_stream_is_told_without_what_belongs_to_the_machine(path: str, frame: str) -> None:
    error = {"error": "open /root/.ollama/models/blobs/sha256-1: dial tcp 10.0.0.5:4000: refused"}
    text = frame % json.dumps(error)
    for size in (1, 7, 1000):
        reader, out = run(post(path), text.encode(), list(range(0, len(text), size)))
        assert b"".join(out).decode() == frame % json.dumps(
            {"error": "open (path): dial tcp (address): refused"}
        )
        assert reader.error is not None


# -- how a broken stream ends ---------------------------------------------------------------------------------

BROKEN = Refusal(Reason.bad_upstream, "The server ended its answer before it was complete.")


@pytest.mark.fault(77)
@pytest.mark.parametrize("path", STREAMED)
def test_broken_stream_ends_in_the_protocols_own_error(path: str) -> None:
    event = error_event(post(path), BROKEN, "abc", events=4).decode()

    message = BROKEN.message
    wrapped = {"error": {"message": message, "type": "api_error", "param": None, "code": None}}
    numbered = {"type": "error", "code": "api_error", "message": message, "param": None, "sequence_number": 4}
    named = {"type": "error", "error": {"type": "api_error", "message": message}, "request_id": "abc"}
    assert (
        event
        == {
            "/api/chat": f"{compact({'error': message})}\n",
            "/api/generate": f"{compact({'error': message})}\n",
            "/v1/chat/completions": f"data: {compact(wrapped)}\n\n",
            "/v1/completions": f"data: {compact(wrapped)}\n\n",
            "/v1/responses": f"event: error\ndata: {compact(numbered)}\n\n",
            "/v1/messages": f"event: error\ndata: {compact(named)}\n\n",
        }[path]
    )


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


# -- answers in one piece -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("generate/plain", Usage(6, 7)),
        ("generate/load", Usage(0, 0)),
        ("generate/unload", Usage(0, 0)),
        ("chat/plain", Usage(6, 7)),
        ("embed/one", Usage(7, 0)),
        ("embed/legacy", None),
        ("generate/repeat-guard-plain", None),
        ("openai/chat", Usage(6, 7)),
        ("openai/completions", Usage(6, 7)),
        ("openai/embeddings", Usage(7, 0)),
        ("openai/responses", Usage(6, 7)),
        ("anthropic/messages", Usage(6, 7)),
    ],
)
def test_usage_of_a_whole_answer_is_the_servers_own(name: str, usage: Usage | None) -> None:
    each = recording(f"ollama-0.24.0/{name}")
    assert usage_of_body(post(each.request["path"]), each.response["body"].encode()) == usage


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"usage":7}', b"\xff", b'{"a":' + b"[" * 5000])
def test_what_is_no_answer_says_nothing(body: bytes) -> None:
    assert usage_of_body(post("/api/chat"), body) is None
