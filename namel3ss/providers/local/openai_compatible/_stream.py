"""A running answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.providers.call_telemetry import end_observation
from namel3ss.providers.conversation import load_images
from namel3ss.providers.local.openai_compatible._answer import Answer
from namel3ss.providers.local.openai_compatible._errors import (
    OpenAICompatibleError,
    OpenAICompatibleStreamInterruptedError,
)
from namel3ss.providers.running import RunningStream
from namel3ss.providers.transport.events import ServerSentEvent

if TYPE_CHECKING:
    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.base import ProviderError
    from namel3ss.providers.local.openai_compatible._exchange import Exchange
    from namel3ss.providers.local.openai_compatible._requests import Call
    from namel3ss.providers.transport.reading import PieceStream

__all__ = ["OpenAICompatibleStream"]


class OpenAICompatibleStream(RunningStream[ServerSentEvent]):
    """One answer, event by event; see `RunningStream`."""

    _answer: Answer

    def __init__(self, exchange: Exchange, call: Call, *, is_read_in_pieces: bool) -> None:
        super().__init__(
            Answer(call.model, exchange.http, clock=exchange.clock),
            model=call.model,
            running=exchange.running,
            is_read_in_pieces=is_read_in_pieces,
        )
        self._exchange = exchange
        self._call = call

    async def _load(self) -> None:
        await self._exchange.http.load()

    def _observe(self) -> RequestObservation:
        self._exchange.check_open()
        return self._exchange.observe(self._call, self._answer, is_streamed=self._is_read_in_pieces)

    async def _prepare(self) -> None:
        await load_images(self._call.messages)

    async def _begin(self) -> PieceStream[ServerSentEvent]:
        return await self._exchange.open_events(self._call, self._answer)

    async def _check_complete(self) -> None:
        """Nothing: the server has said that the answer is complete."""

    async def _explained(self, error: ProviderError, *, had_begun: bool) -> ProviderError:
        return self._answer.attach_to(error) if isinstance(error, OpenAICompatibleError) else error

    def _end_observation(self, observation: RequestObservation, error: BaseException | None) -> None:
        end_observation(observation, self._answer, chunks=self._chunks, error=error)

    def _closed(self) -> ProviderError:
        return OpenAICompatibleStreamInterruptedError(
            "The provider was closed while this answer was arriving.",
            model=self.model,
            base_url=self._exchange.http.base_url,
            suggestion="Close the provider when its streams have ended.",
        )
