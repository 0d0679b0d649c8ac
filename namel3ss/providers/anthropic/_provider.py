"""AnthropicProvider: one model of Anthropic."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote

from namel3ss.errors import UsageError
from namel3ss.providers.anthropic._errors import AnthropicCapabilityError, AnthropicError
from namel3ss.providers.anthropic._exchange import MESSAGES_PATH, Exchange
from namel3ss.providers.anthropic._health import HealthMonitor, list_models
from namel3ss.providers.anthropic._http import AnthropicHttp
from namel3ss.providers.anthropic._images import load_images
from namel3ss.providers.anthropic._requests import message_call
from namel3ss.providers.anthropic._stream import AnthropicStream
from namel3ss.providers.batches import run_batch
from namel3ss.providers.remote_provider import RemoteProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from namel3ss.providers.anthropic._requests import Call
    from namel3ss.providers.anthropic._sync import SyncAnthropicProvider
    from namel3ss.providers.base import Messages, ProviderResponse

__all__ = ["AnthropicProvider"]

_SHORT_TIMEOUT_S: Final = 60.0  # for what the API answers without a model


class AnthropicProvider(RemoteProvider):
    """One model of Anthropic, called `name` in metrics and messages.

    `config` holds settings by name (see `AnthropicConfig`), flat or nested under ``config`` and ``deployment_config``.
    `environ` (the process's, unless given) has the key and the address where no setting does; it is read once, here.
    `transport` (an `httpx.AsyncBaseTransport`) replaces the network; `clock` (seconds, monotonic) is for measurements.
    Making a provider does no I/O. Works in any number of event loops. `aclose()` closes it; without that, connections
    end with their event loop.

    Every failure of the world is an AnthropicError. A wrong call is a UsageError, before anything is sent.
    """

    _exchange: Exchange

    def __init__(
        self,
        name: str,
        model: str,
        config: Mapping[str, Any] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        # Brings pydantic, so only when needed.
        from namel3ss.providers.anthropic._config import AnthropicConfig

        if problem := AnthropicConfig.model_problem(model):
            raise UsageError(
                f"{model!r:.80} is not a model name: {problem}.",
                suggestion="A name looks like claude-sonnet-5-5.",
            )
        self.name = name
        self.model = model.strip()
        self.config = AnthropicConfig.from_mapping(config)
        environ = os.environ if environ is None else environ
        clock = time.monotonic if clock is None else clock
        http = AnthropicHttp(
            self.config.address(environ).url,
            headers=self.config.request_headers(environ),
            connect_timeout_s=self.config.connect_timeout,
            transport=transport,
        )
        self._base_url = http.base_url
        self._exchange = Exchange(name, http, needs_key=self.config.lacks_key(environ), clock=clock)
        self._health = HealthMonitor(
            self._exchange, self.model, interval_s=self.config.health_check_interval, clock=clock
        )
        self._sync: SyncAnthropicProvider | None = None

    @property
    def temperature(self) -> float | None:
        """As it was written; None leaves it to the API."""
        return self.config.temperature

    @property
    def max_tokens(self) -> int:
        """The longest answer, in tokens."""
        return self.config.max_tokens

    @property
    def sync(self) -> SyncAnthropicProvider:
        """The same calls for code without asyncio, on one private thread."""
        if self._sync is None:
            from namel3ss.providers.anthropic._sync import SyncAnthropicProvider

            self._sync = SyncAnthropicProvider(self)
        return self._sync

    # -- asking the model ---------------------------------------------------------------------------------------

    async def generate(self, messages: Messages, **overrides: Any) -> ProviderResponse:
        """The whole answer.

        Overrides: every setting under its own name, and what belongs to one call: `system`, `images`, `format` (a JSON
        Schema, a pydantic model class). An error that interrupts the answer keeps what had arrived in `partial_text`.
        """
        call = self._message_call(messages, overrides)
        async with AnthropicStream(self._exchange, call, is_read_in_pieces=False) as stream:
            return await stream.result()

    def stream(self, messages: Messages, **overrides: Any) -> AnthropicStream:
        """The answer piece by piece; overrides as for `generate`. Nothing is sent before the first `await`."""
        call = self._message_call(messages, overrides)
        return AnthropicStream(self._exchange, call, is_read_in_pieces=True)

    async def generate_batch(
        self, batch: Sequence[Messages], max_concurrency: int | None = None, **overrides: Any
    ) -> list[ProviderResponse | AnthropicError]:
        """An answer, or the error, for each item, in their order.

        At most `max_concurrency` requests run at the same time (the setting, unless given). Cancelling ends them all.
        """
        return await run_batch(
            batch,
            lambda item: self.generate(item, **overrides),
            check=lambda item: self._message_call(item, overrides),
            limit=self.config.max_concurrency if max_concurrency is None else max_concurrency,
            expected=AnthropicError,
        )

    async def embed(
        self, texts: str | Sequence[str], *, dimensions: int | None = None, **overrides: Any
    ) -> NoReturn:
        """Raises AnthropicCapabilityError: the API has no embeddings."""
        raise AnthropicCapabilityError(
            "Anthropic's API makes no embeddings.",
            model=self.model,
            base_url=self.base_url,
            suggestion="Embed with a model that does, for example on Ollama: provider: ollama, model:"
            " nomic-embed-text.",
        )

    async def count_tokens(self, messages: Messages, **overrides: Any) -> int:
        """How many tokens the prompt has, counted by the API: a request of its own, which makes no answer."""
        call = self._message_call(messages, overrides)
        await load_images(call.messages)
        answer = await self._fetch("POST", f"{MESSAGES_PATH}/count_tokens", call.to_be_counted())
        tokens = answer.get("input_tokens")
        if not isinstance(tokens, int) or isinstance(tokens, bool):
            raise self._exchange.http.bad_response("The answer has no input_tokens", b"", model=self.model)
        return tokens

    # -- models and server --------------------------------------------------------------------------------------

    async def list_models(self) -> list[dict[str, Any]]:
        """The models that the key may use, as the API describes them: ``id`` of each, at least."""
        return await list_models(self._exchange, max_retries=self.config.max_retries)

    async def show_model(self, name: str | None = None) -> dict[str, Any]:
        """What the API says of a model; of this provider's where none is named."""
        return await self._fetch("GET", f"/v1/models/{quote(name or self.model, safe='')}")

    async def health_check(self, force: bool = False) -> dict[str, Any]:
        """How API and model are; never raises. Remembered for `health_check_interval` unless `force`.

        ``status``: "unhealthy" (no answer, or no key), "degraded" (no such model), "healthy"; ``model_available``,
        ``available_models``, ``server_health`` {``status``, ``response_time_ms``, ``checked_at``, ``version``}. No
        tokens are used.
        """
        return await self._health.check(force)

    def __repr__(self) -> str:
        state = " (closed)" if self._exchange.is_closed else ""
        return f"<AnthropicProvider {self.name!r}: {self.model!r} at {self.base_url}{state}>"

    # -- inside -------------------------------------------------------------------------------------------------

    async def _close_connections(self) -> None:
        await self._exchange.http.aclose()

    def _holds_connections(self) -> bool:
        return self._exchange.http.holds_connections()

    def _message_call(self, messages: object, overrides: Mapping[str, Any]) -> Call:
        self._exchange.check_open()
        return message_call(self.model, self.config, messages, overrides)

    async def _fetch(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return await self._exchange.fetch(
            method,
            path,
            body,
            model=self.model,
            timeout_s=self.config.total_timeout or _SHORT_TIMEOUT_S,
            max_retries=self.config.max_retries,
        )
