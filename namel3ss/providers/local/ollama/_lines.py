"""An answer in lines, as they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import msgspec

from namel3ss.providers.local.ollama._errors import (
    OllamaError,
    OllamaFirstTokenTimeoutError,
    OllamaInterTokenTimeoutError,
    OllamaRequestTimeoutError,
    OllamaStreamInterruptedError,
)
from namel3ss.providers.local.ollama._limits import LimitPassedError, WaitLimits
from namel3ss.providers.local.ollama._ndjson import LineSplitter, LineTooLongError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from namel3ss.providers.local.ollama._http import OllamaHttp
    from namel3ss.providers.local.ollama._transport import AnswerStream

__all__ = ["LineStream"]

# How long, and how much, may follow the last line before its connection is not worth keeping.
_TAIL_S = 0.25
_TAIL_BYTES = 64 * 1024


class LineStream:
    """An async context manager, and an async iterator of lists of complete lines: those of one read together.

    Entering it sends the request and raises what the server refuses. No list is empty. Leaving it early drops the
    connection, which stops the server; so does `aclose`, also from another task of the same loop.
    """

    __slots__ = ("_answer", "_headers", "_http", "_limits", "_limits_s", "_model", "_request", "_splitter")

    def __init__(
        self,
        http: OllamaHttp,
        method: str,
        path: str,
        content: bytes | None,
        *,
        model: str | None,
        limits_s: tuple[float | None, float | None, float | None],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._http = http
        self._request = (method, path, content)
        self._headers = headers
        self._model = model
        self._limits_s = limits_s
        self._limits: WaitLimits | None = None
        self._splitter = LineSplitter()
        self._answer: AnswerStream | None = None

    async def __aenter__(self) -> Self:
        await self._http.load()
        first_s, idle_s, total_s = self._limits_s
        limits = self._limits = WaitLimits(first_s=first_s, idle_s=idle_s, total_s=total_s)
        try:
            with limits:
                self._answer = await self._http.open(*self._request, model=self._model, headers=self._headers)
        except LimitPassedError as error:
            raise self._too_late(error) from error
        finally:
            self._request = ("", "", None)  # images are large, and nobody sends it again
            if self._answer is None:
                limits.close()
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[bytes]:
        answer, limits = self._answer, self._limits
        if answer is None or limits is None:
            raise StopAsyncIteration
        try:
            with limits:
                while True:
                    if lines := self._splitter.feed(await answer.read()):
                        limits.line_arrived()
                        return lines
        except StopAsyncIteration:
            pass  # the end of the body
        except LimitPassedError as error:
            raise self._too_late(error) from error
        except LineTooLongError as error:
            raise self._http.bad_response(
                f"In the answer {error}", error.beginning, model=self._model
            ) from error
        except Exception as error:
            raise self._http.failure(error, self._model, is_answering=True) from error
        await self.aclose()
        return self._last_line()

    async def finish(self) -> None:
        """Read to the end of an answer whose last line has come, so that its connection can serve again.

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
        except (OllamaError, TimeoutError):
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

    def _last_line(self) -> list[bytes]:
        """A last line that came without its end: taken when it is whole, an error when it was cut."""
        rest = self._splitter.rest()
        if not rest:
            raise StopAsyncIteration
        if rest.startswith(b"{") and not _is_json(rest):
            raise OllamaStreamInterruptedError(
                "The answer was cut off in the middle of a line.",
                model=self._model,
                base_url=self._http.base_url,
                suggestion="Retry. If a proxy stands before the server, look at its limits and its log.",
            )
        return [rest]

    def _too_late(self, passed: LimitPassedError) -> OllamaError:
        limit = f"{passed.limit_s:g} s"
        if passed.name == "total":
            return OllamaRequestTimeoutError(
                f"The answer took longer than {limit}.",
                model=self._model,
                base_url=self._http.base_url,
                suggestion="Raise total_timeout, or ask for a shorter answer (max_tokens).",
            )
        if passed.name == "idle":
            return OllamaInterTokenTimeoutError(
                f"The answer stopped: nothing came for {limit}.",
                model=self._model,
                base_url=self._http.base_url,
                suggestion="Retry, or raise idle_timeout.",
            )
        return OllamaFirstTokenTimeoutError(
            f"Nothing of the answer came within {limit}.",
            model=self._model,
            base_url=self._http.base_url,
            suggestion="The model may still be loading, or other requests come first: look with ollama ps, or raise"
            " first_token_timeout. If nothing else runs, the server may have lost its slot for this model; unloading"
            f" helps: ollama stop {self._model or 'MODEL'}",
        )


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
