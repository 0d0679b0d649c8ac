"""OpenAICompatibleProvider: one model on a server that speaks OpenAI's protocol."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from namel3ss.errors import UsageError
from namel3ss.providers.batches import run_batch
from namel3ss.providers.call_telemetry import end_observation
from namel3ss.providers.local.openai_compatible._answer import Answer
from namel3ss.providers.local.openai_compatible._embedding import read_embeddings
from namel3ss.providers.local.openai_compatible._errors import OpenAICompatibleError
from namel3ss.providers.local.openai_compatible._exchange import Exchange
from namel3ss.providers.local.openai_compatible._http import CompatibleHttp
from namel3ss.providers.local.openai_compatible._kinds import KINDS
from namel3ss.providers.local.openai_compatible._models import HealthMonitor, list_models, show_model
from namel3ss.providers.local.openai_compatible._requests import embed_call, message_call
from namel3ss.providers.local.openai_compatible._stream import OpenAICompatibleStream
from namel3ss.providers.remote_provider import RemoteProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from namel3ss.providers.base import EmbeddingResponse, Messages, ProviderResponse
    from namel3ss.providers.local.openai_compatible._requests import Call
    from namel3ss.providers.local.openai_compatible._sync import SyncOpenAICompatibleProvider

__all__ = ["OpenAICompatibleProvider"]


class OpenAICompatibleProvider(RemoteProvider):
    """One model on such a server, called `name` in metrics and messages.

    `kind` is ``openai``, ``vllm``, ``local_ai`` or ``openai_compatible``, as a file writes it: it decides which settings
    there are, and the address where none is given. `config` holds settings by name, flat or nested under ``config`` and
    ``deployment_config``. `environ` (the process's, unless given) has OpenAI's key and address where no setting does; it
    is read once, here. `transport` (an `httpx.AsyncBaseTransport`) replaces the network; `clock` (seconds, monotonic) is
    for measurements. Making a provider does no I/O. Works in any number of event loops. `aclose()` closes it; without
    that, connections end with their event loop.

    Every failure of the world is an OpenAICompatibleError. A wrong call is a UsageError, before anything is sent.
    """

    _exchange: Exchange

    def __init__(
        self,
        name: str,
        model: str,
        config: Mapping[str, Any] | None = None,
        *,
        kind: str = "openai",
        environ: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        # Brings pydantic, so only when needed.
        from namel3ss.providers.local.openai_compatible._kind_configs import CONFIGS

        if kind not in KINDS:
            raise UsageError(
                f"{kind!r} is no kind of server.", suggestion=f"Write one of {', '.join(KINDS)}."
            )
        config_type = CONFIGS[kind]
        if problem := config_type.model_problem(model):
            raise UsageError(
                f"{model!r:.80} is not a model name: {problem}.",
                suggestion="Use the server's own name for it.",
            )
        self.name = name
        self.model = model.strip()
        self.config = config_type.from_mapping(config)
        environ = os.environ if environ is None else environ
        clock = time.monotonic if clock is None else clock
        http = CompatibleHttp(
            self.config.address(environ).url,
            KINDS[kind],
            headers=self.config.request_headers(environ),
            connect_timeout_s=self.config.connect_timeout,
            transport=transport,
        )
        self._base_url = http.base_url
        self._exchange = Exchange(name, http, lacks_key=self.config.lacks_key(environ), clock=clock)
        self._health = HealthMonitor(
            self._exchange, self.model, interval_s=self.config.health_check_interval, clock=clock
        )
        self._sync: SyncOpenAICompatibleProvider | None = None

    @property
    def temperature(self) -> float | None:
        """As it was written; None leaves it to the server."""
        return self.config.temperature

    @property
    def sync(self) -> SyncOpenAICompatibleProvider:
        """The same calls for code without asyncio, on one private thread."""
        if self._sync is None:
            from namel3ss.providers.local.openai_compatible._sync import SyncOpenAICompatibleProvider

            self._sync = SyncOpenAICompatibleProvider(self)
        return self._sync

    # -- asking the model ---------------------------------------------------------------------------------------

    async def generate(self, messages: Messages, **overrides: Any) -> ProviderResponse:
        """The whole answer.

        Overrides: every setting under its own name, and what belongs to one call: `system`, `images`, `format` ("json",
        a JSON Schema, a pydantic model class). An error that interrupts the answer keeps what had arrived in
        `partial_text`.
        """
        call = self._message_call(messages, overrides)
        if call.config.wire == "plain":
            return await self._generate_plain(self._message_call(messages, overrides, is_streamed=False))
        async with OpenAICompatibleStream(self._exchange, call, is_read_in_pieces=False) as stream:
            return await stream.result()

    def stream(self, messages: Messages, **overrides: Any) -> OpenAICompatibleStream:
        """The answer piece by piece; overrides as for `generate`. Nothing is sent before the first `await`."""
        call = self._message_call(messages, overrides)
        return OpenAICompatibleStream(self._exchange, call, is_read_in_pieces=True)

    async def generate_batch(
        self, batch: Sequence[Messages], max_concurrency: int | None = None, **overrides: Any
    ) -> list[ProviderResponse | OpenAICompatibleError]:
        """An answer, or the error, for each item, in their order.

        At most `max_concurrency` requests run at the same time (the setting, unless given). Cancelling ends them all.
        """
        return await run_batch(
            batch,
            lambda item: self.generate(item, **overrides),
            check=lambda item: self._message_call(item, overrides),
            limit=self.config.max_concurrency if max_concurrency is None else max_concurrency,
            expected=OpenAICompatibleError,
        )

    async def embed(
        self, texts: str | Sequence[str], *, dimensions: int | None = None, **overrides: Any
    ) -> EmbeddingResponse:
        """A vector for each text, in their order; `dimensions` shortens them."""
        call = embed_call(self.model, self.config, texts, dimensions=dimensions, overrides=overrides)
        return await read_embeddings(self._exchange, call)

    # -- models and server --------------------------------------------------------------------------------------

    async def list_models(self) -> list[dict[str, Any]]:
        """The server's models, as it describes them: ``id`` of each, at least."""
        return await list_models(self._exchange, max_retries=self.config.max_retries)

    async def show_model(self, name: str | None = None) -> dict[str, Any]:
        """What the server says of a model; of this provider's where none is named."""
        return await show_model(self._exchange, name or self.model, max_retries=self.config.max_retries)

    async def health_check(self, force: bool = False) -> dict[str, Any]:
        """How server and model are; never raises. Remembered for `health_check_interval` unless `force`.

        ``status``: "unhealthy" (no answer, or no key), "degraded" (no such model, or no list of them), "healthy";
        ``model_available``, ``available_models``, ``server_health`` {``status``, ``response_time_ms``, ``checked_at``,
        ``version``, which this protocol does not have}. No tokens are used.
        """
        return await self._health.check(force)

    def __repr__(self) -> str:
        state = " (closed)" if self._exchange.is_closed else ""
        kind = self.config.kind.name
        return f"<OpenAICompatibleProvider {self.name!r}: {kind} {self.model!r} at {self.base_url}{state}>"

    # -- inside -------------------------------------------------------------------------------------------------

    async def _close_connections(self) -> None:
        await self._exchange.http.aclose()

    def _holds_connections(self) -> bool:
        return self._exchange.http.holds_connections()

    def _message_call(
        self, messages: object, overrides: Mapping[str, Any], *, is_streamed: bool = True
    ) -> Call:
        self._exchange.check_open()
        return message_call(
            self.model, self.config, self.base_url, messages, overrides, is_streamed=is_streamed
        )

    async def _generate_plain(self, call: Call) -> ProviderResponse:
        """One request, one JSON object: no limit but `total_timeout`, and nothing partial on failure."""
        answer = Answer(call.model, self._exchange.http, clock=self._exchange.clock)
        observation = self._exchange.observe(call, answer, is_streamed=False)
        try:
            with observation.activate():
                body = await self._exchange.fetch(call, timeout_s=call.config.total_timeout)
            answer.take_document(body)
            answer.end()
            answer.first_token_s = None  # nobody saw it
        except BaseException as error:
            end_observation(observation, answer, chunks=None, error=error)
            raise
        end_observation(observation, answer, chunks=None, error=None)
        return answer.response()
