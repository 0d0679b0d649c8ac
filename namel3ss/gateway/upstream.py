"""One server's connections, as the gateway uses them: bytes in, bytes out, and every failure by its kind.

Every request is made anew: its method, path, body and content type, and our own fixed headers. Nothing else of the
caller's is sent, and redirects are not followed, so that neither a prompt nor a key goes anywhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import aiohttp
from yarl import URL

from namel3ss._version import __version__
from namel3ss.errors import N3Error
from namel3ss.providers.transport.connections import Connector, Response
from namel3ss.providers.transport.failure_kinds import Failure
from namel3ss.providers.transport.failures import classify, reason_of
from namel3ss.providers.transport.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from namel3ss.gateway.plan import BackendPlan

__all__ = ["Upstream", "UpstreamAnswer", "UpstreamError"]

_CONNECT_TIMEOUT_S: Final = 5.0
_PIECE_BYTES: Final = 256 * 1024
_KNOWN_PATHS: Final = 64

# Failures before the server had anything of the request that it could have worked on.
_NEVER_ARRIVED: Final = frozenset(
    {
        Failure.REFUSED,
        Failure.UNKNOWN_HOST,
        Failure.TLS,
        Failure.CONNECT_TIMEOUT,
        Failure.ADDRESS,
        Failure.PROXY,
        Failure.NOTHING_LEFT,
    }
)


class UpstreamError(N3Error):
    """A server could not be asked, or its answer broke off. Its words are for the log: they may hold an address.

    `kind` is what failed, `reason` the same in the operating system's words; `is_answering`: a body had begun.
    """

    def __init__(self, server: str, kind: Failure, reason: str, *, is_answering: bool) -> None:
        super().__init__(f"{server}: {kind.value}" + (f" ({reason})" if reason else ""))
        self.server = server
        self.kind = kind
        self.reason = reason
        self.is_answering = is_answering

    @property
    def may_have_run(self) -> bool:
        """Whether the server may have begun to work on the request: then nobody may send it again unasked."""
        return self.is_answering or self.kind not in _NEVER_ARRIVED


class UpstreamAnswer:
    """An answer whose body is still to be read. Close it in any case: an unfinished one loses its connection."""

    __slots__ = ("_name", "_read", "_response", "content_type", "status")

    def __init__(self, name: str, response: aiohttp.ClientResponse) -> None:
        self._name = name
        self._response = response
        self._read = response.content.readany
        self.status = response.status
        self.content_type = response.headers.get("Content-Type", "").encode("latin-1")

    @property
    def retry_after(self) -> str | None:
        """The server's Retry-After, as it said it."""
        return self._response.headers.get("Retry-After")

    async def read_piece(self) -> bytes:
        """What has come since the last read, at least one byte; b"" at the end."""
        try:
            return await self._read()
        except Exception as error:
            if (failed := _failure(self._name, error, is_answering=True)) is None:
                raise
            raise failed from error

    async def read(self, limit: int) -> bytes:
        """All that is left. Raises UpstreamError for more than `limit` bytes."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.read_piece():
            size += len(piece)
            if size > limit:
                raise UpstreamError(
                    self._name, Failure.INVALID, f"more than {limit} bytes", is_answering=True
                )
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Drop the connection at once, unless the body has ended: then it serves the next request."""
        self._response.close()


class Upstream:
    """The connections to one server, for one event loop. An asynchronous context manager; opening does no I/O.

    There is no limit on connections: waiting for one would look like a server that does not answer, and how many
    requests a server gets is the queue's business.
    """

    def __init__(self, plan: BackendPlan, *, connect_timeout_s: float = _CONNECT_TIMEOUT_S) -> None:
        self.plan = plan
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=connect_timeout_s, sock_connect=connect_timeout_s
        )
        self._urls: dict[str, URL] = {}
        self._session: aiohttp.ClientSession | None = None
        self._proxy: str | None = None
        self._proxy_headers: dict[str, str] | None = None

    def __repr__(self) -> str:
        return f"<Upstream {self.plan.name} {'open' if self._session is not None else 'closed'}>"

    async def __aenter__(self) -> Self:
        if self._session is not None:
            raise RuntimeError("Cannot open an upstream twice.")
        headers = {
            "accept": "*/*",
            "accept-encoding": "identity",
            "user-agent": f"namel3ss/{__version__}",
        }
        if self.plan.api_key is not None:
            headers["authorization"] = f"Bearer {self.plan.api_key.get_secret_value()}"
        if (proxy := proxy_for(self.plan.base_url)) is not None:
            self._proxy = proxy.url
            if proxy.authorization is not None and self.plan.base_url.startswith("https:"):
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
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection. Answers that are still being read break off."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterable[bytes] | None,
        *,
        content_type: bytes | None,
        read_timeout_s: float | None = None,
    ) -> UpstreamAnswer:
        """The beginning of an answer, to be closed by the caller. `path` is encoded already and may have a query.

        `read_timeout_s` bounds each wait for more of the answer. Raises UpstreamError.
        """
        if self._session is None:
            raise RuntimeError(f"The connections to {self.plan.name} are closed.")
        headers: dict[str, str] = {}
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
            if (failed := _failure(self.plan.name, error, is_answering=False)) is None:
                raise
            raise failed from error
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            response.close()
            raise UpstreamError(
                self.plan.name,
                Failure.INVALID,
                f"encoded as {encoding[:40]!r}, which was not asked for",
                is_answering=True,
            )
        return UpstreamAnswer(self.plan.name, response)

    def _url(self, path: str) -> URL:
        url = self._urls.get(path)
        if url is None:
            url = URL(self.plan.base_url + path, encoded=True)
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
    return UpstreamError(server, kind, reason_of(error), is_answering=is_answering)
