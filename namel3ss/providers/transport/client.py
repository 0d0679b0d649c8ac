r"""HTTP to one server: the only way in or out, with every failure already an error of the provider.

The rules of this file and its neighbours (`reading`, `limits`, `library`):

* One pool of connections for each running event loop. It is closed when that loop shuts down its asynchronous
  generators, as `asyncio.run` does, or by `aclose`. After a fork the child starts with none.
* The limits on waiting (first piece, between pieces, whole answer) are kept outside the HTTP library, whose read timeout
  a server can defeat by sending single bytes. Only a complete piece ends a wait.
* Pieces are split from raw bytes, and all complete pieces of one read are handed on together.
* An answer that is left early loses its connection at once: nothing else makes the server stop.
* Redirects are not followed, so that no key and no prompt goes to another host.
"""

from __future__ import annotations

import abc
import asyncio
import importlib
import os
import sys
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from namel3ss._version import __version__
from namel3ss.errors import UsageError
from namel3ss.providers.base import ProviderError
from namel3ss.providers.transport.events import EventSplitter
from namel3ss.providers.transport.lines import LineSplitter
from namel3ss.providers.transport.reading import PieceStream
from namel3ss.providers.transport.secrets import Secrets

if TYPE_CHECKING:
    import httpx

    from namel3ss.providers.transport.events import ServerSentEvent
    from namel3ss.providers.transport.failure_kinds import FailedRequest
    from namel3ss.providers.transport.library import AnswerStream, HttpLibrary, Pool
    from namel3ss.providers.transport.limits import LimitPassedError

__all__ = ["EVENTS", "JSON", "HttpClient", "import_libraries"]

JSON: Final = "json"
EVENTS: Final = "event-stream"

_LIBRARY_MODULE = "namel3ss.providers.transport.library"
_MAX_ERROR_BYTES = 64 * 1024
_MAX_ANSWER_BYTES = 256 * 1024 * 1024
_ERROR_TEXT_S = 1.0

# Pools of a parent process, seen from a forked child: kept for ever, because closing them would disturb the parent.
_of_the_parent: list[object] = []


def import_libraries() -> None:
    """Import the HTTP libraries here and now, rather than at the first request and in another thread.

    For whoever may be forked then: a module that another thread is importing is one that the child waits for for ever.
    """
    importlib.import_module(_LIBRARY_MODULE)


