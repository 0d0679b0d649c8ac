"""Events and documents as servers of OpenAI's protocol send them, for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.scripted_server import LAST_CHUNK, Send, Step, chunk, head

if TYPE_CHECKING:
    from tests.contract.recordings import Recording

CHAT = "/v1/chat/completions"
STREAM = {"Content-Type": "text/event-stream; charset=utf-8", "X-Request-Id": "req_1"}
DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 6, "completion_tokens": 7, "total_tokens": 13}


def event(document: object) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"


def piece(content: object = None, *, finish: str | None = None, **delta: Any) -> bytes:
    """An event with one choice; further fields of its delta by keyword."""
    written = {**({} if content is None else {"content": content}), **delta}
    return event(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "model": "served-model",
            "choices": [{"index": 0, "delta": written, "finish_reason": finish}],
        }
    )


def usage(**counts: Any) -> bytes:
    return event({"id": "chatcmpl-1", "choices": [], "usage": {**USAGE, **counts}})


def call_piece(
    index: int | None, *, call_id: str | None = None, name: str | None = None, arguments: Any = None
) -> bytes:
    part: dict[str, Any] = {"function": {}}
    if index is not None:
        part["index"] = index
    if call_id is not None:
        part |= {"id": call_id, "type": "function"}
    if name is not None:
        part["function"]["name"] = name
    if arguments is not None:
        part["function"]["arguments"] = arguments
    return piece(tool_calls=[part])


def streamed(*events: bytes, together: bool = False) -> list[Step]:
    """A streamed answer, each event its own chunk and write; or all in one write."""
    chunks = [chunk(each) for each in events]
    if together:
        return [Send(head(200, STREAM, chunked=True) + b"".join(chunks) + LAST_CHUNK)]
    return [Send(head(200, STREAM, chunked=True)), *(Send(each) for each in chunks), Send(LAST_CHUNK)]


HELLO = streamed(piece("", role="assistant"), piece("Hel"), piece("lo"), piece(finish="stop"), usage(), DONE)


def whole(message: dict[str, Any], *, finish: str = "stop", **fields: Any) -> dict[str, Any]:
    """A whole answer."""
    return {
        "id": "chatcmpl-2",
        "object": "chat.completion",
        "model": "served-model",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
        "usage": USAGE,
        **fields,
    }


def replayed(recording: Recording) -> list[Step]:
    """A recorded answer, byte for byte but for its length."""
    response = recording.response
    pairs = [
        (name, value)
        for name, value in response["headers"]
        if name.lower() not in ("content-length", "transfer-encoding", "connection", "date")
    ]
    if "lines" in response:
        body = "\n".join([*response["lines"], ""]).encode()
        return [Send(head(response["status"], pairs, chunked=True) + chunk(body) + LAST_CHUNK)]
    body = response["body"].encode()
    return [Send(head(response["status"], pairs, length=len(body)) + body)]
