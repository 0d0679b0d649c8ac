"""The server behind every contender: ``python upstream.py [PORT]`` prints its port and answers until it is killed.

Speaks just enough of Ollama's and OpenAI's protocols. The model's name says how it answers: `plain` at once and in one piece,
`burst-LINES` as fast as it can, `paced-LINES-MS` with a line every so many milliseconds, `gate` not before somebody opens
the gate with a GET of /open, `chaos` well or badly, as it happens. Every line goes out in a write of its own.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
from functools import cache
from typing import cast

import uvloop

MODELS = ("plain", "burst-200", "paced-50-10", "gate", "chaos")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_MODEL = re.compile(rb'"model": *"([^"]+)"')
_DIGEST = "0123456789abcdef" * 4


def _answer(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s"
        % (
            len(body),
            body,
        )
    )


def _entry(name: str) -> dict[str, object]:
    details = {"format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "8B"}
    return {
        "name": f"{name}:latest",
        "model": f"{name}:latest",
        "modified_at": "2026-01-01T00:00:00Z",
        "size": 1000,
        "digest": "".join(f"{ord(letter):02x}" for letter in name)[:20].ljust(64, "0"),
        "details": details,
    }


_ENTRIES = [_entry(name) for name in MODELS]
_STATIC = {
    b"/": b"Ollama is running",
    b"/api/version": b'{"version":"0.24.0"}',
    b"/api/tags": json.dumps({"models": _ENTRIES}).encode(),
    b"/api/ps": json.dumps(
        {"models": [{**entry, "expires_at": "2999-01-01T00:00:00Z", "size_vram": 0} for entry in _ENTRIES]}
    ).encode(),
    b"/api/show": json.dumps({"details": _ENTRIES[0]["details"], "capabilities": ["completion"]}).encode(),
}
# Half of what `chaos` is asked goes well.
_MISDEEDS = (*[None] * 6, "refuse", "leave", "cut", "end early", "error line", "stall")
_TOTALS = (
    '"done":true,"done_reason":"stop","total_duration":5000000,"load_duration":1000000,"prompt_eval_count":12,'
    '"prompt_eval_duration":1000000,"eval_count":20,"eval_duration":3000000'
)
_PLAIN = _answer(
    (
        '{"model":"plain","created_at":"2026-01-01T00:00:00.000000Z","message":{"role":"assistant","content":"'
        + "word " * 10
        + '"},'
        + _TOTALS
        + "}"
    ).encode()
)
_PLAIN_OPENAI = _answer(
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"plain","choices":[{"index":0,"message":{"role":'
    b'"assistant","content":"' + b"word " * 10 + b'"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,'
    b'"completion_tokens":20,"total_tokens":32}}'
)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"


@cache
def _lines(model: str, count: int, openai: bool) -> tuple[bytes, ...]:
    """The chunks of a stream, each as it stands on the wire."""
    if openai:
        piece = '{"id":"c","object":"chat.completion.chunk","created":1,"model":"%s","choices":[{"index":0,"delta":{"content":"w"},"finish_reason":%s}]}'
        lines = [f"data: {piece % (model, 'null')}\n\n" for _ in range(count - 1)]
        lines += [f"data: {piece % (model, chr(34) + 'stop' + chr(34))}\n\n", "data: [DONE]\n\n"]
    else:
        head = f'{{"model":"{model}","created_at":"2026-01-01T00:00:00.000000Z","message":{{"role":"assistant","content":'
        lines = [f'{head}" w{number}"}},"done":false}}\n' for number in range(count - 1)]
        lines.append(f'{head}""}},{_TOTALS}}}\n')
    return tuple(b"%x\r\n%s\r\n" % (len(line), line) for line in (text.encode() for text in lines))


class Upstream(asyncio.Protocol):
    """One connection. One request at a time."""

    gate = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own do not derive from it
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._buffer, 0, end)
            stop = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < stop:
                return
            head, body, self._buffer = self._buffer[:end], self._buffer[end + 4 : stop], self._buffer[stop:]
            self._serve(head.split(b" ", 2)[1], body)

    def _serve(self, path: bytes, body: bytes) -> None:
        if path == b"/open":
            self.gate.set()
            self.transport.write(_answer(b"{}"))
        elif path in _STATIC:
            self.transport.write(_answer(_STATIC[path]))
        else:
            found = _MODEL.search(body)
            model = found[1].decode().removesuffix(":latest") if found else "plain"
            openai = path.startswith(b"/v1/")
            if model == "plain":
                self.transport.write(_PLAIN_OPENAI if openai else _PLAIN)
            else:
                self._task = asyncio.get_running_loop().create_task(self._stream(model, openai))

    async def _stream(self, model: str, openai: bool) -> None:
        if model == "gate":
            await self.gate.wait()
            self.transport.write(_PLAIN_OPENAI if openai else _PLAIN)
            return
        if model == "chaos" and (misdeed := random.choice(_MISDEEDS)) is not None:
            await self._misbehave(misdeed, openai)
            return
        model = "burst-200" if model == "chaos" else model
        _kind, count, *pace = model.split("-")
        self.transport.write(_HEAD % (b"text/event-stream" if openai else b"application/x-ndjson"))
        for number, line in enumerate(_lines(model, int(count), openai)):
            if pace:
                await asyncio.sleep(int(pace[0]) / 1000)
            elif number % 10 == 0:
                await asyncio.sleep(0)
            self.transport.write(line)
        self.transport.write(b"0\r\n\r\n")

    async def _misbehave(self, misdeed: str, openai: bool) -> None:
        """One of the ways in which servers fail."""
        head = _HEAD % (b"text/event-stream" if openai else b"application/x-ndjson")
        lines = _lines("burst-200", 200, openai)
        if misdeed == "refuse":
            body = b'{"error":"llama runner process has terminated: exit status 2"}'
            self.transport.write(
                b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
        elif misdeed == "leave":
            self.transport.abort()
        elif misdeed == "cut":
            self.transport.write(head + b"".join(lines[:7]) + lines[7][:20])
            self.transport.abort()
        elif misdeed == "end early":
            self.transport.write(head + b"".join(lines[:7]) + b"0\r\n\r\n")
        elif misdeed == "error line":
            line = b'{"error":"an error was encountered while running the model: CUDA error"}\n'
            self.transport.write(head + b"".join(lines[:7]) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(line), line))
        else:
            await asyncio.sleep(random.uniform(0.2, 3.0))
            self.transport.write(head)
            for line in lines[-40:]:
                await asyncio.sleep(0.02)
                self.transport.write(line)
            self.transport.write(b"0\r\n\r\n")


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=10_000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
