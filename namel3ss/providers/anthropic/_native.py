"""Anthropic's own requests and answers, as they are: for whoever already speaks the Messages API."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from namel3ss.providers.anthropic._errors import AnthropicStreamInterruptedError
from namel3ss.providers.anthropic._exchange import MESSAGES_PATH, Exchange
from namel3ss.providers.anthropic._http import AnthropicHttp
from namel3ss.providers.anthropic._refusals import error_from_event
from namel3ss.providers.anthropic._wire import KNOWN_EVENTS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from namel3ss.providers.remote_errors import RemoteError


__all__ = ["AnthropicConnection"]

NativeBody: TypeAlias = dict[str, Any]

_RETRIES: Final = 2


class AnthropicConnection:
    """Requests to the API at `base_url`; without one, at the address that the environment names.

    `api_key` is by default the environment's, which is not used for a server on this machine. Bodies pass as they are
    given; what the API turned away, or what did not reach it, is tried again up to `max_retries` times. Lives until
    `aclose()`. Works in several event loops. A limit of None means none.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout_s: float = 5.0,
        max_retries: int = _RETRIES,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        # Brings pydantic, so only when needed.
        from namel3ss.providers.anthropic._config import AnthropicConfig

        written = {"base_url": base_url, "api_key": api_key, "headers": dict(headers) if headers else None}
        config = AnthropicConfig.from_mapping(
            {name: value for name, value in written.items() if value is not None}
        )
        environ = os.environ if environ is None else environ
        http = AnthropicHttp(
            config.address(environ).url,
            headers=config.request_headers(environ),
            connect_timeout_s=connect_timeout_s,
        )
        self._exchange = Exchange(
            "connection", http, needs_key=config.lacks_key(environ), clock=time.monotonic
        )
        self._max_retries = max_retries

    @property
    def base_url(self) -> str:
        """The address in its usual form, without user and password."""
        return self._exchange.http.base_url

    async def request(self, body: Mapping[str, Any], *, timeout_s: float | None) -> NativeBody:
        """The whole ``message``. Raises AnthropicError."""
        return await self._exchange.fetch(
            "POST",
            MESSAGES_PATH,
            {**body, "stream": False},
            model=_model_of(body),
            timeout_s=timeout_s,
            max_retries=self._max_retries,
        )

    async def stream(
        self,
        body: Mapping[str, Any],
        *,
        first_timeout_s: float | None,
        idle_timeout_s: float | None,
        total_timeout_s: float | None,
    ) -> AsyncGenerator[NativeBody, None]:
        """The events of a streamed answer as they come, ``message_stop`` last. Raises AnthropicError.

        Pings and events of unknown types are left out. Close it (`contextlib.aclosing`) when leaving early: that closes
        the connection, which stops the server.
        """
        exchange, model = self._exchange, _model_of(body)
        exchange.check_credentials(model)
        events = await exchange.send_events(
            {**body, "stream": True},
            limits_s=(first_timeout_s, idle_timeout_s, total_timeout_s),
            headers={},
            max_retries=self._max_retries,
        )
        request_id = events.header(b"request-id") or None
        try:
            async for batch in events:
                for piece in batch:
                    event = self._decode(piece.data, model)
                    if event.get("type") == "error":
                        said = self._decode(exchange.http.secrets.hide(piece.data), model)
                        raise exchange.http.without_secrets(
                            error_from_event(
                                said.get("error"), model=model, base_url=self.base_url, request_id=request_id
                            )
                        )
                    if event.get("type") in KNOWN_EVENTS:
                        yield event
                    if event.get("type") == "message_stop":
                        await events.finish()
                        return
        finally:
            await events.aclose()
        raise AnthropicStreamInterruptedError(
            "The answer ended without its last event; it is incomplete.",
            model=model,
            base_url=self.base_url,
            suggestion="Retry. If it happens again, look at the log of the server, or of a proxy before it.",
            request_id=request_id,
        )

    async def aclose(self) -> None:
        """Close the connections of the running loop. Idempotent."""
        self._exchange.is_closed = True
        await self._exchange.http.aclose()

    def __repr__(self) -> str:
        return f"<AnthropicConnection to {self.base_url}>"

    def _decode(self, data: bytes, model: str | None) -> NativeBody:
        try:
            return msgspec.json.decode(data, type=NativeBody)
        except (ValueError, RecursionError) as problem:
            raise self._bad(data, model) from problem

    def _bad(self, data: bytes, model: str | None) -> RemoteError:
        return self._exchange.http.bad_response(
            "The answer holds an event that is not the API's", data, model=model
        )


def _model_of(body: Mapping[str, Any]) -> str | None:
    name = body.get("model")
    return name if isinstance(name, str) else None