class HttpClient(abc.ABC):
    """Requests to the server at `base_url`. Lives as long as its owner, which calls `aclose`; making it does no I/O.

    A provider derives its own and gives failures its words, in the six methods without a body. `headers` go with every
    request and beat the fixed ones. `transport` replaces the real one and is not closed here. Works in several event
    loops, one after the other or side by side.
    """

    accept: ClassVar[str]
    """What every request says that it takes."""
    public: ClassVar[frozenset[str]] = frozenset()
    """The headers that are no secrets; every other one is."""

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        connect_timeout_s: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.is_closed = False
        self.secrets = Secrets(headers or {}, public=self.public)
        self._headers = {
            "accept": self.accept,
            "accept-encoding": "identity",
            "user-agent": f"namel3ss/{__version__}",
            **(headers or {}),
        }
        self._connect_timeout_s = connect_timeout_s
        self._given_transport = transport
        self._library: HttpLibrary | None = None
        self._pools: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Pool] = weakref.WeakKeyDictionary()
        self._process_id = os.getpid()

    # -- the provider's words -----------------------------------------------------------------------------------

    @abc.abstractmethod
    def transport_error(self, failed: FailedRequest) -> ProviderError:
        """The error for a request that failed below HTTP."""

    @abc.abstractmethod
    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, *, model: str | None
    ) -> ProviderError:
        """The error for an answer whose status is not a success. `body` may be only the beginning of what was sent; it
        and the headers are without secrets.
        """

    @abc.abstractmethod
    def bad_response(self, what: str, beginning: bytes, *, model: str | None) -> ProviderError:
        """The error for an answer that is not the provider's, with its beginning; `what` is without secrets."""

    @abc.abstractmethod
    def cut_off(self, *, model: str | None) -> ProviderError:
        """The error for an answer that ended in the middle of a piece."""

    @abc.abstractmethod
    def too_late(self, passed: LimitPassedError, *, model: str | None) -> ProviderError:
        """The error for an answer in pieces that took too long."""

    @abc.abstractmethod
    def request_too_late(self, what: str, timeout_s: float, *, model: str | None) -> ProviderError:
        """The error for a whole answer that took too long; `what` is the method and the path."""

    # -- requests -----------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        body: object | None = None,
        *,
        timeout_s: float | None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The whole body of a successful answer. `body` is sent as JSON; `timeout_s` bounds everything. `headers` are
        for this request, beside those of every one.
        """
        content, model = _encode(body), _model_of(body)
        await self.load()
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self.open(method, path, content, model=model, headers=headers)
                try:
                    return await self._read_whole(answer, model)
                finally:
                    await answer.aclose()
        except TimeoutError as error:
            if isinstance(error, ProviderError) or timeout_s is None:
                raise
            raise self.request_too_late(f"{method} {path}", timeout_s, model=model) from error

    def stream(
        self,
        method: str,
        path: str,
        body: object | None = None,
        *,
        first_timeout_s: float | None,
        idle_timeout_s: float | None,
        total_timeout_s: float | None,
        headers: Mapping[str, str] | None = None,
    ) -> PieceStream[bytes]:
        """An answer in lines: ``async with http.stream(…) as batches: async for lines in batches: …``."""
        return PieceStream(
            self,
            (method, path, _encode(body)),
            LineSplitter(),
            expected=JSON,
            model=_model_of(body),
            limits_s=(first_timeout_s, idle_timeout_s, total_timeout_s),
            headers=headers,
        )

    def events(
        self,
        method: str,
        path: str,
        body: object | None = None,
        *,
        first_timeout_s: float | None,
        idle_timeout_s: float | None,
        total_timeout_s: float | None,
        headers: Mapping[str, str] | None = None,
    ) -> PieceStream[ServerSentEvent]:
        """An answer in server-sent events, read like `stream`. Comments that keep a connection open end no wait."""
        return PieceStream(
            self,
            (method, path, _encode(body)),
            EventSplitter(),
            expected=EVENTS,
            model=_model_of(body),
            limits_s=(first_timeout_s, idle_timeout_s, total_timeout_s),
            headers=headers,
        )

    def holds_connections(self) -> bool:
        """Whether an event loop that still lives has connections of ours."""
        return any(not loop.is_closed() and not pool.is_closed for loop, pool in list(self._pools.items()))

    async def aclose(self) -> None:
        """Close the connections of the running loop; those of other loops end with them. Idempotent."""
        self.is_closed = True
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        self._pools.clear()
        if pool is not None and self._process_id == os.getpid():
            await pool.aclose()

    # -- one answer ---------------------------------------------------------------------------------------------

    async def open(
        self,
        method: str,
        path: str,
        content: bytes | None,
        *,
        model: str | None,
        headers: Mapping[str, str] | None = None,
        expected: str = JSON,
    ) -> AnswerStream:
        """The beginning of a successful answer, to be closed by the caller; everything else is the provider's error.

        `expected` is a word that its content type must have, where it has one.
        """
        if self.is_closed:
            raise RuntimeError(f"The connection to {self.base_url} is closed.")
        library = await self.load()
        try:
            transport = self._given_transport or await self._transport(library)
            answer = await library.send(transport, method, path, content, headers or {})
        except Exception as error:
            raise self.failure(error, model, is_answering=False) from error
        try:
            await self._check(answer, model, expected)
        except BaseException:
            await answer.aclose()
            raise
        return answer

    async def read(self, answer: AnswerStream, *, model: str | None) -> bytes:
        """The next bytes of an answer; b"" at its end."""
        try:
            return await answer.read()
        except StopAsyncIteration:
            return b""
        except Exception as error:
            raise self.failure(error, model, is_answering=True) from error

    def failure(self, error: Exception, model: str | None, *, is_answering: bool) -> Exception:
        """The provider's error for a transport's exception; any other exception as it is."""
        if self._library is None:
            return error
        failed = self._library.failed_request(error, model, is_answering=is_answering)
        return error if failed is None else self.transport_error(failed)

    async def _read_whole(self, answer: AnswerStream, model: str | None) -> bytes:
        parts: list[bytes] = []
        size = 0
        while data := await self.read(answer, model=model):
            parts.append(data)
            size += len(data)
            if size > _MAX_ANSWER_BYTES:
                raise self.bad_response(
                    f"The answer is larger than {_MAX_ANSWER_BYTES} bytes",
                    self.secrets.hide_in_beginning(parts[0]),
                    model=model,
                )
        return b"".join(parts)

    async def _check(self, answer: AnswerStream, model: str | None, expected: str) -> None:
        """Refuse what is no answer of the provider: other statuses, encodings and content types."""
        response = answer.response
        status = response.status_code
        if not 200 <= status < 300:
            body = await self._beginning(answer)
            said = {name: self.secrets.hide_in_text(value) for name, value in response.headers.items()}
            raise self.refusal(status, said, body, model=model)
        content_type = answer.header(b"content-type")
        encoding = answer.header(b"content-encoding").strip()
        if encoding.lower() not in ("", "identity"):
            what = f"The answer is encoded as {self._shown(encoding, 40)}, which was not asked for"
        elif content_type and expected not in content_type.lower():
            wanted = "JSON" if expected == JSON else "a stream of events"
            what = f"The answer is {self._shown(content_type, 60)}, not {wanted}"
        else:
            return
        raise self.bad_response(what, await self._beginning(answer, enough_bytes=1), model=model)

    async def _beginning(self, answer: AnswerStream, *, enough_bytes: int = _MAX_ERROR_BYTES) -> bytes:
        """What can be had of a body that only serves a message: bounded in size and time, without secrets, never a
        failure.
        """
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_ERROR_TEXT_S):
                while size < enough_bytes:
                    if not (data := await self.read(answer, model=None)):
                        return self.secrets.hide(b"".join(parts))
                    parts.append(data)
                    size += len(data)
        except (ProviderError, TimeoutError):
            pass  # the status says enough; a text cut short is no second error
        return self.secrets.hide_in_beginning(b"".join(parts)[:_MAX_ERROR_BYTES])

    def _shown(self, said: str, length: int) -> str:
        return repr(self.secrets.hide_in_text(said)[:length])

    # -- transports ---------------------------------------------------------------------------------------------

    async def load(self) -> HttpLibrary:
        """Import the HTTP libraries: in a thread where they are new, because that takes long. No limit counts it."""
        if self._library is not None:
            return self._library
        if "httpx_aiohttp" not in sys.modules:
            await asyncio.get_running_loop().run_in_executor(None, import_libraries)
        from namel3ss.providers.transport.library import HttpLibrary

        if self._library is None:
            self._library = HttpLibrary(self.base_url, self._headers, self._connect_timeout_s)
        return self._library

    async def _transport(self, library: HttpLibrary) -> httpx.AsyncBaseTransport:
        """The running loop's own."""
        if self._process_id != os.getpid():
            _of_the_parent.append(list(self._pools.values()))
            self._pools.clear()
            self._process_id = os.getpid()
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            for other in [known for known in self._pools if known.is_closed()]:
                self._pools.pop(other).forget()
            pool = self._pools[loop] = await library.open_pool()
        return pool.transport


def _encode(body: object | None) -> bytes | None:
    """A body as JSON. Raises UsageError for what JSON cannot say, before anything is sent."""
    if body is None:
        return None
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as error:
        raise UsageError(
            "The request holds half of a surrogate pair, which UTF-8 cannot say.",
            suggestion="Decode the text anew, for example with errors='replace'.",
        ) from error
    except (TypeError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise UsageError(f"The request cannot be written as JSON: {error}") from error


def _model_of(body: object) -> str | None:
    name = body.get("model") if isinstance(body, Mapping) else None
    return name if isinstance(name, str) else None
