"""What every call of one provider shares: servers, context windows, running streams, metrics."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, TypeVar

from namel3ss.providers.conversation import load_images
from namel3ss.providers.local.ollama._context import PromptSize, Window, is_worth_asking, was_cut
from namel3ss.providers.local.ollama._errors import (
    OllamaContextTruncatedError,
    OllamaContextWindowExceededError,
    OllamaError,
    OllamaFirstTokenTimeoutError,
)
from namel3ss.providers.local.ollama._healing import explain_silence
from namel3ss.providers.local.ollama._telemetry import observe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.local.ollama._answer import Answer
    from namel3ss.providers.local.ollama._attempts import Attempts, Host
    from namel3ss.providers.local.ollama._context import WindowFinder
    from namel3ss.providers.local.ollama._pull import ProgressListener
    from namel3ss.providers.local.ollama._requests import Call
    from namel3ss.providers.running import RunningStream
    from namel3ss.providers.transport.reading import PieceStream

__all__ = ["Exchange"]

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Exchange:
    """Carries calls to the servers and looks at what comes back. One for each provider."""

    def __init__(
        self, owner: str, attempts: Attempts, windows: WindowFinder, *, clock: Callable[[], float]
    ) -> None:
        self.owner = owner
        self.attempts = attempts
        self.windows = windows
        self.clock = clock
        self.running: weakref.WeakSet[RunningStream[bytes]] = weakref.WeakSet()
        self.is_closed = False
        self.on_pull_progress: ProgressListener | None = None

    def check_open(self) -> None:
        """Raises RuntimeError after the provider was closed."""
        if self.is_closed:
            raise RuntimeError(f"The provider {self.owner!r} is closed.")

    async def load(self) -> None:
        """Import what sends requests, so that the first one is not said to have taken so long."""
        await self.attempts.hosts[0].http.load()

    # -- asking -------------------------------------------------------------------------------------------------

    async def open_lines(self, call: Call, answer: Answer) -> PieceStream[bytes]:
        """The lines of an answer, begun. Raises what the server refuses."""
        config = call.config

        async def send(host: Host) -> PieceStream[bytes]:
            answer.base_url, answer.secrets = host.http.base_url, host.http.secrets
            lines = host.http.stream(
                "POST",
                call.path,
                call.body,
                first_timeout_s=config.first_token_timeout,
                idle_timeout_s=config.idle_timeout,
                total_timeout_s=config.total_timeout,
                headers=call.headers,
            )
            return await lines.__aenter__()

        return await self._run(send, call)

    async def fetch(self, call: Call, *, timeout_s: float | None) -> tuple[bytes, str]:
        """The whole answer at once, and the address of the server that gave it."""

        async def send(host: Host) -> tuple[bytes, str]:
            answer = await host.http.request(
                "POST", call.path, call.body, timeout_s=timeout_s, headers=call.headers
            )
            return answer, host.http.base_url

        self.check_open()
        await load_images(call.messages)
        answer, served_by = await self._run(send, call)
        self.attempts.completed(served_by)
        return answer, served_by

    async def _run(self, send: Callable[[Host], Awaitable[T]], call: Call) -> T:
        return await self.attempts.run(
            send, model=call.model, config=call.config, on_pull_progress=self.on_pull_progress
        )

    async def explained(self, error: OllamaError, call: Call) -> OllamaError:
        """The same error without secrets; one about the context window or a silent server with what can be learnt of it."""
        if isinstance(error, OllamaContextWindowExceededError):
            return await self.windows.explain(error, call)
        host = self.attempts.host_at(error.base_url)
        if isinstance(error, OllamaFirstTokenTimeoutError):
            own = sum(stream.model == call.model for stream in self.running)
            await explain_silence(error, host.models, call.model, own_requests=own)
        return host.http.without_secrets(error)

    # -- looking at the answer ----------------------------------------------------------------------------------

    async def check_context(self, call: Call, answer: Answer) -> None:
        """Notice that the server has cut the prompt without a word.

        Raises OllamaContextTruncatedError, with the answer, unless `on_context_overflow` allows it.
        """
        prompt_tokens = answer.usage.prompt_tokens
        asked = call.config.num_ctx
        window = Window(asked, "num_ctx") if asked is not None else self.windows.known(call.model)
        if prompt_tokens is not None and is_worth_asking(prompt_tokens):
            found = await self.windows.find(call.model)
            window = found if found.tokens is not None else window
        if window is None or window.tokens is None:
            return
        keep = call.config.options.get("num_keep", 4)
        is_cut = (
            prompt_tokens is not None
            and isinstance(keep, int)
            and was_cut(prompt_tokens, window.tokens, PromptSize.of(call), num_keep=keep)
        )
        answer.context = {
            "window": window.tokens,
            "window_source": window.source,
            "truncated": is_cut,
        }
        if is_cut:
            self._report_the_cut(call, answer, window)

    def _report_the_cut(self, call: Call, answer: Answer, window: Window) -> None:
        about = PromptSize.of(call).about_tokens
        message = (
            f"The server cut the prompt: it has about {about} tokens, the window is {window.tokens} ({window.source}),"
            f" and the model was given {answer.usage.prompt_tokens}."
        )
        if call.config.on_context_overflow == "error":
            raise OllamaContextTruncatedError(
                f"Input is too large for model's context window. {message}",
                model=call.model,
                base_url=answer.base_url,
                suggestion="Raise num_ctx, or shorten the input. on_context_overflow: warn or truncate accepts the cut.",
                response=answer.response(),
                window=window.tokens,
                window_source=window.source,
            )
        if call.config.on_context_overflow == "warn":
            logger.warning("%s (model %s)", message, call.model)

    def observe(self, call: Call, answer: Answer | None, *, is_streamed: bool) -> RequestObservation:
        """Begin to observe a call that is about to be sent."""
        base_url = self.attempts.hosts[0].http.base_url
        return observe(
            call, answer, owner=self.owner, base_url=base_url, is_streamed=is_streamed, clock=self.clock
        )
