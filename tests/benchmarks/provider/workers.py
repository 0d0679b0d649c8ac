"""One client of the comparison, in a process of its own: ``python workers.py NAME PORT``.

Reads one job a line from standard input (``{"do": "stream", "model": "burst-2000", "times": 5}``) and answers each with
one line: CPU and wall seconds, how many pieces, and a hash of everything that was read. Every client is used as its own
documentation advises, once made and then reused; each looks at the text of every piece and at the final counts. Runs in
the environment of its client, so that nothing is imported here that all of them would pay for.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import resource
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROMPT = "Why is the sky blue?"
MESSAGES = [{"role": "user", "content": PROMPT}]

# A piece of text, or at the end the counts (prompt, completion).
Piece: TypeAlias = "str | tuple[int, int]"


class Client(Protocol):
    async def stream(self, model: str) -> AsyncIterator[Piece]:
        yield ""

    async def plain(self, model: str) -> tuple[str, int, int]: ...


class Namel3ss:
    def __init__(self, port: int) -> None:
        from namel3ss.observability.metrics import register_metric_listener
        from namel3ss.providers.local.ollama import OllamaProvider

        # Metrics are on: somebody listens.
        register_metric_listener(lambda name, values, labels: None)
        self._port = port
        self._provider = OllamaProvider
        self._made: dict[tuple[str, str], Any] = {}

    def _of(self, model: str, wire: str) -> Any:
        if (model, wire) not in self._made:
            settings = {"base_url": f"http://127.0.0.1:{self._port}", "wire": wire}
            self._made[model, wire] = self._provider("bench", model, settings)
        return self._made[model, wire]

    async def stream(self, model: str) -> AsyncIterator[Piece]:
        async with self._of(model, "stream").stream(PROMPT) as stream:
            async for chunk in stream:
                if chunk.metadata:
                    yield chunk.metadata["tokens"]["prompt"], chunk.metadata["tokens"]["completion"]
                else:
                    yield chunk.output_text

    async def plain(self, model: str) -> tuple[str, int, int]:
        response = await self._of(model, "plain").generate(PROMPT)
        return response.output_text, response.usage["prompt_tokens"], response.usage["completion_tokens"]


class OllamaPython:
    def __init__(self, port: int) -> None:
        import ollama

        self._client = ollama.AsyncClient(host=f"http://127.0.0.1:{port}")

    async def stream(self, model: str) -> AsyncIterator[Piece]:
        async for part in await self._client.chat(model=model, messages=MESSAGES, stream=True):
            if part.done:
                yield part.prompt_eval_count or 0, part.eval_count or 0
            else:
                yield part.message.content or ""

    async def plain(self, model: str) -> tuple[str, int, int]:
        part = await self._client.chat(model=model, messages=MESSAGES)
        return part.message.content or "", part.prompt_eval_count or 0, part.eval_count or 0


class LangchainOllama:
    def __init__(self, port: int) -> None:
        from langchain_ollama import ChatOllama

        self._class = ChatOllama
        self._url = f"http://127.0.0.1:{port}"
        self._made: dict[str, Any] = {}

    def _of(self, model: str) -> Any:
        if model not in self._made:
            self._made[model] = self._class(model=model, base_url=self._url)
        return self._made[model]

    async def stream(self, model: str) -> AsyncIterator[Piece]:
        async for chunk in self._of(model).astream(PROMPT):
            if chunk.usage_metadata:
                yield chunk.usage_metadata["input_tokens"], chunk.usage_metadata["output_tokens"]
            elif chunk.content:
                yield chunk.content

    async def plain(self, model: str) -> tuple[str, int, int]:
        message = await self._of(model).ainvoke(PROMPT)
        return (
            message.content,
            message.usage_metadata["input_tokens"],
            message.usage_metadata["output_tokens"],
        )


class Litellm:
    def __init__(self, port: int) -> None:
        import os

        self._url = os.environ["OLLAMA_API_BASE"] = f"http://127.0.0.1:{port}"
        import litellm

        litellm.suppress_debug_info = True
        self._complete = litellm.acompletion

    async def stream(self, model: str) -> AsyncIterator[Piece]:
        answer = await self._complete(
            model=f"ollama_chat/{model}",
            messages=MESSAGES,
            api_base=self._url,
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in answer:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                yield text
            if usage := getattr(chunk, "usage", None):
                yield usage.prompt_tokens, usage.completion_tokens

    async def plain(self, model: str) -> tuple[str, int, int]:
        answer = await self._complete(model=f"ollama_chat/{model}", messages=MESSAGES, api_base=self._url)
        return answer.choices[0].message.content, answer.usage.prompt_tokens, answer.usage.completion_tokens


class OpenAi:
    def __init__(self, port: int) -> None:
        import openai

        # Untyped, so that the file is checked alike where the client is installed and where it is not.
        self._client: Any = openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="ollama")

    async def stream(self, model: str) -> AsyncIterator[Piece]:
        answer = await self._client.chat.completions.create(
            model=model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in answer:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                yield text
            if chunk.usage:
                yield chunk.usage.prompt_tokens, chunk.usage.completion_tokens

    async def plain(self, model: str) -> tuple[str, int, int]:
        answer = await self._client.chat.completions.create(model=model, messages=MESSAGES)
        return (
            answer.choices[0].message.content or "",
            answer.usage.prompt_tokens,
            answer.usage.completion_tokens,
        )


def _body(model: str, stream: bool) -> bytes:
    return json.dumps({"model": model, "messages": MESSAGES, "stream": stream}).encode()


def _read(line: Any) -> Piece:
    if line["done"]:
        return line["prompt_eval_count"], line["eval_count"]
    text: str = line["message"]["content"]
    return text


class RawSocket:
    """A floor: asyncio's streams and msgspec, no pool, no checks, no types."""

    def __init__(self, port: int) -> None:
        import msgspec

        self._decode = msgspec.json.Decoder().decode
        self._port = port
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def _send(self, model: str, stream: bool) -> asyncio.StreamReader:
        if self._connection is None:
            self._connection = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        reader, writer = self._connection
        body = _body(model, stream)
        writer.write(
            b"POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        return reader

    async def stream(self, model: str) -> AsyncIterator[Piece]:
        reader = await self._send(model, True)
        await reader.readuntil(b"\r\n\r\n")
        rest = b""
        while not rest.endswith(b"0\r\n\r\n"):
            *lines, rest = (rest + await reader.read(1 << 16)).split(b"\n")
            for line in lines:
                if line.startswith(b"{"):
                    yield _read(self._decode(line))
            if lines and rest == b"" and lines[-1] == b"\r" and len(lines) > 1 and lines[-2] == b"0\r":
                return

    async def plain(self, model: str) -> tuple[str, int, int]:
        reader = await self._send(model, False)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        line = self._decode(await reader.readexactly(length))
        return line["message"]["content"], line["prompt_eval_count"], line["eval_count"]


class Aiohttp:
    """A floor: aiohttp's session and orjson, split at line ends."""

    def __init__(self, port: int) -> None:
        import orjson

        self._decode = orjson.loads
        self._url = f"http://127.0.0.1:{port}/api/chat"
        self._session: Any = None

    def _post(self, model: str, stream: bool) -> Any:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession()
        return self._session.post(self._url, data=_body(model, stream))

    async def stream(self, model: str) -> AsyncIterator[Piece]:
        async with self._post(model, True) as answer:
            rest = b""
            async for part in answer.content.iter_any():
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    yield _read(self._decode(line))

    async def plain(self, model: str) -> tuple[str, int, int]:
        async with self._post(model, False) as answer:
            line = self._decode(await answer.read())
        return line["message"]["content"], line["prompt_eval_count"], line["eval_count"]


CLIENTS: dict[str, type] = {
    "namel3ss": Namel3ss,
    "ollama-python": OllamaPython,
    "langchain-ollama": LangchainOllama,
    "litellm": Litellm,
    "openai on /v1": OpenAi,
    "raw socket + msgspec": RawSocket,
    "aiohttp + orjson": Aiohttp,
}


async def _stream(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    seen = hashlib.sha256()
    count = 0
    for _ in range(job["times"]):
        async for piece in client.stream(job["model"]):
            if isinstance(piece, str):
                count += 1
                seen.update(piece.encode())
            else:
                seen.update(repr(piece).encode())
    return {"pieces": count, "hash": seen.hexdigest()}


async def _plain(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    seen = hashlib.sha256()
    for _ in range(job["times"]):
        seen.update(repr(await client.plain(job["model"])).encode())
    return {"pieces": job["times"], "hash": seen.hexdigest()}


async def _paced(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """How long after it was sent each piece arrives, over many streams at once; in seconds."""
    late: list[float] = []

    async def read() -> None:
        late.extend(
            [
                time.monotonic() - float(piece)
                async for piece in client.stream(job["model"])
                if isinstance(piece, str)
            ]
        )

    await asyncio.gather(*(read() for _ in range(job["times"])))
    late.sort()
    return {
        "pieces": len(late),
        "hash": "",
        "p50_s": late[len(late) // 2],
        "p99_s": late[len(late) * 99 // 100],
    }


async def _memory(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """How far the resident memory grows while one stream is read and nothing of it is kept."""
    async for _ in client.stream("burst-1000"):
        pass
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = size = 0
    async for piece in client.stream(job["model"]):
        if isinstance(piece, str):
            count += 1
            size += len(piece)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"pieces": count, "hash": "", "grown_bytes": grown * 1024, "text_bytes": size}


async def main(name: str, port: int) -> None:
    client: Client = CLIENTS[name](port)
    jobs = {"stream": _stream, "plain": _plain, "paced": _paced, "memory": _memory}
    loop = asyncio.get_running_loop()
    while order := await loop.run_in_executor(None, sys.stdin.readline):
        job = json.loads(order)
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        found = await jobs[job["do"]](client, job)
        found |= {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
