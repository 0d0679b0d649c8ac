"""A provider that gives the answers it was given."""

from __future__ import annotations

import asyncio
import hashlib
import math
from typing import TYPE_CHECKING, Any

from namel3ss.errors import UsageError
from namel3ss.providers.base import (
    EmbeddingResponse,
    N3Provider,
    ProviderChunk,
    ProviderError,
    ProviderResponse,
    ProviderStream,
    ToolCall,
)
from namel3ss.providers.scripted._script import (
    Pause,
    ScriptedAnswer,
    ScriptedCall,
    ScriptUsedUpError,
    answer_of,
    conversation,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from namel3ss.providers.base import Messages
    from namel3ss.providers.scripted._script import Outcome, Scripted
    from namel3ss.providers.scripted._sync import SyncScriptedProvider

__all__ = ["ScriptedProvider", "ScriptedStream"]

_DIMENSIONS = 8


class ScriptedProvider(N3Provider):
    """Answers as it was told, one answer for each call, and remembers the calls. No server, no network, no clock.

        provider = ScriptedProvider("Hello!", OllamaServerBusyError("busy"), ["Good", "bye"])
        await program(provider)
        assert provider.calls[0].prompt == "Hi"

    A call beyond the last answer raises ScriptUsedUpError, unless `repeat` gives the last one again and again. The
    calls are those of OllamaProvider that need no server: `generate`, `stream`, `generate_batch` and `embed`, and the
    same on `sync`. Any
    override is accepted and remembered.
    """

    def __init__(
        self, *answers: Scripted, name: str = "scripted", model: str = "scripted", repeat: bool = False
    ) -> None:
        self.name = name
        self.model = model
        self.calls: list[ScriptedCall] = []
        self.embedded: list[str] = []
        self._answers = list(answers)
        self._repeat = repeat
        self._given = 0
        self._running: set[ScriptedStream] = set()
        self._is_closed = False
        self._sync: SyncScriptedProvider | None = None

    @property
    def sync(self) -> SyncScriptedProvider:
        """The same calls for code without asyncio, as the other providers have them."""
        if self._sync is None:
            from namel3ss.providers.scripted._sync import SyncScriptedProvider

            self._sync = SyncScriptedProvider(self)
        return self._sync

    def add(self, *answers: Scripted) -> None:
        """More answers, behind those there are."""
        self._answers += answers

    @property
    def unused(self) -> int:
        """How many answers nobody has asked for yet."""
        return max(len(self._answers) - self._given, 0)

    async def generate(self, messages: Messages, **overrides: Any) -> ProviderResponse:
        """The next answer, whole."""
        async with self._stream(messages, overrides, is_streamed=False) as stream:
            return await stream.result()

    def stream(self, messages: Messages, **overrides: Any) -> ScriptedStream:
        """The next answer, piece by piece."""
        return self._stream(messages, overrides, is_streamed=True)

    async def generate_batch(
        self, batch: Sequence[Messages], max_concurrency: int | None = None, **overrides: Any
    ) -> list[ProviderResponse | ProviderError]:
        """The next answers, one for each item, in order; an error stands in the place of its answer."""
        results: list[ProviderResponse | ProviderError] = []
        for item in batch:
            try:
                results.append(await self.generate(item, **overrides))
            except ProviderError as error:
                results.append(error)
        return results

    async def embed(
        self, texts: str | Sequence[str], *, dimensions: int | None = None, **overrides: Any
    ) -> EmbeddingResponse:
        """A vector of length one for each text: equal for equal texts, and made from nothing else."""
        self._check_open()
        wanted = [texts] if isinstance(texts, str) else list(texts)
        size = _DIMENSIONS if dimensions is None else dimensions
        if size < 1:
            raise UsageError(f"A vector has at least one dimension, not {size}.")
        self.embedded += wanted
        return EmbeddingResponse(
            [_vector(text, size) for text in wanted], self.model, metadata={"provider": "scripted"}
        )

    async def aclose(self) -> None:
        if self._sync is not None:
            self._sync.end_thread()
        await self.close_here()

    async def close_here(self) -> None:
        """Close what belongs to the running event loop; `sync` ends its own."""
        self._is_closed = True
        for stream in list(self._running):
            stream.close_by_provider()

    def _stream(
        self, messages: Messages, overrides: Mapping[str, Any], *, is_streamed: bool
    ) -> ScriptedStream:
        self._check_open()
        call = ScriptedCall(conversation(messages), dict(overrides), is_streamed)
        return ScriptedStream(self, call)

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError(f"The provider {self.name!r} is closed.")

    def begin(self, stream: ScriptedStream, call: ScriptedCall) -> ScriptedAnswer:
        """Remember a call that is being made, and say its answer."""
        self._check_open()
        self.calls.append(call)
        place = min(self._given, len(self._answers) - 1) if self._repeat else self._given
        self._given += 1
        count = len(self._answers)
        if not 0 <= place < count:
            call.outcome = "error"
            raise ScriptUsedUpError(
                f"The scripted provider {self.name!r} has {count} answer{'' if count == 1 else 's'}, and this is call"
                f" {len(self.calls)}: {call.prompt!r}"
            )
        self._running.add(stream)
        return answer_of(self._answers[place], call)

    def ended(self, stream: ScriptedStream) -> None:
        """That stream gives no more."""
        self._running.discard(stream)

    def __repr__(self) -> str:
        return f"<ScriptedProvider {self.name!r}: {len(self.calls)} calls, {self.unused} answers unused>"


class ScriptedStream(ProviderStream):
    """A scripted answer, piece by piece."""

    def __init__(self, provider: ScriptedProvider, call: ScriptedCall) -> None:
        self._provider = provider
        self._call = call
        self._answer: ScriptedAnswer | None = None
        self._left: list[ProviderChunk | Pause] = []
        self._received: list[ProviderChunk] = []
        self._held: asyncio.Task[None] | None = None
        self._is_closed_by_provider = False

    async def __anext__(self) -> ProviderChunk:
        # As a real connection would: whoever reads an answer lets others run.
        await asyncio.sleep(0)
        try:
            return await self._next()
        except StopAsyncIteration:
            raise
        except BaseException as error:
            self._end("error" if isinstance(error, Exception) else "cancelled")
            raise

    async def _next(self) -> ProviderChunk:
        if self._answer is None and self._call.outcome == "running":
            self._answer = self._provider.begin(self, self._call)
            self._left = self._answer.pieces()
        while True:
            answer = self._answer
            if answer is None or self._call.outcome != "running":
                raise StopAsyncIteration
            if self._is_closed_by_provider:
                raise ProviderError("The provider was closed while this answer was arriving.")
            if not self._left:
                return self._last(answer)
            piece = self._left.pop(0)
            if isinstance(piece, ProviderChunk):
                self._received.append(piece)
                return piece
            await self._hold(piece)

    def _last(self, answer: ScriptedAnswer) -> ProviderChunk:
        if answer.error is not None:
            raise self._with_what_arrived(answer.error)
        self._end("ok")
        return ProviderChunk(metadata=self._metadata(answer))

    async def _hold(self, pause: Pause) -> None:
        """Wait at a pause; no longer than the stream is wanted and its provider is open."""
        self._held = asyncio.create_task(pause.hold())
        try:
            await asyncio.wait({self._held})
        finally:
            self._held.cancel()
            self._held = None

    async def cancel(self) -> None:
        self._end("cancelled")

    async def result(self) -> ProviderResponse:
        async for _ in self:
            pass
        return self._response()

    def close_by_provider(self) -> None:
        """The provider is closed: whoever reads this gets an error that says so."""
        self._is_closed_by_provider = True
        if self._held is not None:
            self._held.cancel()

    def _end(self, outcome: Outcome) -> None:
        self._provider.ended(self)
        if self._call.outcome == "running":
            self._call.outcome = outcome
        if self._held is not None:
            self._held.cancel()

    def _with_what_arrived(self, error: Exception) -> Exception:
        for name, value in (("partial_text", self._text), ("chunks", len(self._received))):
            if hasattr(error, name):
                setattr(error, name, value)
        return error

    @property
    def _text(self) -> str:
        return "".join(chunk.output_text for chunk in self._received)

    @property
    def _tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(call for chunk in self._received for call in chunk.tool_calls)

    def _finish_reason(self, answer: ScriptedAnswer) -> str:
        return "tool_calls" if self._tool_calls and answer.finish_reason == "stop" else answer.finish_reason

    def _metadata(self, answer: ScriptedAnswer) -> dict[str, Any]:
        return {
            "provider": "scripted",
            "model": self._provider.model,
            "done": self._call.outcome == "ok",
            "finish_reason": self._finish_reason(answer),
            "tokens": {key.removesuffix("_tokens"): count for key, count in answer.usage.items()},
            **answer.metadata,
        }

    def _response(self) -> ProviderResponse:
        """Everything received so far."""
        answer = self._answer or ScriptedAnswer()
        is_complete = self._call.outcome == "ok"
        thinking = "".join(chunk.thinking for chunk in self._received)
        return ProviderResponse(
            output_text=self._text,
            model=self._provider.model,
            finish_reason=self._finish_reason(answer) if is_complete else None,
            usage=answer.usage if is_complete else ScriptedAnswer().usage,
            tool_calls=self._tool_calls,
            thinking=thinking or None,
            metadata=self._metadata(answer),
        )

    def __repr__(self) -> str:
        return f"<ScriptedStream: {self._call.outcome}, {len(self._received)} chunks>"


def _vector(text: str, size: int) -> list[float]:
    numbers = [
        int.from_bytes(hashlib.sha256(f"{place} {text}".encode("utf-8", "replace")).digest()[:4], "big")
        / 2**31
        - 1.0
        for place in range(size)
    ]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]
