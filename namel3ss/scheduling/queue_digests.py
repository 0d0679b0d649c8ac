"""What the names of models mean on a server at this moment: their digests, asked for at most once in a while."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeAlias

from namel3ss.errors import N3Error
from namel3ss.scheduling.queue_loop import Started
from namel3ss.scheduling.queue_requests import model_key

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from namel3ss.scheduling.queue_loop import QueueLoop
    from namel3ss.scheduling.queue_requests import Outgoing

__all__ = ["Digests"]

# Model → digest.
_Known: TypeAlias = Mapping[str, str]


class Digests:
    """The digests of servers. Threads wait for the one look that is under way; not to be asked in the queue's loop."""

    def __init__(
        self,
        look: Callable[[Outgoing, str], Awaitable[dict[str, Any]]],
        loop: QueueLoop,
        *,
        clock: Callable[[], float],
        keep_s: float,
    ) -> None:
        self._look = look
        self._loop = loop
        self._clock = clock
        self._keep_s = keep_s
        self._lock = threading.Lock()
        # Server → when it was asked, and what it said or will say.
        self._known: dict[str, tuple[float, Future[_Known]]] = {}

    def of(self, request: Outgoing) -> str | None:
        """The digest of a request's model on its server; None where it has no such model or does not answer."""
        with self._lock:
            now = self._clock()
            asked = self._known.get(request.server)
            if asked is None or (asked[1].done() and now - asked[0] > self._keep_s):
                asked = self._known[request.server] = (now, self._ask(request))
        return asked[1].result().get(request.model_key)

    def _ask(self, request: Outgoing) -> Future[_Known]:
        found: Future[_Known] = Future()

        def tell(task: asyncio.Task[_Known]) -> None:
            if task.cancelled():  # the queue is shut down
                found.set_result({})
            elif (error := task.exception()) is not None:
                found.set_exception(error)
            else:
                found.set_result(task.result())

        try:
            self._loop.start(Started(), self._fetch(request), tell)
        except RuntimeError:  # shut down
            found.set_result({})
        return found

    async def _fetch(self, request: Outgoing) -> _Known:
        try:
            listing = await self._look(request, "/api/tags")
        except N3Error:
            return {}
        models = listing.get("models")
        return {
            model_key(model["name"]): model["digest"]
            for model in (models if isinstance(models, list) else ())
            if isinstance(model, dict)
            and isinstance(model.get("name"), str)
            and isinstance(model.get("digest"), str)
        }
