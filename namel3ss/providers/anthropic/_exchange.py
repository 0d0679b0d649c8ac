"""What every call of one provider shares: the connection, the budget of retries, running streams, metrics."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from namel3ss.providers.anthropic._address import API_KEY_ENV
from namel3ss.providers.anthropic._errors import (
    AnthropicBusyError,
    AnthropicError,
    AnthropicKeyMissingError,
    AnthropicUnreachableError,
)
from namel3ss.providers.anthropic._telemetry import observe
from namel3ss.providers.transport.retries import Again, Retries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.anthropic._answer import Answer
    from namel3ss.providers.anthropic._http import AnthropicHttp
    from namel3ss.providers.anthropic._requests import Call
    from namel3ss.providers.base import ProviderError
    from namel3ss.providers.running import RunningStream
    from namel3ss.providers.transport.events import ServerSentEvent
    from namel3ss.providers.transport.reading import PieceStream

__all__ = ["MESSAGES_PATH", "Exchange", "asked_pause_s", "may_send_again"]

T = TypeVar("T")

MESSAGES_PATH: Final = "/v1/messages"

_LONGEST_PAUSE_S: Final = 30.0
# Connections that failed in a way that may be over in a moment.
_PASSING: Final = frozenset(["connect_refused", "connect_timeout", "dns"])


class Exchange:
    """Carries calls to the API and looks at what comes back. One for each provider."""

    def __init__(
        self, owner: str, http: AnthropicHttp, *, needs_key: bool, clock: Callable[[], float]
    ) -> None:
        self.owner = owner
        self.http = http
        self.clock = clock
        self.running: weakref.WeakSet[RunningStream[ServerSentEvent]] = weakref.WeakSet()
        self.is_closed = False
        self._needs_key = needs_key
        self._retries = Retries(clock=clock)

    def check_open(self) -> None:
        """Raises RuntimeError after the provider was closed."""
        if self.is_closed:
            raise RuntimeError(f"The provider {self.owner!r} is closed.")

    def check_credentials(self, model: str | None) -> None:
        """Raises AnthropicKeyMissingError where nothing says who is asking."""
        if self._needs_key:
            raise AnthropicKeyMissingError(
                f"There is no key for Anthropic's API: `api_key` is not written, and `{API_KEY_ENV}` is not set.",
                model=model,
                base_url=self.http.base_url,
                suggestion=f"Set {API_KEY_ENV}, or write `api_key: env.MY_KEY` in the declaration. Nothing was sent.",
            )

    async def open_events(self, call: Call, answer: Answer) -> PieceStream[ServerSentEvent]:
        """The events of an answer, begun. Raises what the API refuses."""
        self.check_credentials(call.model)
        config = call.config
        answer.base_url, answer.secrets = self.http.base_url, self.http.secrets
        events = await self.send_events(
            call.body,
            limits_s=(config.first_token_timeout, config.idle_timeout, config.total_timeout),
            headers=call.headers,
            max_retries=config.max_retries,
        )
        answer.request_id = events.header(b"request-id") or events.header(b"x-request-id") or None
        return events

    async def send_events(
        self,
        body: Mapping[str, Any],
        *,
        limits_s: tuple[float | None, float | None, float | None],
        headers: Mapping[str, str],
        max_retries: int,
    ) -> PieceStream[ServerSentEvent]:
        """The events of an answer to this body, begun; whoever gets them lets go of them. Raises AnthropicError.

        `limits_s` are those on the first event, between two events, and on the whole.
        """
        first_s, idle_s, total_s = limits_s

        async def send() -> PieceStream[ServerSentEvent]:
            events = self.http.events(
                "POST",
                MESSAGES_PATH,
                body,
                first_timeout_s=first_s,
                idle_timeout_s=idle_s,
                total_timeout_s=total_s,
                headers=headers,
            )
            return await events.__aenter__()

        return await self._run(send, max_retries=max_retries)

    async def fetch(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        model: str | None,
        timeout_s: float | None,
        max_retries: int,
    ) -> dict[str, Any]:
        """A whole answer that is a JSON object. Raises AnthropicError."""
        self.check_open()
        self.check_credentials(model)

        async def send() -> bytes:
            return await self.http.request(method, path, body, timeout_s=timeout_s)

        data = await self._run(send, max_retries=max_retries)
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except (ValueError, RecursionError) as problem:
            raise self.http.bad_response(
                "The answer is not an object of the API's", data, model=model
            ) from problem

    def observe(self, call: Call, answer: Answer, *, is_streamed: bool) -> RequestObservation:
        """Begin to observe a call that is about to be sent."""
        return observe(
            call,
            answer,
            owner=self.owner,
            base_url=self.http.base_url,
            is_streamed=is_streamed,
            clock=self.clock,
        )

    async def _run(self, send: Callable[[], Awaitable[T]], *, max_retries: int) -> T:
        return await self._retries.run(
            send, max_retries=max_retries, again=may_send_again, asked_pause_s=asked_pause_s
        )


def may_send_again(error: ProviderError) -> Again:
    """Only what cannot have begun: the API turned it away, or was never reached. Its own word on that beats the rest."""
    if not isinstance(error, AnthropicError):
        return Again.NEVER
    if (asked_pause_s(error) or 0.0) > _LONGEST_PAUSE_S:
        return Again.NEVER  # whoever asks is better told than kept waiting
    if error.may_retry is not None:
        return Again.AFTER_A_PAUSE if error.may_retry else Again.NEVER
    is_passing = isinstance(error, AnthropicUnreachableError) and error.error_type in _PASSING
    return Again.AFTER_A_PAUSE if is_passing or isinstance(error, AnthropicBusyError) else Again.NEVER


def asked_pause_s(error: ProviderError) -> float | None:
    """How long the API asks to wait."""
    return error.retry_after_s if isinstance(error, AnthropicBusyError) else None
