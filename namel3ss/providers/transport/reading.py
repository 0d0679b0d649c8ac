"""An answer in pieces, as they come: lines of JSON or server-sent events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

import msgspec

from namel3ss.providers.base import ProviderError
from namel3ss.providers.transport.limits import LimitPassedError, WaitLimits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from namel3ss.providers.transport.client import HttpClient
    from namel3ss.providers.transport.library import AnswerStream

__all__ = ["CutOffError", "PieceStream", "PieceTooLongError", "Splitter", "is_json"]

PieceT = TypeVar("PieceT")

# How long, and how much, may follow the last piece before its connection is not worth keeping.
_TAIL_S = 0.25
_TAIL_BYTES = 64 * 1024

# What is kept of a piece that is too long. Far more than is shown, because secrets in it grow shorter before.
_BEGINNING_BYTES = 8 * 1024


class PieceTooLongError(ValueError):
    """A piece is longer than the limit; `beginning` is how it starts."""

    def __init__(self, what: str, limit_bytes: int, beginning: bytes) -> None:
        super().__init__(f"{what} is longer than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes
        self.beginning = beginning[:_BEGINNING_BYTES]


class CutOffError(ValueError):
    """The bytes ended in the middle of a piece."""


class Splitter(Protocol[PieceT]):
    """Bytes into pieces, without I/O. Holds no more than one unfinished piece of bounded size."""

    def feed(self, data: bytes) -> list[PieceT]:
        """The pieces that `data` completes. Raises PieceTooLongError."""

    def end(self) -> list[PieceT]:
        """What is left when no more bytes come: a piece that lacks only its end. Raises CutOffError for half of one."""


def is_json(data: bytes) -> bool:
    """Whether `data` is one whole JSON value."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


class PieceStream(Generic[PieceT]):
    """An async context manager, and an async iterator of lists of complete pieces: those of one read together.

    Entering it sends the request and raises what the server refuses. No list is empty. Leaving it early drops the
    connection, which stops the server; so does `aclose`, also from another task of the same loop.
    """

    __slots__ = (
        "_answer",
        "_expected",
        "_headers",
        "_http",
        "_limits",
        "_limits_s",
        "_model",
        "_request",
        "_splitter",
    )

    def __init__(
        self,
        http: HttpClient,
        request: tuple[str, str, bytes | None],
        splitter: Splitter[PieceT],
        *,
        expected: str,
        model: str | None,
        limits_s: tuple[float | None, float | None, float | None],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._http = http
        self._request = request
        self._splitter = splitter
        self._expected = expected
        self._headers = headers
        self._model = model
        self._limits_s = limits_s
        self._limits: WaitLimits | None = None
        self._answer: AnswerStream | None = None

    async def __aenter__(self) -> Self:
        await self._http.load()
        first_s, idle_s, total_s = self._limits_s
        limits = self._limits = WaitLimits(first_s=first_s, idle_s=idle_s, total_s=total_s)
        try:
            with limits:
                self._answer = await self._http.open(
                    *self._request, model=self._model, headers=self._headers, expected=self._expected
                )
        except LimitPassedError as error:
            raise self._http.too_late(error, model=self._model) from error
        finally:
            self._request = ("", "", None)  # images are large, and nobody sends it again
            if self._answer is None:
                limits.close()
        return self

    def header(self, name: bytes) -> str:
        """One header of the answer, named in lower case; "" where it is missing, or the answer is let go of."""
        return self._answer.header(name) if self._answer is not None else ""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[PieceT]:
        answer, limits = self._answer, self._limits
        if answer is None or limits is None:
            raise StopAsyncIteration
        try:
            with limits:
                while True:
                    if pieces := self._splitter.feed(await answer.read()):
                        limits.piece_arrived()
                        return pieces
        except StopAsyncIteration:
            pass  # the end of the body
        except LimitPassedError as error:
            raise self._http.too_late(error, model=self._model) from error
        except PieceTooLongError as error:
            raise self._http.bad_response(
                f"In the answer {error}",
                self._http.secrets.hide_in_beginning(error.beginning),
                model=self._model,
            ) from error
        except Exception as error:
            raise self._http.failure(error, self._model, is_answering=True) from error
        await self.aclose()
        return self._last_piece()

    async def finish(self) -> None:
        """Read to the end of an answer whose last piece has come, so that its connection can serve again.

        Nobody looks at what still comes. If the end does not come soon, the connection is dropped; the answer is
        complete all the same.
        """
        answer = self._answer
        if answer is None:
            return
        left = _TAIL_BYTES
        try:
            async with asyncio.timeout(_TAIL_S):
                while left > 0 and (data := await self._http.read(answer, model=self._model)):
                    left -= len(data)
        except (ProviderError, TimeoutError):
            pass  # the answer is complete; only its connection is lost
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Let go of the connection. Idempotent."""
        answer, self._answer = self._answer, None
        if self._limits is not None:
            self._limits.close()
        if answer is not None:
            await answer.aclose()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _last_piece(self) -> list[PieceT]:
        """A last piece that came without its end: taken when it is whole, an error when it was cut."""
        try:
            pieces = self._splitter.end()
        except CutOffError as error:
            raise self._http.cut_off(model=self._model) from error
        if not pieces:
            raise StopAsyncIteration
        return pieces
