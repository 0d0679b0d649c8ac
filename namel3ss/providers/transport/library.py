"""Sends requests with httpx's types over aiohttp: pools, one attempt after another, bytes as they come.

Loaded at the first request only, because both libraries are slow to import. httpx's types are the outside, so that a
transport can be given; aiohttp does the work underneath, because its parser is in C and because a task cancelled
while it connects does not cost it a place in the pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ssl
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from namel3ss.providers.transport.failure_kinds import FailedRequest, Failure
from namel3ss.providers.transport.failures import classify, library_error, reason_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping
    from types import SimpleNamespace

__all__ = ["AnswerStream", "HttpLibrary", "Pool"]

# Long enough for the pauses of a conversation; servers drop idle connections later or not at all.
_KEEP_ALIVE_S = 15.0
_PIECE_BYTES = 256 * 1024


class _Attempt:
    """One request on its way: knows whether it travels on a connection that has been used before."""

    __slots__ = ("is_reused",)

    def __init__(self) -> None:
        self.is_reused = False

    def may_be_repeated(self, error: BaseException) -> bool:
        """Whether the failure is a kept-alive connection that the server had closed, and no answer had begun."""
        inner = library_error(error)
        if not self.is_reused or classify(error) is not Failure.DISCONNECTED:
            return False
        # The message is the library's sentence, unless part of an answer had been read.
        return not isinstance(inner, aiohttp.ServerDisconnectedError) or isinstance(inner.message, str)


_attempt: contextvars.ContextVar[_Attempt] = contextvars.ContextVar("_attempt")


async def _note_reuse(session: aiohttp.ClientSession, context: SimpleNamespace, parameters: object) -> None:
    attempt = _attempt.get(None)
    if attempt is not None:
        attempt.is_reused = True


class _Response(aiohttp.ClientResponse):
    """Closes an unfinished answer by dropping its connection, which is what stops the server."""

    def release(self) -> object:
        self._abort()
        return super().release()

    def close(self) -> None:
        self._abort()
        super().close()

    def _abort(self) -> None:
        connection = self.connection
        if connection is not None and connection.transport is not None:
            # Still ours, so the body has not ended. Closing would first wait for what is still to be sent.
            connection.transport.abort()


class Pool:
    """The connections of one event loop: no proxy from the environment, no redirects, no cookies, no limit.

    There is no limit because waiting for a place in a pool looks like a server that does not answer; whoever limits
    concurrency is above. Closes itself when the loop shuts down its asynchronous generators.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        # The session brings its own connector; the bare context keeps the adapter from loading certificates.
        self.transport: httpx.AsyncBaseTransport = AiohttpTransport(
            client=session, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        self._end = _close_at_the_end(session)

    @classmethod
    async def open(cls) -> Self:
        """Connections for the running loop. Makes none yet, and does not suspend."""
        reuse = aiohttp.TraceConfig()
        reuse.on_connection_reuseconn.append(_note_reuse)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_Response,
            trace_configs=[reuse],
            trust_env=False,
        )
        try:
            pool = cls(session)
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
    """A request with its body in memory and all of its headers: made without what httpx would work out each time.

    That is most of the cost of a request, and every request of ours looks alike.
    """

    def __init__(
        self,
        method: str,
        url: httpx.URL,
        headers: httpx.Headers,
        content: bytes,
        extensions: Mapping[str, Any],
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.extensions = dict(extensions)
        self.stream = httpx.ByteStream(content)
        self._body = content

    @property
    def content(self) -> bytes:
        return self._body


class HttpLibrary:
    """What `client` needs of the HTTP libraries, for one server: requests, pools, and the meaning of failures."""

    open_pool = Pool.open

    def __init__(self, base_url: str, headers: Mapping[str, str], connect_timeout_s: float) -> None:
        self._base_url = base_url
        self._connect_timeout_s = connect_timeout_s
        # The content type is there also where no body is: a server reads it only with one.
        self._headers = httpx.Headers({"content-type": "application/json", **headers})
        # httpx's names: "connect" is one attempt, "pool" everything up to a usable connection, the name included.
        self._extensions = {"timeout": {"connect": connect_timeout_s, "pool": connect_timeout_s}}
        self._urls: dict[str, httpx.URL] = {}

    def request(
        self, method: str, path: str, content: bytes | None, more_headers: Mapping[str, str] | None = None
    ) -> httpx.Request:
        """A request whose connect phase is limited; the other limits are the caller's."""
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(self._base_url + path)
        own = httpx.Headers({**self._headers, **more_headers}) if more_headers else self._headers
        headers = [(b"host", url.netloc), *own.raw]
        if content is not None:
            headers.append((b"content-length", b"%d" % len(content)))
        if content is None or len(content) <= _PIECE_BYTES:
            return _Request(method, url, httpx.Headers(headers), content or b"", self._extensions)
        return httpx.Request(
            method, url, headers=headers, stream=_Pieces(content), extensions=self._extensions
        )

    async def send(self, transport: httpx.AsyncBaseTransport, request: httpx.Request) -> AnswerStream:
        """The answer's beginning. A kept-alive connection that turns out to be closed is replaced once.

        Raises what the transport raises; see `classify`.
        """
        attempt = _Attempt()
        token = _attempt.set(attempt)
        try:
            return AnswerStream(await transport.handle_async_request(request))
        except Exception as error:
            if not attempt.may_be_repeated(error):
                raise
        finally:
            _attempt.reset(token)
        return AnswerStream(await transport.handle_async_request(request))

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
