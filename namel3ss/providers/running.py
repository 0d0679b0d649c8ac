"""A running answer: what every stream of a provider that speaks HTTP does, whatever its pieces are.

The state machine is here once, because it is where streams go wrong: cancelled from another task while it opens, dropped
without being closed, read in another event loop, closed with its provider, failed after half an answer.
"""

from __future__ import annotations

import abc
import asyncio
import warnings
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeAlias, TypeVar

from namel3ss.providers.base import ProviderError, ProviderStream
from namel3ss.providers.end_turns import take_turn

if TYPE_CHECKING:
    import weakref
    from collections.abc import Iterator
    from types import TracebackType

    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.base import ProviderChunk, ProviderResponse
    from namel3ss.providers.transport.reading import PieceStream

__all__ = ["CollectedAnswer", "RunningStream"]

PieceT = TypeVar("PieceT")
PieceT_contra = TypeVar("PieceT_contra", contravariant=True)

# new: nothing sent; open: pieces come; told: the last chunk was given out; done, failed, cancelled: no more comes.
_State: TypeAlias = Literal["new", "open", "told", "done", "failed", "cancelled"]


class _MisuseError(RuntimeError):
    """A stream was used outside its event loop, or by two tasks at once. It goes on where it was begun, undisturbed."""


class _Opening:
    """Entered for the wait until an answer begins. Another task may end that wait: the block is then left without an error.

    Works as asyncio's timeouts do: it cancels the waiting task, and takes that back.
    """

    __slots__ = ("_cancelling", "_is_ended", "_task")

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._is_ended = False

    def end(self) -> None:
        """End the wait, if another task is in it."""
        task = self._task
        if task is not None and not self._is_ended and task is not asyncio.current_task():
            self._is_ended = True
            task.cancel()

    def __enter__(self) -> None:
        task = self._task = asyncio.current_task()
        self._cancelling = task.cancelling() if task is not None else 0

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        task, self._task = self._task, None
        if not self._is_ended or task is None:
            return False
        return task.uncancel() <= self._cancelling and exc_type is asyncio.CancelledError


class CollectedAnswer(Protocol[PieceT_contra]):
    """An answer, collected piece by piece, without I/O."""

    def begin(self) -> None:
        """The request is about to be sent: times count from now."""

    @property
    def chunks(self) -> int:
        """How many chunks came of it so far."""

    @property
    def first_token_s(self) -> float | None:
        """When the first text, thinking or tool call came; None before it did."""

    def take(self, piece: PieceT_contra) -> ProviderChunk | None:
        """The chunk that a piece is, or None for a piece without content. Raises ProviderError."""

    def has_ended(self) -> bool:
        """Whether the piece has come that proves it complete."""

    def interrupted(self) -> ProviderError | None:
        """The body has ended, politely: the error for an answer that is not complete. None for one that is all the
        same; it then says so (`has_ended`).
        """

    def last_chunk(self) -> ProviderChunk:
        """The end of a stream, with the totals."""

    def response(self) -> ProviderResponse:
        """Everything that has arrived."""


