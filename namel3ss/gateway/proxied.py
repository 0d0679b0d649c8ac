"""A server that is reached through a proxy of the environment, with aiohttp, which knows how to ask proxies.

Hardly any server of a gateway is: those on this machine and in private networks are always asked directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

from namel3ss._version import __version__
from namel3ss.gateway.upstream_answer import UpstreamAnswer, UpstreamError
from namel3ss.providers.transport.connections import Connector, Response
from namel3ss.providers.transport.failure_kinds import Failure
from namel3ss.providers.transport.failures import classify, reason_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Mapping

    from namel3ss.gateway.plan import BackendPlan
    from namel3ss.providers.transport.proxies import EnvironmentProxy

__all__ = ["ProxiedConnections"]

_PIECE_BYTES: Final = 256 * 1024
_KNOWN_PATHS: Final = 64
_LONGEST_REASON: Final = 200


class _Answer(UpstreamAnswer):
    __slots__ = ("_read", "_response")

    def __init__(self, server: str, response: aiohttp.ClientResponse) -> None:
        self.server = server
        self.status = response.status
        self.content_type = response.headers.get("Content-Type", "").encode("latin-1")
        self.retry_after = response.headers.get("Retry-After")
        self._response = response
        self._read = response.content.readany

    async def read_piece(self) -> bytes:
        try:
            return await self._read()
        except Exception as error:
            if (failed := _failure(self.server, error, is_answering=True)) is None:
                raise
            raise failed from error

    def close(self) -> None:
        self._response.close()


class ProxiedConnections:
    """The connections to one server by way of a proxy, for one event loop. `aclose` them."""

    def __init__(self, plan: BackendPlan, proxy: EnvironmentProxy, *, connect_timeout_s: float) -> None:
        self._name = plan.name
        self._base_url = plan.base_url
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=connect_timeout_s, sock_connect=connect_timeout_s
        )
        self._urls: dict[str, URL] = {}
        self._proxy = proxy.url
        self._proxy_headers: dict[str, str] | None = None
        headers = {"accept": "*/*", "accept-encoding": "identity", "user-agent": f"namel3ss/{__version__}"}
        if plan.api_key is not None:
            headers["authorization"] = f"Bearer {plan.api_key.get_secret_value()}"
        if proxy.authorization is not None and plan.base_url.startswith("https:"):
            # The proxy only sees the request for a tunnel.
            self._proxy_headers = {"proxy-authorization": proxy.authorization}
        elif proxy.authorization is not None:
            headers["proxy-authorization"] = proxy.authorization
        self._session = aiohttp.ClientSession(
            connector=Connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            response_class=Response,
            trust_env=False,
            auto_decompress=False,
            timeout=self._timeout,
            skip_auto_headers=("content-type",),
        )
        # aiohttp would send a DELETE a second time when its connection is lost, and the server may have carried out
        # the first. There is no public switch.
        self._session._retry_connection = False

    async def aclose(self) -> None:
        """Close every connection. Answers that are still being read break off."""
        await self._session.close()

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterable[bytes] | None,
        *,
        content_type: bytes | None,
        read_timeout_s: float | None,
        trace: Mapping[str, str] | None = None,
    ) -> UpstreamAnswer:
        """See `Upstream.send`."""
        headers = dict(trace or {})
        if content_type is not None:
            headers["content-type"] = content_type.decode("latin-1")
        if isinstance(body, bytes) and len(body) > _PIECE_BYTES:
            headers["content-length"] = str(len(body))
            body = _pieces(body)
        try:
            response = await self._session.request(
                method,
                self._url(path),
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout if read_timeout_s is None else self._limited(read_timeout_s),
                proxy=self._proxy,
                proxy_headers=self._proxy_headers,
            )
        except Exception as error:
            if (failed := _failure(self._name, error, is_answering=False)) is None:
                raise
            raise failed from error
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            response.close()
            raise UpstreamError(
                self._name,
                Failure.INVALID,
                f"encoded as {encoding[:40]!r}, which was not asked for",
                is_answering=True,
            )
        return _Answer(self._name, response)

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = URL(self._base_url + path, encoded=True)
            if len(self._urls) < _KNOWN_PATHS:  # blobs have a path each
                self._urls[path] = url
        return url

    def _limited(self, read_timeout_s: float) -> aiohttp.ClientTimeout:
        return aiohttp.ClientTimeout(
            total=None,
            connect=self._timeout.connect,
            sock_connect=self._timeout.sock_connect,
            sock_read=read_timeout_s,
        )


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """A large body (images) piece by piece, so that sending it does not hold up the event loop."""
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]


def _failure(server: str, error: Exception, *, is_answering: bool) -> UpstreamError | None:
    """The one place where the library's exceptions get a meaning; None for any other."""
    kind = classify(error)
    if kind is None:
        return None
    return UpstreamError(server, kind, reason_of(error)[:_LONGEST_REASON], is_answering=is_answering)
