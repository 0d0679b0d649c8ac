"""What scripted servers say in each protocol."""

from __future__ import annotations

import json

from tests.support.scripted_server import LAST_CHUNK, Send, Step, chunk, head, line

PROMPT = {"model": "tiny", "prompt": "hi"}
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": True}
MESSAGES = {**CHAT, "max_tokens": 20}


def token(text: str) -> bytes:
    return line({"model": "tiny", "created_at": "2026-01-01T00:00:00Z", "response": text, "done": False})


DONE = line(
    {
        "model": "tiny",
        "created_at": "2026-01-01T00:00:00Z",
        "response": "",
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 5,
        "eval_count": 2,
    }
)


def event(value: object, name: str = "") -> bytes:
    prefix = f"event: {name}\n" if name else ""
    return f"{prefix}data: {json.dumps(value)}\n\n".encode()


def delta(text: str) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    return (
        b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":['
        + json.dumps(choice).encode()
        + b"]}\n\n"
    )


STOP = delta("").replace(b"null", b'"stop"')
END_OF_CHAT = b"data: [DONE]\n\n"

MESSAGE_START = event({"type": "message_start", "message": {"usage": {"input_tokens": 1}}}, "message_start")
MESSAGE_DELTA = event({"type": "content_block_delta", "delta": {"text": "Hel"}}, "content_block_delta")

STREAM = {"Content-Type": "text/event-stream"}


def pieces(*sent: bytes, sse: bool = False) -> list[Step]:
    """The beginning of a streamed answer, each piece a chunk and a write of its own. Its end is the caller's to add."""
    return [Send(head(headers=STREAM if sse else (), chunked=True)), *(Send(chunk(piece)) for piece in sent)]


def stream(*sent: bytes, sse: bool = False) -> list[Step]:
    """A whole one."""
    return [*pieces(*sent, sse=sse), Send(LAST_CHUNK)]
