"""Whether the gateway and its servers are well: answers at once, from what is known, to anybody who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from namel3ss.gateway.answering import send_document
from namel3ss.gateway.dialects.cleaning import clean_words
from namel3ss.gateway.routes import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.management.fleet import Fleet

__all__ = ["Health"]

_PLAIN: Final = b"text/plain; charset=utf-8"


class Health:
    """Handlers without a key. They do no I/O, so nobody can use them to burden a server.

    `is_stopping` says whether the gateway is about to end.
    """

    def __init__(self, fleet: Fleet, is_stopping: Callable[[], bool]) -> None:
        self._fleet = fleet
        self._is_stopping = is_stopping

    def handlers(self) -> dict[Action, Callable[[Exchange], Awaitable[None]]]:
        return {
            Action.BANNER: self.banner,
            Action.LIVE: self.live,
            Action.READY: self.ready,
            Action.SERVER_HEALTH: self.server_health,
        }

    async def banner(self, exchange: Exchange) -> None:
        """What Ollama says at its root; clients ask there whether it runs."""
        await exchange.reply(200, b"Ollama is running", _PLAIN)

    async def live(self, exchange: Exchange) -> None:
        """The process works, whatever else does not."""
        await send_document(exchange, {"status": "live"})

    async def ready(self, exchange: Exchange) -> None:
        """Whether requests should be sent here: not while it is ending, and not while no server can be used."""
        reason = "the gateway is stopping" if self._is_stopping() else self._trouble()
        if reason is None:
            await send_document(exchange, {"status": "ready"})
        else:
            await send_document(exchange, {"status": "not ready", "reason": reason}, 503)

    async def server_health(self, exchange: Exchange) -> None:
        """`healthy` or `unhealthy` with a reason, always with status 200."""
        reason = self._trouble()
        answer = {"status": "healthy"} if reason is None else {"status": "unhealthy", "reason": reason}
        await send_document(exchange, answer)

    def _trouble(self) -> str | None:
        names = self._fleet.names
        if any(map(self._fleet.is_usable, names)):
            return None
        reasons = {self._fleet.status(name).reason for name in names} - {""}
        why = f": {clean_words(reasons.pop())}" if len(reasons) == 1 else ""
        return f"no Ollama server is running{why}"
