"""Events and answers as Anthropic's API sends them, for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.scripted_server import LAST_CHUNK, Send, chunk, document, head

if TYPE_CHECKING:
    from tests.support.scripted_server import Headers, Step

Event = dict[str, Any]


def data_of(event: Event) -> bytes:
    """An event on the wire."""
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def message_start(model: str = "claude-sonnet-4-5", **usage: Any) -> Event:
    message: dict[str, Any] = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 1, **usage},
    }
    return {"type": "message_start", "message": message}


def block_start(index: int, **block: Any) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **fields: Any) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def block_stop(index: int) -> Event:
    return {"type": "content_block_stop", "index": index}


def text_block(index: int, *pieces: str) -> list[Event]:
    """A whole block of text."""
    deltas = [delta(index, "text_delta", text=piece) for piece in pieces]
    return [block_start(index, type="text", text=""), *deltas, block_stop(index)]


def thinking_block(index: int, *pieces: str, signature: str = "c2lnbmF0dXJl") -> list[Event]:
    """A whole block of thinking, signed."""
    return [
        block_start(index, type="thinking", thinking="", signature=""),
        *(delta(index, "thinking_delta", thinking=piece) for piece in pieces),
        delta(index, "signature_delta", signature=signature),
        block_stop(index),
    ]


def tool_block(index: int, call_id: str, name: str, *pieces: str) -> list[Event]:
    """A whole call of a tool, its input in pieces of JSON."""
    return [
        block_start(index, type="tool_use", id=call_id, name=name, input={}),
        *(delta(index, "input_json_delta", partial_json=piece) for piece in pieces),
        block_stop(index),
    ]


def message_end(reason: str = "end_turn", *, stop_sequence: str | None = None, **usage: Any) -> list[Event]:
    ended = {"stop_reason": reason, "stop_sequence": stop_sequence}
    counts = {"output_tokens": 7, **usage}
    return [{"type": "message_delta", "delta": ended, "usage": counts}, {"type": "message_stop"}]


PING: Event = {"type": "ping"}
HELLO: tuple[Event, ...] = (message_start(), PING, *text_block(0, "Hello", " there."), *message_end())


def event_head(**headers: str) -> bytes:
    """The beginning of a streamed answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return head(200, {"Content-Type": "text/event-stream; charset=utf-8", **named}, chunked=True)


def events(*sent: Event, **headers: str) -> list[Step]:
    """A streamed answer, each event its own write."""
    pieces = [Send(chunk(data_of(event))) for event in sent]
    return [Send(event_head(**headers)), *pieces, Send(LAST_CHUNK)]


def refusal(status: int, kind: str, message: str, headers: Headers = ()) -> list[Step]:
    """A refusal as the API words it."""
    error = {"type": kind, "message": message}
    return document({"type": "error", "error": error, "request_id": "req_01"}, status, headers)
