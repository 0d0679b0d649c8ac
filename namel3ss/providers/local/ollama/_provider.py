"""OllamaProvider: one model on Ollama."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from namel3ss.errors import UsageError
from namel3ss.providers.batches import run_batch
from namel3ss.providers.local.ollama._answer import Answer
from namel3ss.providers.local.ollama._attempts import Attempts
from namel3ss.providers.local.ollama._availability import ModelAvailabilityCache
from namel3ss.providers.local.ollama._context import PromptSize, WindowFinder
from namel3ss.providers.local.ollama._embedding import read_embeddings
from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaError,
    OllamaServerUnreachableError,
)
from namel3ss.providers.local.ollama._exchange import Exchange
from namel3ss.providers.local.ollama._healing import heal
from namel3ss.providers.local.ollama._health import HealthMonitor
from namel3ss.providers.local.ollama._hosts import Notice, make_hosts
from namel3ss.providers.local.ollama._models import model_names
from namel3ss.providers.local.ollama._names import name_problem
from namel3ss.providers.local.ollama._requests import check_options, embed_call, message_call
from namel3ss.providers.local.ollama._stream import OllamaStream
from namel3ss.providers.local.ollama._telemetry import end_observation
from namel3ss.providers.local.ollama._wire import was_cut
from namel3ss.providers.remote_provider import RemoteProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

    from namel3ss.providers.base import EmbeddingResponse, Messages, ProviderResponse
    from namel3ss.providers.local.ollama._models import OllamaModelManager
    from namel3ss.providers.local.ollama._pull import ProgressListener
    from namel3ss.providers.local.ollama._requests import Call
    from namel3ss.providers.local.ollama._sync import SyncOllamaProvider

__all__ = ["OllamaProvider"]


class OllamaProvider(RemoteProvider):
    """One model on Ollama, called `name` in metrics and messages.

    `config` holds settings by name (see `OllamaConfig`), flat or nested under ``config`` and ``deployment_config``.
    `transport` (an `httpx.AsyncBaseTransport`) replaces the network; `clock` (seconds, monotonic) is for caches and
    measurements. `environ` is where an address is looked for that `config` does not give; the process's environment
    unless given. Making a provider does no I/O. Works in any number of event loops. `aclose()` closes it; without
    that, connections end with their event loop.

    Every failure of the world is an OllamaError. A wrong call is a UsageError, before anything is sent.
    """

    _exchange: Exchange

    def __init__(
        self,
        name: str,
        model: str,
        config: Mapping[str, Any] | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        # Brings pydantic, so only when needed.
        from namel3ss.providers.local.ollama._config import OllamaConfig

        if not isinstance(name, str):
            raise UsageError(
                f"The name of a provider must be a text, not a value of type {type(name).__name__}."
            )
        if problem := name_problem(model):
            raise UsageError(
                f"{model!r:.80} is not a model name: {problem}.",
                suggestion="A name looks like llama3:8b or namespace/model:tag.",
            )
        self.name = name
        self.model = model.strip()
        self.config = OllamaConfig.from_mapping(config)
        check_options(self.config.options)
        clock = time.monotonic if clock is None else clock
        self._cache = ModelAvailabilityCache(self.config.model_cache_ttl, clock=clock)
        changed = Notice()
        hosts = make_hosts(
            self.config, self._cache, transport=transport, clock=clock, on_change=changed, environ=environ
        )
        self._first = hosts[0]
        self._base_url = self._first.http.base_url
        self._health = HealthMonitor(
            self._first.http,
            self.model,
            functools.partial(_installed_names, self._first.models),
            interval_s=self.config.health_check_interval,
            clock=clock,
        )
        changed.goes_to(self._health)
        attempts = Attempts(hosts, clock=clock, on_unreachable=self._health.invalidate)
        windows = WindowFinder(self._first.models, ttl_s=self.config.model_cache_ttl, clock=clock)
        self._exchange = Exchange(name, attempts, windows, clock=clock)
        self._clock = clock
        self._sync: SyncOllamaProvider | None = None

    # -- settings -----------------------------------------------------------------------------------------------

    @property
    def temperature(self) -> float | None:
        """As it was written; None leaves it to the model."""
        return self.config.temperature

    @property
    def num_ctx(self) -> int | None:
        """The context window that was asked for, in tokens; None leaves it to the server."""
        return self.config.num_ctx

    @property
    def auto_pull_model(self) -> bool:
        return self.config.auto_pull_model

    @property
    def auto_start_server(self) -> bool:
        return self.config.auto_start_server

    @property
    def on_pull_progress(self) -> ProgressListener | None:
        """Called, in the event loop, with the progress of a pull that a call of this provider causes."""
        return self._exchange.on_pull_progress

    @on_pull_progress.setter
    def on_pull_progress(self, listener: ProgressListener | None) -> None:
        self._exchange.on_pull_progress = listener

    @property
    def sync(self) -> SyncOllamaProvider:
        """The same calls for code without asyncio, on one private thread."""
        if self._sync is None:
            from namel3ss.providers.local.ollama._sync import SyncOllamaProvider

            self._sync = SyncOllamaProvider(self)
        return self._sync

    # -- asking the model ---------------------------------------------------------------------------------------

    async def generate(self, messages: Messages, **overrides: Any) -> ProviderResponse:
        """The whole answer.

        Overrides: every setting under its own name, and what belongs to one call: `system`, `images`, `format`
        ("json", a JSON Schema, a pydantic model class), `tools`, `raw`, `suffix`, `template`, `logprobs`,
        `top_logprobs`. An error that interrupts the answer keeps what had arrived in `partial_text`.
        """
        call = self._message_call(messages, overrides, is_streamed=True)
        if call.config.wire == "plain":
            return await self._generate_plain(call)
        async with OllamaStream(self._exchange, call, is_read_in_pieces=False) as stream:
            return await stream.result()

    def stream(self, messages: Messages, **overrides: Any) -> OllamaStream:
        """The answer piece by piece; overrides as for `generate`. Nothing is sent before the first `await`."""
        call = self._message_call(messages, overrides, is_streamed=True)
        return OllamaStream(self._exchange, call, is_read_in_pieces=True)

    async def generate_batch(
        self, batch: Sequence[Messages], max_concurrency: int | None = None, **overrides: Any
    ) -> list[ProviderResponse | OllamaError]:
        """An answer, or the error, for each item, in their order.

        At most `max_concurrency` requests run at the same time (the setting, unless given). Cancelling ends them all.
        """
        self._exchange.check_open()
        return await run_batch(
            batch,
            lambda item: self.generate(item, **overrides),
            check=lambda item: self._message_call(item, overrides, is_streamed=True),
            limit=self.config.max_concurrency if max_concurrency is None else max_concurrency,
            expected=OllamaError,
        )

    async def embed(
        self, texts: str | Sequence[str], *, dimensions: int | None = None, **overrides: Any
    ) -> EmbeddingResponse:
        """A vector for each text, in their order; `dimensions` shortens them."""
        call = embed_call(self.model, self.config, texts, dimensions=dimensions, overrides=overrides)
        return await read_embeddings(self._exchange, call)

    def count_tokens_estimate(self, messages: Messages, **overrides: Any) -> int:
        """About how many tokens a prompt has: without the model nobody can count them."""
        return PromptSize.of(self._message_call(messages, overrides, is_streamed=True)).about_tokens

    # -- models and server --------------------------------------------------------------------------------------

    async def list_models(self) -> list[dict[str, Any]]:
        """The installed models: ``name``, ``size`` (bytes), ``modified_at``, ``digest`` and ``details`` of each, at least."""
        return await self._models.list_models()

    async def show_model(self, name: str | None = None) -> dict[str, Any]:
        """What the server knows of a model; of this provider's where none is named."""
        return await self._models.show_model(self.model if name is None else name)

    async def running_models(self) -> list[dict[str, Any]]:
        """The models that are loaded now."""
        return await self._models.running_models()

    async def pull_model(
        self,
        name: str | None = None,
        pull_timeout: float | None = None,
        on_progress: ProgressListener | None = None,
    ) -> None:
        """Download a model; this provider's where none is named. `pull_timeout` is in seconds."""
        await self._models.pull_model(self.model if name is None else name, pull_timeout, on_progress)

    async def delete_model(self, name: str) -> None:
        """Remove a model from the server."""
        await self._models.delete_model(name)

    async def copy_model(self, source: str, destination: str) -> None:
        """Give a model a second name."""
        await self._models.copy_model(source, destination)

    async def warm_up(self) -> None:
        """Load this provider's model with its own settings, so that the next request need not wait for that."""
        fields = self.config.request_fields()
        await self._models.warm_up(
            self.model, keep_alive=fields.get("keep_alive"), options=self.config.request_options()
        )

    async def unload(self) -> None:
        """Take this provider's model out of the server's memory."""
        await self._models.unload(self.model)

    async def heal_model(self, base_url: str | None = None) -> None:
        """Give back a model that does not answer although the server is well: unload it, wait, have it answer once.

        The cure for what `OllamaFirstTokenTimeoutError` calls a lost slot. Of several `hosts`, `base_url` says which,
        as the error names it; the first unless given. Whoever uses the model at that moment loses the answer. Raises
        OllamaError when the model still does not answer.
        """
        if base_url is not None and not isinstance(base_url, str):
            raise UsageError(f"base_url must be a text, not a value of type {type(base_url).__name__}.")
        host = self._exchange.attempts.host_at(base_url)
        if base_url is not None and host.http.base_url != base_url.rstrip("/"):
            known = ", ".join(host.http.base_url for host in self._exchange.attempts.hosts)
            raise UsageError(f"{base_url!r} is none of this provider's servers: {known}.")
        await heal(
            host.http,
            host.models,
            self.model,
            options=self.config.request_options(),
            timeout_s=self.config.first_token_timeout,
        )

    async def ensure_ready(self) -> None:
        """Return once the server runs and has the model: started and pulled, where the settings allow it."""
        self._exchange.check_open()
        try:
            await self._ensure_available()
        except OllamaServerUnreachableError:
            if not self.config.auto_start_server:
                raise
            await self._first.server.start()
            await self._ensure_available()

    async def health_check(self, force: bool = False) -> dict[str, Any]:
        """How server and model are; never raises. Remembered for `health_check_interval` unless `force`.

        ``status``: "unhealthy" (no server), "degraded" (no model), "healthy"; ``model_available``,
        ``available_models``, ``server_health`` {``status``, ``response_time_ms``, ``checked_at``, ``version``}.
        """
        return await self._health.check(force)

    def __repr__(self) -> str:
        state = " (closed)" if self._exchange.is_closed else ""
        return f"<OllamaProvider {self.name!r}: {self.model!r} at {self.base_url}{state}>"

    # -- inside -------------------------------------------------------------------------------------------------

    async def _close_connections(self) -> None:
        for host in self._exchange.attempts.hosts:
            await host.models.aclose()
            await host.server.aclose()
            await host.http.aclose()

    def _holds_connections(self) -> bool:
        return any(host.http.holds_connections() for host in self._exchange.attempts.hosts)

    @property
    def _models(self) -> OllamaModelManager:
        return self._first.models

    def _message_call(self, messages: object, overrides: Mapping[str, Any], *, is_streamed: bool) -> Call:
        self._exchange.check_open()
        return message_call(self.model, self.config, messages, overrides, is_streamed=is_streamed)

    async def _generate_plain(self, call: Call) -> ProviderResponse:
        """One request, one JSON object: no limit but `total_timeout`, and nothing partial on failure."""
        call.body["stream"] = False
        await self._exchange.load()
        answer = Answer(call.model, is_chat=call.is_chat, clock=self._clock)
        observation = self._exchange.observe(call, answer, is_streamed=False)
        try:
            with observation.activate():
                body, answer.base_url = await self._exchange.fetch(call, timeout_s=call.config.total_timeout)
            http = self._exchange.attempts.host_at(answer.base_url).http
            answer.secrets = http.secrets
            try:
                answer.take(body)
            except OllamaBadResponseError as problem:
                if not was_cut(problem.__cause__):
                    raise
                raise http.cut_off(model=call.model) from problem
            answer.first_token_s = None  # nobody saw it
            if not answer.is_complete:
                raise answer.interrupted()
            await self._exchange.check_context(call, answer)
        except BaseException as error:
            end_observation(observation, answer, chunks=None, error=error)
            if not isinstance(error, OllamaError):
                raise
            known = answer.attach_to(await self._exchange.explained(error, call))
            if known is error:
                raise
            raise known from error
        end_observation(observation, answer, chunks=None, error=None)
        return answer.response()

    async def _ensure_available(self) -> None:
        await self._models.ensure_model_available(
            self.model, self.config.auto_pull_model, on_progress=self.on_pull_progress
        )


async def _installed_names(models: OllamaModelManager) -> list[str]:
    return model_names(await models.list_models())
