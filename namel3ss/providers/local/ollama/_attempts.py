"""Getting one request answered: which server, and what to try when one does not answer.

The rules, all of them for the time before anything of an answer has arrived; afterwards nothing is tried again:

* Servers are tried in order. One that could not be reached is passed over for a while, unless no other is left.
* A server that is busy, or whose proxy says 502 or 504, is asked again after a random pause, up to `max_retries`
  times; so is, once, one that closed the connection without an answer.
* A server on this machine that is not running is started once, if `auto_start_server` allows it.
* A model that no server has is pulled once, if `auto_pull_model` allows it, for everybody who waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from namel3ss.providers.local.ollama._address import is_loopback
from namel3ss.providers.local.ollama._errors import (
    OllamaError,
    OllamaModelNotFoundError,
    OllamaServerBusyError,
    OllamaServerUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from namel3ss.providers.local.ollama._config import OllamaConfig
    from namel3ss.providers.local.ollama._http import OllamaHttp
    from namel3ss.providers.local.ollama._models import OllamaModelManager
    from namel3ss.providers.local.ollama._pull import ProgressListener
    from namel3ss.providers.local.ollama._server import OllamaServerManager

__all__ = ["Attempts", "Host"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

_PASSED_OVER_S: Final = 30.0
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 8.0
_LONGEST_ASKED_PAUSE_S: Final = 30.0


@dataclass(eq=False, slots=True)
class Host:
    """One server, and who looks after its models and its process."""

    http: OllamaHttp
    models: OllamaModelManager
    server: OllamaServerManager
    passed_over_until: float = 0.0


@dataclass(slots=True)
class _Progress:
    """What one request has tried so far."""

    waiting: list[Host]
    retries: int = 0
    has_started: bool = False
    has_pulled: bool = False
    was_reset: bool = False
    without_model: list[Host] = field(default_factory=list)


class Attempts:
    """Sends requests to the servers of one provider. `clock` is monotonic, in seconds.

    `on_unreachable` is called when a server could not be reached.
    """

    def __init__(
        self, hosts: Sequence[Host], *, clock: Callable[[], float], on_unreachable: Callable[[], None]
    ) -> None:
        self.hosts = tuple(hosts)
        self._clock = clock
        self._on_unreachable = on_unreachable

    async def run(
        self,
        send: Callable[[Host], Awaitable[T]],
        *,
        model: str,
        config: OllamaConfig,
        on_pull_progress: ProgressListener | None = None,
    ) -> T:
        """What `send` returns for the first server that answers. Raises the last error when none does."""
        progress = _Progress(self._in_order())
        while True:
            host = progress.waiting[0]
            try:
                return await send(host)
            except OllamaModelNotFoundError as error:
                await self._without_model(progress, host, error, model, config, on_pull_progress)
            except OllamaServerUnreachableError as error:
                await self._unreachable(progress, host, error, config)
            except OllamaError as error:
                pause_s = self._pause_s(progress, error, config)
                if pause_s is None:
                    raise
                logger.info("Retrying in %.1f s: %s", pause_s, error.message)
                await asyncio.sleep(pause_s)

    def _in_order(self) -> list[Host]:
        """Every server: one that could not be reached lately only as a last resort."""
        if len(self.hosts) == 1:
            return [self.hosts[0]]
        now = self._clock()
        return sorted(self.hosts, key=lambda host: host.passed_over_until > now)

    async def _without_model(
        self,
        progress: _Progress,
        host: Host,
        error: OllamaModelNotFoundError,
        model: str,
        config: OllamaConfig,
        on_progress: ProgressListener | None,
    ) -> None:
        """Go on to a server that has the model, or pull it; raise with the nearest names where neither is possible."""
        await host.models.cache.invalidate(model)
        progress.without_model.append(progress.waiting.pop(0))
        if progress.waiting:
            return
        first = progress.without_model[0]
        if progress.has_pulled or not config.auto_pull_model:
            # Raises the same refusal with the nearest installed names, unless the list contradicts it.
            await first.models.ensure_model_available(model, auto_pull=False)
            raise error
        progress.has_pulled = True
        await first.models.pull_model(model, on_progress=on_progress)
        progress.waiting.append(first)

    async def _unreachable(
        self, progress: _Progress, host: Host, error: OllamaServerUnreachableError, config: OllamaConfig
    ) -> None:
        """Go on to the next server, start this one, or try it once more; raise when nothing is left."""
        self._on_unreachable()
        if error.error_type == "stream_reset" and not progress.was_reset and config.max_retries > 0:
            progress.was_reset = True
            return
        host.passed_over_until = self._clock() + _PASSED_OVER_S
        if len(progress.waiting) > 1:
            progress.waiting.pop(0)
            logger.info("%s Trying the next server.", error.message)
            return
        may_start = config.auto_start_server and is_loopback(host.http.base_url)
        if error.error_type != "connect_refused" or progress.has_started or not may_start:
            raise error
        progress.has_started = True
        await host.server.start()
        host.passed_over_until = 0.0

    def _pause_s(self, progress: _Progress, error: OllamaError, config: OllamaConfig) -> float | None:
        """How long to wait before asking the same server again; None when that would be no use."""
        is_busy = isinstance(error, OllamaServerBusyError)
        if not is_busy and error.status not in (502, 504):
            return None
        if progress.retries >= config.max_retries:
            return None
        progress.retries += 1
        asked_s = error.retry_after_s if isinstance(error, OllamaServerBusyError) else None
        if asked_s is not None:
            return min(asked_s, _LONGEST_ASKED_PAUSE_S)
        return random.uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**progress.retries))
