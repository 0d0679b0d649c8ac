"""A running answer of Ollama."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.providers.conversation import load_images
from namel3ss.providers.local.ollama._answer import Answer
from namel3ss.providers.local.ollama._errors import OllamaError, OllamaStreamInterruptedError
from namel3ss.providers.local.ollama._telemetry import end_observation
from namel3ss.providers.running import RunningStream

if TYPE_CHECKING:
    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.base import ProviderError
    from namel3ss.providers.local.ollama._exchange import Exchange
    from namel3ss.providers.local.ollama._requests import Call
    from namel3ss.providers.transport.reading import PieceStream

__all__ = ["OllamaStream"]


class OllamaStream(RunningStream[bytes]):
    """One answer of Ollama, line by line; see `RunningStream`."""

    def __init__(self, exchange: Exchange, call: Call, *, is_read_in_pieces: bool) -> None:
        self._exchange = exchange
        self._call = call
        self._lines = Answer(call.model, is_chat=call.is_chat, clock=exchange.clock)
        super().__init__(
            self._lines, model=call.model, running=exchange.running, is_read_in_pieces=is_read_in_pieces
        )

    async def _load(self) -> None:
        await self._exchange.load()

    def _observe(self) -> RequestObservation:
        self._exchange.check_open()
        return self._exchange.observe(self._call, self._lines, is_streamed=self._is_read_in_pieces)

    async def _prepare(self) -> None:
        await load_images(self._call.messages)

    async def _begin(self) -> PieceStream[bytes]:
        return await self._exchange.open_lines(self._call, self._lines)

    async def _check_complete(self) -> None:
        self._exchange.attempts.completed(self._lines.base_url)
        await self._exchange.check_context(self._call, self._lines)

    async def _explained(self, error: ProviderError, *, had_begun: bool) -> ProviderError:
        if not isinstance(error, OllamaError):
            return error
        if had_begun:
            self._exchange.attempts.broke_off(self._lines.base_url, error)
        error = await self._exchange.explained(error, self._call)
        return self._lines.attach_to(error)

    def _end_observation(self, observation: RequestObservation, error: BaseException | None) -> None:
        end_observation(observation, self._lines, chunks=self._chunks, error=error)

    def _closed(self) -> ProviderError:
        return OllamaStreamInterruptedError(
            "The provider was closed while this answer was arriving.",
            model=self._call.model,
            base_url=self._lines.base_url,
            suggestion="Close the provider when its streams have ended.",
        )
