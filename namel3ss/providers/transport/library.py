"""Sends requests with httpx's types over aiohttp: pools, one attempt after another, bytes as they come.

Loaded at the first request only, because both libraries are slow to import. httpx's types are the outside, so that a
transport can be given; aiohttp does the work underneath, because its parser is in C and because a task cancelled
while it connects does not cost it a place in the pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from namel3ss.providers.transport.connections import Connector, Response
from namel3ss.providers.transport.failure_kinds import FailedRequest, Failure
from namel3ss.providers.transport.failures import classify, reason_of
from namel3ss.providers.transport.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

__all__ = ["AnswerStream", "HttpLibrary", "Pool"]

_PIECE_BYTES = 256 * 1024


class Pool:
    """The connections of one event loop: no redirects, no cookies, no limit.

    There is no limit because waiting for a place in a pool looks like a server that does not answer; whoever limits
    concurrency is above. Closes itself when the loop shuts down its asynchronous generators.
    """

    def __init__(self, session: aiohttp.ClientSession, proxy: httpx.Proxy | None) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        # The session brings its own connector; the bare context keeps the adapter from loading certificates.
        self.transport = AiohttpTransport(
            client=session, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), proxy=proxy
        )
        self._end = _close_at_the_end(session)

    @classmethod
    async def open(cls, headers: Mapping[str, str], proxy: httpx.Proxy | None) -> Self:
        """Connections for the running loop; `headers` go with every request. Makes none yet, and does not suspend."""
        session = aiohttp.ClientSession(
            connector=Connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            response_class=Response,
            trust_env=False,
        )
        # aiohttp would send every DELETE a second time when its connection is lost, and the server may have carried out
        # the first. What may be sent again is decided in `HttpLibrary.send`. There is no public switch.
        session._retry_connection = False
        try:
            pool = cls(session, proxy)
        except OSError:  # the adapter reads files
            await session.close()
            raise
        await anext(pool._end)
        return pool

    @property
    def is_closed(self) -> bool:
        return self._session.closed

    async def aclose(self) -> None:
        """Close every connection."""
        await self._end.aclose()

    def forget(self) -> None:
        """Let go of a pool whose loop is closed already, without a complaint about what nobody can close any more."""
        connector = self._session.connector
        self._session.detach()
        if connector is not None:
            with contextlib.suppress(StopIteration):
                next(connector.close().__await__())

    def __del__(self) -> None:
        if self._loop.is_closed() and not self._session.closed:
            self.forget()


async def _close_at_the_end(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    # A loop remembers the generators that were started in it, and closes them before it ends; one that nobody holds
    # any more it closes at once. So this must not hold the pool.
    try:
        yield
    finally:
        await session.close()


class _Pieces(httpx.AsyncByteStream):
    """A large body (images) sent piece by piece, so that sending does not hold up the event loop. Can be read again."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self._content), _PIECE_BYTES):
            yield self._content[start : start + _PIECE_BYTES]


class _Request(httpx.Request):
    """A request for a `Pool`: what the adapter reads of one, made without what httpx would work out each time.

    The fixed headers are the pool's; aiohttp adds host and length.
    """

    def __init__(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        content: bytes,
        extensions: Mapping[str, Any],
    ) -> None:
        self.method = method
        self.url = url
        self.headers = dict(headers)  # type: ignore[assignment]  # aiohttp takes these without httpx's work
        self.extensions = dict(extensions)
        self._body = content
        if len(content) > _PIECE_BYTES:
            self.stream = _Pieces(content)
            self.headers["Content-Length"] = str(len(content))

    @property
    def content(self) -> bytes:
        if len(self._body) > _PIECE_BYTES:
            raise httpx.RequestNotRead
        return self._body


