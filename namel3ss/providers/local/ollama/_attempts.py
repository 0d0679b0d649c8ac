"""Getting one request answered: which server, and what to try when one does not answer.

The rules, all of them for the time before anything of an answer has arrived; afterwards nothing is tried again:

* Servers are tried in order. One that failed lately is passed over for a while (`Circuit`), unless no other is left.
* What cannot have reached a server (refused, no such host, no connection in time) goes on to the next one.
* A server that turned the request away because it is busy has not begun: the next one is asked, and when all are busy,
  the same again after a random pause, or the one it asked for, up to `max_retries` times.
* A connection that was closed before a byte came back, a proxy's 502 or 504 and a limit on waiting may all mean that a
  server has begun. They are final: no answer is computed twice for one that is seen.
* A server on this machine that is not running is started once, if `auto_start_server` allows it.
* A model that no server has is pulled once, if `auto_pull_model` allows it, for everybody who waits for it.

All further attempts of a provider come out of one budget (`RetryBudget`), so that a dead server does not see its load
multiplied.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from namel3ss.providers.local.ollama._address import is_loopback
from namel3ss.providers.local.ollama._errors import (
    OllamaError,
    OllamaModelNotFoundError,
    OllamaServerBusyError,
    OllamaServerUnreachableError,
)
from namel3ss.providers.transport.retries import RetryBudget, pause_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from namel3ss.providers.local.ollama._circuit import Circuit
    from namel3ss.providers.local.ollama._config import OllamaConfig
    from namel3ss.providers.local.ollama._http import OllamaHttp
    from namel3ss.providers.local.ollama._models import OllamaModelManager
    from namel3ss.providers.local.ollama._pull import ProgressListener
    from namel3ss.providers.local.ollama._server import OllamaServerManager

__all__ = ["Attempts", "Host"]

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Host:
    """One server, who looks after its models and its process, and how it did lately."""

    http: OllamaHttp
    models: OllamaModelManager
    server: OllamaServerManager
    circuit: Circuit


@dataclass(slots=True)
class _Request:
    """What one request asks for, and what it has tried so far. Every server is in one of the four lists."""

    model: str
    config: OllamaConfig
    on_pull_progress: ProgressListener | None
    waiting: list[Host]
    busy: list[Host] = field(default_factory=list)
    without_model: list[Host] = field(default_factory=list)
    unreachable: list[Host] = field(default_factory=list)
    retries: int = 0
    has_started: bool = False
    has_pulled: bool = False
    asked_pauses_s: list[float] = field(default_factory=list)


class Attempts:
    """Sends requests to the servers of one provider. `clock` is monotonic, in seconds.

    `on_unreachable` is called when a server could not be reached.
    """

    def __init__(
        self, hosts: Sequence[Host], *, clock: Callable[[], float], on_unreachable: Callable[[], None]
    ) -> None:
        self.hosts = tuple(hosts)
        self._on_unreachable = on_unreachable
        self._budget = RetryBudget(clock=clock)

    async def run(
        self,
        send: Callable[[Host], Awaitable[T]],
        *,
        model: str,
        config: OllamaConfig,
        on_pull_progress: ProgressListener | None = None,
    ) -> T:
        """What `send` returns for the first server that answers. Raises the last error when none does."""
        request = _Request(model, config, on_pull_progress, self._in_order())
        self._budget.request_made()
        while True:
            host = request.waiting[0]
            host.circuit.trying()
            try:
                answer = await send(host)
            except OllamaError as error:
                host.circuit.failed(error)
                await self._after(error, request, host)
            else:
                host.circuit.answered()
                return answer

    def completed(self, base_url: str | None) -> None:
        """An answer of that server is whole."""
        self.host_at(base_url).circuit.succeeded()

    def broke_off(self, base_url: str | None, error: OllamaError) -> None:
        """An answer of that server failed after it had begun."""
        self.host_at(base_url).circuit.failed(error)

    def host_at(self, base_url: str | None) -> Host:
        """The server at that address; the first one where it is none of these."""
        return next((host for host in self.hosts if host.http.base_url == base_url), self.hosts[0])

    def _in_order(self) -> list[Host]:
        """Every server: those to be left alone now come last, the one whose rest ends soonest first among them."""
        if len(self.hosts) == 1:
            return [*self.hosts]
        return sorted(
            self.hosts, key=lambda host: (host.circuit.open_until or 0.0) if host.circuit.is_open else 0.0
        )

    async def _after(self, error: OllamaError, request: _Request, host: Host) -> None:
        """Prepare the attempt that follows a failed one; raises `error` where none does."""
        match error:
            case OllamaModelNotFoundError():
                await host.models.cache.invalidate(request.model)
                request.without_model.append(request.waiting.pop(0))
            case OllamaServerUnreachableError(error_type="stream_reset"):
                self._on_unreachable()
                raise error
            case OllamaServerUnreachableError():
                self._on_unreachable()
                request.unreachable.append(request.waiting.pop(0))
            case OllamaServerBusyError():
                request.busy.append(request.waiting.pop(0))
                if error.retry_after_s is not None:
                    request.asked_pauses_s.append(error.retry_after_s)
            case _:
                raise error
        if request.waiting:
            logger.info("%s Trying %s.", error.message, request.waiting[0].http.base_url)
        elif request.busy:
            await self._wait_for_the_busy(request, error)
        elif request.without_model:
            await self._pull(request, error)
        else:
            await self._start(request, error)

    async def _wait_for_the_busy(self, request: _Request, error: OllamaError) -> None:
        if not self._may_retry(request):
            raise error
        seconds = pause_s(request.retries, min(request.asked_pauses_s, default=None))
        logger.info("Retrying in %.1f s: %s", seconds, error.message)
        request.waiting, request.busy = request.busy, []
        request.asked_pauses_s.clear()
        await asyncio.sleep(seconds)

    def _may_retry(self, request: _Request) -> bool:
        if request.retries >= request.config.max_retries or not self._budget.take():
            return False
        request.retries += 1
        return True

    async def _pull(self, request: _Request, error: OllamaError) -> None:
        """Pull the model to the first server that lacks it, once; otherwise raise with the nearest names."""
        host = request.without_model[0]
        if request.has_pulled or not request.config.auto_pull_model:
            # Raises the same refusal with the nearest installed names, unless the list contradicts it.
            await host.models.ensure_model_available(request.model, auto_pull=False)
            raise error
        request.has_pulled = True
        await host.models.pull_model(request.model, on_progress=request.on_pull_progress)
        request.waiting.append(request.without_model.pop(0))

    async def _start(self, request: _Request, error: OllamaError) -> None:
        """Start a server on this machine where that is allowed, once; otherwise raise, naming every address that was tried."""
        here = [host for host in request.unreachable if is_loopback(host.http.base_url)]
        may_start = request.config.auto_start_server and error.error_type == "connect_refused"
        if here and may_start and not request.has_started:
            request.has_started = True
            await here[0].server.start()
            request.unreachable.remove(here[0])
            request.waiting.append(here[0])
            return
        if len(request.unreachable) > 1:
            tried = ", ".join(host.http.base_url for host in request.unreachable)
            error.message += f" No server could be reached; tried: {tried}."
        raise error