class RunningStream(ProviderStream, Generic[PieceT]):
    """One answer, piece by piece. A provider derives its own and says how to begin, observe, check and explain one.

    `running` is where the provider keeps the streams that it has to close. `async with` closes it whatever happens;
    without it, dropping an unfinished stream closes it too, with a ResourceWarning. An error ends the stream; it carries
    what had arrived.
    """

    def __init__(
        self,
        answer: CollectedAnswer[PieceT],
        *,
        model: str,
        running: weakref.WeakSet[RunningStream[PieceT]],
        is_read_in_pieces: bool,
    ) -> None:
        self.model = model
        self._answer = answer
        self._running = running
        self._is_read_in_pieces = is_read_in_pieces
        self._state: _State = "new"
        self._opening = _Opening()
        self._pieces: PieceStream[PieceT] | None = None
        self._pending: Iterator[PieceT] = iter(())
        self._observation: RequestObservation | None = None
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed_by_provider = False
        self._is_being_read = False

    # -- what a provider adds -----------------------------------------------------------------------------------

    @abc.abstractmethod
    async def _load(self) -> None:
        """Import what sends requests: once for a process, and no part of any call's time."""

    @abc.abstractmethod
    def _observe(self) -> RequestObservation:
        """Begin to observe the call. Raises RuntimeError where the provider is closed."""

    @abc.abstractmethod
    async def _prepare(self) -> None:
        """What is to be done before sending and is no part of the call's time at the server: reading images."""

    @abc.abstractmethod
    async def _begin(self) -> PieceStream[PieceT]:
        """Send the request: its answer, begun. Raises what the server refuses."""

    @abc.abstractmethod
    async def _check_complete(self) -> None:
        """Look at the answer once, when it is complete. May raise ProviderError."""

    @abc.abstractmethod
    async def _explained(self, error: ProviderError, *, had_begun: bool) -> ProviderError:
        """The error to raise, with what can be learnt of it and what had arrived. `had_begun`: the server answered."""

    @abc.abstractmethod
    def _end_observation(self, observation: RequestObservation, error: BaseException | None) -> None:
        """The call has ended: well, by `error`, or by its caller."""

    @abc.abstractmethod
    def _closed(self) -> ProviderError:
        """The error for whoever reads a stream whose provider was closed."""

    # -- reading ------------------------------------------------------------------------------------------------

    async def __anext__(self) -> ProviderChunk:
        answer = self._answer
        try:
            while True:
                if answer.has_ended():
                    return await self._end()
                for piece in self._pending:
                    chunk = answer.take(piece)
                    if chunk is not None:
                        return chunk
                    if answer.has_ended():
                        break
                else:
                    await self._more()
        except (StopAsyncIteration, _MisuseError):
            raise
        except BaseException as error:
            known = await self._fail(error)
            if known is error:
                raise
            raise known from error

    async def result(self) -> ProviderResponse:
        answer = self._answer
        try:
            while not answer.has_ended() and self._is("new", "open"):
                for piece in self._pending:
                    answer.take(piece)
                    if answer.has_ended():
                        break
                else:
                    await self._more()
            if self._is("open"):
                await self._end()
        except StopAsyncIteration:
            pass  # cancelled meanwhile: what has arrived is the result
        except _MisuseError:
            raise
        except BaseException as error:
            known = await self._fail(error)
            if known is error:
                raise
            raise known from error
        if self._is("told"):
            await self._finish()
        if self._is("failed") and self._error is not None:
            raise self._error
        return answer.response()

    async def cancel(self) -> None:
        self._check_loop()
        if self._is("told"):
            await self._finish()
        elif self._is("new", "open"):
            was_open = self._is("open")
            self._state = "cancelled"
            if was_open:
                self._record()
            self._opening.end()
            await self._release()

    async def close_by_provider(self) -> None:
        """End the stream because its provider is closed: whoever reads it gets an error that says so."""
        self._is_closed_by_provider = True
        if self._loop is asyncio.get_running_loop():
            self._opening.end()
            await self._release()
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._opening.end)
            if self._pieces is not None:
                self._loop.call_soon_threadsafe(_close_soon, self._pieces)

    # -- steps --------------------------------------------------------------------------------------------------

    async def _more(self) -> None:
        """Wait for the next pieces. Raises StopAsyncIteration where no more are to come, ProviderError on trouble."""
        if self._is_being_read:
            self._check_loop()
            raise _MisuseError(
                f"The answer of {self.model!r} is being read already; only one task can read it at a time."
            )
        self._is_being_read = True
        try:
            if self._is("new"):
                await self._open()
            self._check_loop()
            pieces, observation = self._pieces, self._observation
            if not self._is("open") or pieces is None or observation is None:
                self._explain_the_end()
                raise StopAsyncIteration
            if self._answer.first_token_s is not None:
                observation.first_token()  # it was in the pieces before
            observation.reading()
            try:
                with observation.activate():
                    read = await anext(pieces)
            except StopAsyncIteration:
                self._explain_the_end()
                error = self._answer.interrupted() if self._is("open") else None
                if error is not None:
                    raise error from None
                if self._answer.has_ended():
                    return
                raise
            except ProviderError:
                self._explain_the_end()
                if self._is("cancelled"):
                    raise StopAsyncIteration from None
                raise
            observation.received(len(read))
            self._pending = iter(read)
        finally:
            self._is_being_read = False

    def _record(self, error: BaseException | None = None) -> None:
        """The call has ended, as far as its caller and the server are concerned."""
        if self._observation is None:
            return
        if self._answer.first_token_s is not None:
            self._observation.first_token()
        self._end_observation(self._observation, error)

    def _check_loop(self) -> None:
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise _MisuseError(
                f"The answer of {self.model!r} belongs to the event loop in which it was begun; read and cancel it"
                " there."
            )

    def _explain_the_end(self) -> None:
        if self._is_closed_by_provider:
            raise self._closed() from None

    async def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running.add(self)
        with self._opening:
            await self._load()
        self._explain_the_end()
        if not self._is("new"):
            return  # cancelled by another task meanwhile
        self._answer.begin()
        observation = self._observe()
        self._state = "open"
        self._observation = observation
        with self._opening:
            await self._prepare()
            with observation.activate():
                self._pieces = await self._begin()
        if not self._is("open") or self._is_closed_by_provider:
            await self._release()  # cancelled or closed by another task at the moment at which it was opened

    async def _end(self) -> ProviderChunk:
        """The last chunk. Raises StopAsyncIteration when it has been given out."""
        if self._is("open") and self._is_read_in_pieces and len(self._running) > 1:
            await take_turn()
        if not self._is("open"):
            if self._is("told"):
                await self._finish()
            raise StopAsyncIteration
        await self._check_complete()
        if not self._is("open"):
            raise StopAsyncIteration  # cancelled by another task meanwhile
        self._state = "told"
        self._record()
        return self._answer.last_chunk()

    async def _finish(self) -> None:
        """Leave the connection fit for the next request."""
        self._state = "done"
        pieces, self._pieces = self._pieces, None
        self._running.discard(self)
        if pieces is not None:
            await pieces.finish()

    async def _fail(self, error: BaseException) -> BaseException:
        """End the stream; the error to raise, with what had arrived."""
        if self._is("failed", "cancelled"):
            return error
        was_open = self._is("open")
        self._state = "failed"
        self._error = error
        if was_open:
            self._record(error)  # first: what follows may take a while, and is no part of the answer
        had_begun = self._pieces is not None and not self._is_closed_by_provider
        await self._release()
        if isinstance(error, ProviderError):
            self._error = error = await self._explained(error, had_begun=had_begun)
        return error

    async def _release(self) -> None:
        """Drop the connection: nothing else stops the server."""
        pieces, self._pieces = self._pieces, None
        self._running.discard(self)
        if pieces is not None:
            await pieces.aclose()

    def _is(self, *states: _State) -> bool:
        return self._state in states  # a call, because the state changes while this object awaits

    @property
    def _chunks(self) -> int | None:
        """How many chunks its reader was given; None where it is read as a whole."""
        return self._answer.chunks if self._is_read_in_pieces else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.model!r}: {self._state}, {self._answer.chunks} chunks>"

    def __del__(self) -> None:
        if getattr(self, "_state", "new") != "open":
            return
        pieces, loop = self._pieces, self._loop
        warnings.warn(f"{self!r} was dropped before its end", ResourceWarning, source=self, stacklevel=2)
        if pieces is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(_close_soon, pieces)


_closing: set[asyncio.Task[None]] = set()


def _close_soon(pieces: PieceStream[PieceT]) -> None:
    task = asyncio.get_running_loop().create_task(pieces.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)