class HttpLibrary:
    """What `client` needs of the HTTP libraries, for one server: requests, pools, and the meaning of failures."""

    def __init__(self, base_url: str, headers: Mapping[str, str], connect_timeout_s: float) -> None:
        self._base_url = base_url
        self._connect_timeout_s = connect_timeout_s
        # The content type is there also where no body is: a server reads it only with one.
        self._headers = {"content-type": "application/json", **headers}
        # httpx's names: "connect" is one attempt, "pool" everything up to a usable connection, the name included.
        self._extensions = {"timeout": {"connect": connect_timeout_s, "pool": connect_timeout_s}}
        self._urls: dict[str, httpx.URL] = {}

    async def open_pool(self) -> Pool:
        """Connections for the running loop. Raises httpx.ProxyError for a proxy that cannot be used."""
        proxy = proxy_for(self._base_url)
        if proxy is None:
            return await Pool.open(self._headers, None)
        if proxy.scheme not in ("http", "https"):
            raise httpx.ProxyError(f"{proxy.url} is no HTTP proxy")
        told = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
        if self._base_url.startswith("https:"):  # the proxy only sees the request for a tunnel
            return await Pool.open(self._headers, httpx.Proxy(proxy.url, headers=told))
        return await Pool.open({**self._headers, **told}, httpx.Proxy(proxy.url))

    async def send(
        self,
        transport: httpx.AsyncBaseTransport,
        method: str,
        path: str,
        content: bytes | None,
        more_headers: Mapping[str, str],
    ) -> AnswerStream:
        """The answer's beginning. Connecting is limited; the other limits are the caller's.

        A look-up whose connection is lost is made once more: it changes nothing. Raises what the transport raises; see
        `classify`.
        """
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(self._base_url + path)
        if type(transport) is not AiohttpTransport:
            headers = {**self._headers, **more_headers}
            given = httpx.Request(
                method, url, headers=headers, content=content, extensions=dict(self._extensions)
            )
            return AnswerStream(await transport.handle_async_request(given))
        request = _Request(method, url, more_headers, content or b"", self._extensions)
        try:
            return AnswerStream(await transport.handle_async_request(request))
        except Exception as error:
            if method != "GET" or classify(error) is not Failure.DISCONNECTED:
                raise
        again = _Request(method, url, more_headers, content or b"", self._extensions)
        return AnswerStream(await transport.handle_async_request(again))

    def failed_request(
        self, error: Exception, model: str | None, *, is_answering: bool
    ) -> FailedRequest | None:
        """What an exception of a transport means; None for any other. `is_answering`: a body had begun."""
        failure = classify(error)
        if failure is None:
            return None
        return FailedRequest(
            failure=failure,
            reason=reason_of(error),
            exception=error,
            base_url=self._base_url,
            model=model,
            connect_timeout_s=self._connect_timeout_s,
            is_answering=is_answering,
        )


class AnswerStream:
    """The bytes of an answer as they come, without decoding. `aclose` drops the connection of an unfinished one.

    `read` gives the next bytes and raises StopAsyncIteration at the end.
    """

    __slots__ = ("_iterator", "_stream", "read", "response")

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        stream = response.stream
        if not isinstance(stream, httpx.AsyncByteStream):
            raise TypeError("the transport answered with a synchronous stream")
        self._stream = stream
        self._iterator: AsyncIterator[bytes] = aiter(stream)
        self.read = self._iterator.__anext__

    def header(self, name: bytes) -> str:
        """One header, named in lower case; "" where it is missing. httpx's own look-up decodes them all."""
        for key, value in self.response.headers.raw:
            if key.lower() == name:
                return value.decode("latin-1")
        return ""

    async def aclose(self) -> None:
        """Let go of the connection: kept for the next request when the answer has ended, else dropped at once.

        Another task may be inside `read`; it then gets an exception.
        """
        try:
            await self._stream.aclose()
        except Exception as error:
            if classify(error) is None:
                raise
        if isinstance(self._iterator, AsyncGeneratorType) and not self._iterator.ag_running:
            await self._iterator.aclose()
