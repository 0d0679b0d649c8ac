"""One server, as the gateway asks it: bytes in, bytes out, and every failure by its kind.

Every request is made anew: its method, path, body and content type, and our own fixed headers. Nothing else of the
caller's is sent, and redirects are not followed, so that neither a prompt nor a key goes anywhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from namel3ss.gateway.connections import Connections
from namel3ss.gateway.upstream_answer import UpstreamAnswer, UpstreamError
from namel3ss.providers.transport.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from namel3ss.gateway.plan import BackendPlan
    from namel3ss.gateway.proxied import ProxiedConnections

__all__ = ["Upstream", "UpstreamAnswer", "UpstreamError"]

_CONNECT_TIMEOUT_S: Final = 5.0


class Upstream:
    """The connections to one server, for one event loop. An asynchronous context manager; opening does no I/O."""

    def __init__(self, plan: BackendPlan, *, connect_timeout_s: float = _CONNECT_TIMEOUT_S) -> None:
        self.plan = plan
        self._connect_timeout_s = connect_timeout_s
        self._connections: Connections | ProxiedConnections | None = None

    def __repr__(self) -> str:
        return f"<Upstream {self.plan.name} {'open' if self._connections is not None else 'closed'}>"

    async def __aenter__(self) -> Self:
        if self._connections is not None:
            raise RuntimeError("Cannot open an upstream twice.")
        proxy = proxy_for(self.plan.base_url)
        if proxy is None:
            self._connections = Connections(self.plan, connect_timeout_s=self._connect_timeout_s)
        else:
            from namel3ss.gateway.proxied import ProxiedConnections  # most gateways need no aiohttp

            self._connections = ProxiedConnections(
                self.plan, proxy, connect_timeout_s=self._connect_timeout_s
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection. Answers that are still being read break off."""
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.aclose()

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterable[bytes] | None,
        *,
        content_type: bytes | None,
        read_timeout_s: float | None = None,
        trace: Mapping[str, str] | None = None,
    ) -> UpstreamAnswer:
        """The beginning of an answer, to be closed by the caller. `path` is encoded already and may have a query.

        `read_timeout_s` bounds each wait for more of the answer; `trace` are headers that tell the server of a trace.
        Raises UpstreamError.
        """
        if self._connections is None:
            raise RuntimeError(f"The connections to {self.plan.name} are closed.")
        return await self._connections.send(
            method, path, body, content_type=content_type, read_timeout_s=read_timeout_s, trace=trace
        )
