"""What every call of one provider shares: the connection, the budget of retries, running streams, metrics."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final, TypeVar

from namel3ss.providers.conversation import load_images
from namel3ss.providers.local.openai_compatible._errors import (
    OpenAICompatibleBusyError,
    OpenAICompatibleKeyMissingError,
)
from namel3ss.providers.local.openai_compatible._kinds import OPENAI
from namel3ss.providers.local.openai_compatible._telemetry import observe
from namel3ss.providers.transport.retries import Again, Retries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.base import ProviderError
    from namel3ss.providers.local.openai_compatible._answer import Answer
    from namel3ss.providers.local.openai_compatible._http import CompatibleHttp
    from namel3ss.providers.local.openai_compatible._requests import Call
    from namel3ss.providers.running import RunningStream
    from namel3ss.providers.transport.events import ServerSentEvent
    from namel3ss.providers.transport.reading import PieceStream

__all__ = ["Exchange"]

T = TypeVar("T")

_LONGEST_PAUSE_S: Final = 30.0


class Exchange:
    """Carries calls to the server and looks at what comes back. One for each provider."""

    def __init__(
        self, owner: str, http: CompatibleHttp, *, lacks_key: bool, clock: Callable[[], float]
    ) -> None:
        self.owner = owner
        self.http = http
        self.clock = clock
        self.running: weakref.WeakSet[RunningStream[Any]] = weakref.WeakSet()
        self.is_closed = False
        self._lacks_key = lacks_key
        self._retries = Retries(clock=clock)

    def check_open(self) -> None:
        """Raises RuntimeError after the provider was closed."""
        if self.is_closed:
            raise RuntimeError(f"The provider {self.owner!r} is closed.")

    async def open_events(self, call: Call, answer: Answer) -> PieceStream[ServerSentEvent]:
        """The events of an answer, begun. Raises what the server refuses."""
        config = call.config
        body = call.body()

        async def send() -> PieceStream[ServerSentEvent]:
            events = self.http.events(
                "POST",
                call.path,
                body,
                first_timeout_s=config.first_token_timeout,
                idle_timeout_s=config.idle_timeout,
                total_timeout_s=config.total_timeout,
                headers=call.headers,
            )
            return await events.__aenter__()

        events = await self._run(send, model=call.model, max_retries=config.max_retries)
        answer.request_id = events.header(b"x-request-id") or None
        return events

    async def fetch(self, call: Call, *, timeout_s: float | None) -> bytes:
        """The whole answer at once."""
        self.check_open()
        await load_images(call.messages)
        body = call.body()

        async def send() -> bytes:
            return await self.http.request("POST", call.path, body, timeout_s=timeout_s, headers=call.headers)

        return await self._run(send, model=call.model, max_retries=call.config.max_retries)

    async def get(self, path: str, *, model: str | None, timeout_s: float | None, max_retries: int) -> bytes:
        """What the server answers to a GET."""
        self.check_open()

        async def send() -> bytes:
            return await self.http.request("GET", path, timeout_s=timeout_s)

        return await self._run(send, model=model, max_retries=max_retries)

    def observe(self, call: Call, answer: Answer | None, *, is_streamed: bool) -> RequestObservation:
        """Begin to observe a call that is about to be sent."""
        return observe(call, answer, self.http, owner=self.owner, is_streamed=is_streamed, clock=self.clock)

    async def _run(self, send: Callable[[], Awaitable[T]], *, model: str | None, max_retries: int) -> T:
        if self._lacks_key:
            raise OpenAICompatibleKeyMissingError(
                f"There is no key for OpenAI: api_key is not written, and {OPENAI.key_variable} is not set."
                " Nothing was sent.",
                model=model,
                base_url=self.http.base_url,
                suggestion=f"Set {OPENAI.key_variable}, or write api_key: env.MY_KEY in the declaration. A server of your"
                " own needs its base_url.",
            )
        return await self._retries.run(
            send, max_retries=max_retries, again=_may_send_again, asked_pause_s=_asked_pause_s
        )


def _may_send_again(error: ProviderError) -> Again:
    """Only what the server turned away, and not where it asks to wait longer than anybody would."""
    if not isinstance(error, OpenAICompatibleBusyError) or (error.retry_after_s or 0.0) > _LONGEST_PAUSE_S:
        return Again.NEVER
    return Again.AFTER_A_PAUSE


def _asked_pause_s(error: ProviderError) -> float | None:
    return error.retry_after_s if isinstance(error, OpenAICompatibleBusyError) else None
