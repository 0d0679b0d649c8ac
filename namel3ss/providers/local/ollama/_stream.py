"""A running answer."""

from __future__ import annotations

import asyncio
import logging
import warnings
from typing import TYPE_CHECKING, Literal, TypeAlias

from namel3ss.providers.base import ProviderStream
from namel3ss.providers.local.ollama._answer import Answer
from namel3ss.providers.local.ollama._errors import OllamaError, OllamaStreamInterruptedError
from namel3ss.providers.local.ollama._messages import load_images
from namel3ss.providers.local.ollama._telemetry import end_observation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.base import ProviderChunk, ProviderResponse
    from namel3ss.providers.local.ollama._exchange import Exchange
    from namel3ss.providers.local.ollama._requests import Call
    from namel3ss.providers.transport.reading import PieceStream

__all__ = ["OllamaStream"]

# new: nothing sent; open: lines come; told: the last chunk was given out; done, failed, cancelled: no more comes.
_State: TypeAlias = Literal["new", "open", "told", "done", "failed", "cancelled"]

logger = logging.getLogger(__name__)


class _OtherLoopError(RuntimeError):
    """A stream was used outside its event loop. It goes on there, undisturbed."""


class OllamaStream(ProviderStream):
    """One answer of Ollama, piece by piece.

    `async with` closes it whatever happens; without it, dropping an unfinished stream closes it too, with a
    ResourceWarning. An error ends the stream; it carries what had arrived.
    """

    def __init__(self, exchange: Exchange, call: Call, *, is_read_in_pieces: bool) -> None:
        self._exchange = exchange
        self._call = call
        self._is_read_in_pieces = is_read_in_pieces
        self._state: _State = "new"
        self._lines: PieceStream[bytes] | None = None
        self._pending: Iterator[bytes] = iter(())
        self._answer = Answer(call.model, is_chat=call.is_chat, clock=exchange.clock)
        self._observation: RequestObservation | None = None
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed_by_provider = False

    async def __anext__(self) -> ProviderChunk:
        answer = self._answer
        try:
            while True:
                if answer.has_ended():
                    return await self._end()
                for line in self._pending:
                    chunk = answer.take(line)
                    if chunk is not None:
                        return chunk
                    if answer.has_ended():
                        break
                else:
                    await self._more()
        except (StopAsyncIteration, _OtherLoopError):
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
                for line in self._pending:
                    answer.take(line)
                    if answer.has_ended():
                        break
                else:
                    await self._more()
            if self._is("open"):
                await self._end()
        except StopAsyncIteration:
            pass  # cancelled meanwhile: what has arrived is the result
        except _OtherLoopError:
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
            await self._release()

    async def close_by_provider(self) -> None:
        """End the stream because its provider is closed: whoever reads it gets an error that says so."""
        self._is_closed_by_provider = True
        if self._loop is asyncio.get_running_loop():
            await self._release()
        elif self._lines is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_close_soon, self._lines)

    # -- steps --------------------------------------------------------------------------------------------------

    async def _more(self) -> None:
        """Wait for the next lines. Raises StopAsyncIteration where no more are to come, OllamaError on trouble."""
        if self._is("new"):
            await self._open()
        self._check_loop()
        lines, observation = self._lines, self._observation
        if not self._is("open") or lines is None or observation is None:
            self._explain_the_end()
            raise StopAsyncIteration
        if self._answer.first_token_s is not None:
            observation.first_token()  # it was in the lines before
        observation.reading()
        try:
            with observation.activate():
                read = await anext(lines)
        except StopAsyncIteration:
            self._explain_the_end()
            if self._is("open"):
                raise self._answer.interrupted() from None
            raise
        except OllamaError:
            self._explain_the_end()
            if self._is("cancelled"):
                raise StopAsyncIteration from None
            raise
        observation.received(len(read))
        self._pending = iter(read)

    def _record(self, error: BaseException | None = None) -> None:
        """The call has ended, as far as its caller and the server are concerned."""
        if self._observation is None:
            return
        if self._answer.first_token_s is not None:
            self._observation.first_token()
        end_observation(self._observation, self._answer, chunks=self._chunks, error=error)

    def _check_loop(self) -> None:
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise _OtherLoopError(
                f"The answer of {self._call.model!r} belongs to the event loop in which it was begun; read and cancel it"
                " there."
            )

    def _explain_the_end(self) -> None:
        if self._is_closed_by_provider:
            raise OllamaStreamInterruptedError(
                "The provider was closed while this answer was arriving.",
                model=self._call.model,
                base_url=self._answer.base_url,
                suggestion="Close the provider when its streams have ended.",
            ) from None

    async def _open(self) -> None:
        self._exchange.check_open()
        self._loop = asyncio.get_running_loop()
        self._state = "open"
        self._exchange.running.add(self)
        self._observation = self._exchange.observe(
            self._call, self._answer, is_streamed=self._is_read_in_pieces
        )
        await load_images(self._call.messages)
        with self._observation.activate():
            self._lines = await self._exchange.open_lines(self._call, self._answer)
        if not self._is("open"):
            await self._release()  # cancelled by another task while it was being opened

    async def _end(self) -> ProviderChunk:
        """The last chunk. Raises StopAsyncIteration when it has been given out."""
        if not self._is("open"):
            if self._is("told"):
                await self._finish()
            raise StopAsyncIteration
        self._exchange.attempts.completed(self._answer.base_url)
        await self._exchange.check_context(self._call, self._answer)
        self._state = "told"
        self._record()
        return self._answer.last_chunk()

    async def _finish(self) -> None:
        """Leave the connection fit for the next request."""
        self._state = "done"
        lines, self._lines = self._lines, None
        self._exchange.running.discard(self)
        if lines is not None:
            await lines.finish()

    async def _fail(self, error: BaseException) -> BaseException:
        """End the stream; the error to raise, with what had arrived."""
        if self._is("failed", "cancelled"):
            return error
        was_open = self._is("open")
        self._state = "failed"
        self._error = error
        if was_open:
            self._record(error)  # first: what follows may take a while, and is no part of the answer
        had_begun = self._lines is not None and not self._is_closed_by_provider
        await self._release()
        if isinstance(error, OllamaError):
            if had_begun:
                self._exchange.attempts.broke_off(self._answer.base_url, error)
            self._error = error = await self._exchange.explained(error, self._call)
            self._answer.attach_to(error)
        return error

    async def _release(self) -> None:
        """Drop the connection: nothing else stops the server."""
        lines, self._lines = self._lines, None
        self._exchange.running.discard(self)
        if lines is not None:
            await lines.aclose()

    def _is(self, *states: _State) -> bool:
        return self._state in states  # a call, because the state changes while this object awaits

    @property
    def model(self) -> str:
        return self._call.model

    @property
    def _chunks(self) -> int | None:
        return self._answer.chunks if self._is_read_in_pieces else None

    def __repr__(self) -> str:
        return f"<OllamaStream of {self._call.model!r}: {self._state}, {self._answer.chunks} chunks>"

    def __del__(self) -> None:
        if getattr(self, "_state", "new") != "open":
            return
        lines, loop = self._lines, self._loop
        warnings.warn(f"{self!r} was dropped before its end", ResourceWarning, source=self, stacklevel=2)
        if lines is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(_close_soon, lines)


_closing: set[asyncio.Task[None]] = set()


def _close_soon(lines: PieceStream[bytes]) -> None:
    task = asyncio.get_running_loop().create_task(lines.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)
