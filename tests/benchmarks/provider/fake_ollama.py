"""A server that costs as little as possible: every answer is encoded before it is asked for.

Runs in a process of its own (``python fake_ollama.py``) and prints its port. The model's name is the script:
``burst-2000`` is an answer of 2000 pieces in one write, ``flush-2000`` the same with a write for each piece,
``paced-100-64`` 100 pieces, 64 a second, each the time it was sent at, and ``endless-1000`` pieces until the client
leaves, with 1 ms between them. A path with ``/v1`` answers in OpenAI's form. Standard library only.
"""

from __future__ import annotations

import asyncio
import functools
import json
import time

PROMPT_TOKENS = 26
_CREATED_AT = "2026-11-21T08:12:14.56740608Z"


def pieces(count: int) -> list[str]:
    """The text of an answer, as it is cut."""
    return [f" word{number % 97}" for number in range(count)]


def chat_line(model: str, content: str) -> bytes:
    message = {"role": "assistant", "content": content}
    return _line({"model": model, "created_at": _CREATED_AT, "message": message, "done": False})


def chat_end(model: str, count: int, content: str = "") -> bytes:
    return _line(
        {
            "model": model,
            "created_at": _CREATED_AT,
            "message": {"role": "assistant", "content": content},
            "done": True,
            "done_reason": "stop",
            "total_duration": 4_883_583_458,
            "load_duration": 1_334_875,
            "prompt_eval_count": PROMPT_TOKENS,
            "prompt_eval_duration": 342_546_000,
            "eval_count": count,
            "eval_duration": 4_535_599_000,
        }
    )


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(content_type: str) -> bytes:
    return (f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n").encode()


NDJSON_HEAD = _head("application/x-ndjson")
_SSE_HEAD = _head("text/event-stream")


@functools.cache
def streamed(model: str, count: int) -> tuple[bytes, ...]:
    lines = [chat_line(model, piece) for piece in pieces(count)]
    return (NDJSON_HEAD, *(_chunk(line) for line in (*lines, chat_end(model, count))), b"0\r\n\r\n")


@functools.cache
def events(model: str, count: int) -> tuple[bytes, ...]:
    def event(choices: list[object], **further: object) -> bytes:
        body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        return b"data: " + _line({**body, "choices": choices, **further}) + b"\n"

    usage = {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": count,
        "total_tokens": PROMPT_TOKENS + count,
    }
    sent = [
        event([{"index": 0, "delta": {"role": "assistant", "content": piece}, "finish_reason": None}])
        for piece in pieces(count)
    ]
    sent.append(event([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    sent.append(event([], usage=usage))
    sent.append(b"data: [DONE]\n\n")
    return (_SSE_HEAD, *map(_chunk, sent), b"0\r\n\r\n")


@functools.cache
def plain(model: str, count: int, is_openai: bool) -> bytes:
    text = "".join(pieces(count))
    body = chat_end(model, count, text)
    if is_openai:
        message = {"role": "assistant", "content": text}
        usage = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": count,
            "total_tokens": PROMPT_TOKENS + count,
        }
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        body = _line(
            {
                "id": "c",
                "object": "chat.completion",
                "created": 1,
                "model": model,
                "choices": choices,
                "usage": usage,
            }
        )
    return _document(body)


def _document(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_SHOWN = _document(
    _line({"details": {"family": "llama"}, "model_info": {}, "capabilities": ["completion"], "template": ""})
)
_LOADED = _document(_line({"models": []}))


async def _answer(path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
    if not body or not path.endswith(("/chat", "/chat/completions")):
        writer.write(_SHOWN if path == "/api/show" else _LOADED)
        return
    request = json.loads(body)
    model = request["model"]
    mode, count, *rest = model.split("-")
    is_openai = path.startswith("/v1")
    if not request.get("stream", not is_openai):
        writer.write(plain(model, int(count), is_openai))
        return
    if mode == "paced":
        await _paced(model, int(count), int(rest[0]), writer)
        return
    if mode == "endless":
        await _endless(model, writer)
        return
    sent = (events if is_openai else streamed)(model, int(count))
    if mode == "burst":
        writer.write(b"".join(sent))
    else:
        for piece in sent:
            writer.write(piece)
            await asyncio.sleep(0)
    await writer.drain()


async def _paced(model: str, count: int, per_second: int, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    writer.write(NDJSON_HEAD)
    for number in range(count):
        await asyncio.sleep(max(0.0, started_at + number / per_second - loop.time()))
        writer.write(_chunk(chat_line(model, repr(time.monotonic()))))
    writer.write(_chunk(chat_end(model, count)) + b"0\r\n\r\n")


async def _endless(model: str, writer: asyncio.StreamWriter) -> None:
    writer.write(NDJSON_HEAD)
    line = _chunk(chat_line(model, " word"))
    while not writer.is_closing():
        writer.write(line)
        await writer.drain()
        await asyncio.sleep(0.001)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ", 2)[1]
            length = 0
            for field in head.split("\r\n"):
                if field.lower().startswith("content-length:"):
                    length = int(field.partition(":")[2])
            await _answer(path, await reader.readexactly(length), writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has left
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
