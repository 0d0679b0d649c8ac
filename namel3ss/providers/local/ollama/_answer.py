"""An answer, collected line by line. Pure: lines go in, chunks and at the end one response come out.

A line whose ``done`` is true ends the answer, and is the only proof that it is complete; what follows is ignored. A
line with an ``error`` ends it too, as an exception.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any, Final

from namel3ss.providers.base import ProviderChunk, ProviderResponse, Timings, ToolCall, Usage
from namel3ss.providers.local.ollama._errors import (
    OllamaBadResponseError,
    OllamaError,
    OllamaStreamInterruptedError,
)
from namel3ss.providers.local.ollama._refusals import error_from_text, text_of_error
from namel3ss.providers.local.ollama._wire import (
    ChatLine,
    GenerateLine,
    Totals,
    decode_chat_line,
    decode_generate_line,
    decode_leniently,
    decode_totals,
    read_tool_calls,
)
from namel3ss.providers.transport.secrets import NO_SECRETS
from namel3ss.providers.transport.wording import quote

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Answer"]

logger = logging.getLogger(__name__)

# The server gives up on a model that repeats one piece this often, and says nothing.
_REPEATS: Final = 25

_JOINED_PIECES: Final = 1024

_TIMINGS: Final = tuple(field.name for field in dataclasses.fields(Timings))


class Answer:
    """What has arrived of one answer. `clock` says when, in seconds; only differences matter.

    `context` is what is known of the context window, shown in the metadata. `base_url` and `secrets` are those of the
    server that answers.
    """

    __slots__ = (
        "_clock",
        "_decode",
        "_is_chat",
        "_logprobs",
        "_model",
        "_started_at",
        "_texts",
        "_texts_before",
        "_thoughts",
        "_thoughts_before",
        "_timings",
        "_tool_calls",
        "_totals",
        "base_url",
        "chunks",
        "context",
        "first_token_s",
        "is_complete",
        "secrets",
        "usage",
        "wall_s",
    )

    def __init__(self, model: str, *, is_chat: bool, clock: Callable[[], float]) -> None:
        self._model = model
        self._is_chat = is_chat
        self._decode: Callable[[bytes], ChatLine | GenerateLine] = (
            decode_chat_line if is_chat else decode_generate_line
        )
        self._clock = clock
        self._started_at = clock()
        self._texts: list[str] = []
        self._texts_before: list[
            str
        ] = []  # many pieces joined to one, because a piece costs ten times its text
        self._thoughts: list[str] = []
        self._thoughts_before: list[str] = []
        self._tool_calls: list[ToolCall] = []
        self._logprobs: list[dict[str, Any]] = []
        self._totals = Totals()
        self._timings: Timings | None = None
        self.usage = Usage()
        self.base_url: str | None = None
        self.secrets = NO_SECRETS
        self.context: dict[str, Any] = {}
        self.chunks = 0
        self.first_token_s: float | None = None
        self.wall_s: float | None = None
        self.is_complete = False

    def begin(self) -> None:
        """The request is about to be sent: times count from now."""
        self._started_at = self._clock()

    # -- lines in -----------------------------------------------------------------------------------------------

    def take(self, line: bytes) -> ProviderChunk | None:
        """The chunk that a line is, or None for a line without content. Raises OllamaError."""
        try:
            piece = self._decode(line)
        except (ValueError, RecursionError) as problem:
            piece = self._decode_anyway(line, problem)
        message = piece.message
        if message is None or piece.error is not None or piece.done or piece.logprobs:
            self._take_the_unusual(piece, line)
            if message is None:
                return None
        text, thinking = message.content or "", message.thinking or ""
        if not text and not thinking and not message.tool_calls:
            return None
        if self.first_token_s is None:
            self.first_token_s = self._clock() - self._started_at
        self.chunks += 1
        if self.chunks % _JOINED_PIECES == 0:
            _join(self._texts, self._texts_before)
            _join(self._thoughts, self._thoughts_before)
        if text:
            self._texts.append(text)
        if thinking:
            self._thoughts.append(thinking)
        if not message.tool_calls:
            return ProviderChunk(output_text=text, thinking=thinking)
        try:
            calls = read_tool_calls(message.tool_calls)
        except ValueError as problem:
            raise self._bad(f"A tool call of the model is broken ({problem})", line) from problem
        self._tool_calls += calls
        return ProviderChunk(output_text=text, thinking=thinking, tool_calls=calls)

    def _take_the_unusual(self, piece: ChatLine | GenerateLine, line: bytes) -> None:
        """What few lines have: an error, log probabilities, the end."""
        if piece.error is not None:
            raise error_from_text(
                self.secrets.hide_in_text(text_of_error(piece.error)),
                status=_status_beside_an_error(line),
                model=self._model,
                base_url=self.base_url or "",
            )
        if piece.logprobs:
            self._logprobs += piece.logprobs
        if piece.done:
            self.is_complete = True
            self.wall_s = self._clock() - self._started_at
            try:
                self._totals = decode_totals(line)
                self.usage = self._totals.usage()
            except (ValueError, RecursionError):
                logger.debug("the totals of an answer cannot be read")

    def _decode_anyway(self, line: bytes, problem: Exception) -> ChatLine | GenerateLine:
        shape: type[ChatLine | GenerateLine] = ChatLine if self._is_chat else GenerateLine
        try:
            return decode_leniently(line, shape) if line.strip() else shape()
        except RecursionError:
            raise self._bad(
                "The answer holds a line that is not Ollama's (nested too deeply)", line
            ) from problem
        except ValueError as what:
            raise self._bad(f"The answer holds a line that is not Ollama's ({what})", line) from problem

    def _bad(self, what: str, line: bytes) -> OllamaBadResponseError:
        return OllamaBadResponseError(
            f"{what}: {quote(self.secrets.hide(line))}",
            model=self._model,
            base_url=self.base_url,
            suggestion="Is this the address of an Ollama server? A proxy before it may have answered instead.",
        )

    def has_ended(self) -> bool:
        """Whether the last line has come."""
        return self.is_complete

    @property
    def elapsed_s(self) -> float:
        """From the beginning to the last line, or until now."""
        return self.wall_s if self.wall_s is not None else self._clock() - self._started_at

    # -- the end ------------------------------------------------------------------------------------------------

    def interrupted(self) -> OllamaError:
        """The error for an answer that ended, politely, without being complete."""
        suggestion = "Retry. If it happens again, look at the server's log."
        if len(self._texts) >= _REPEATS and len({text.strip() for text in self._texts[-_REPEATS:]}) == 1:
            suggestion = "The model repeats itself, and the server has stopped it: raise repeat_penalty or temperature."
        return OllamaStreamInterruptedError(
            "The answer ended without its last line; it is incomplete.",
            model=self._model,
            base_url=self.base_url,
            suggestion=suggestion,
        )

    def attach_to(self, error: OllamaError) -> OllamaError:
        """The same error with what had arrived."""
        error.partial_text = self._text
        error.partial_thinking = self._thinking
        error.chunks = self.chunks
        error.base_url = error.base_url or self.base_url
        return error

    @property
    def _text(self) -> str:
        return "".join((*self._texts_before, *self._texts))

    @property
    def _thinking(self) -> str:
        return "".join((*self._thoughts_before, *self._thoughts))

    @property
    def model(self) -> str:
        """The name that the server uses for it; the one that was asked for while it has not said."""
        return self._totals.text("model") or self._model

    @property
    def timings(self) -> Timings:
        """Where the time went; once the answer is complete they no longer change."""
        if self._timings is not None:
            return self._timings
        timings = self._totals.timings(first_token_s=self.first_token_s, wall_s=self.elapsed_s)
        if self.is_complete:
            self._timings = timings
        return timings

    @property
    def tokens_per_second(self) -> float | None:
        return self._totals.tokens_per_second()

    @property
    def finish_reason(self) -> str | None:
        """The server's word; ``tool_calls`` where the model stopped in order to call."""
        reason = self._totals.text("done_reason")
        return "tool_calls" if reason == "stop" and self._tool_calls else reason

    def last_chunk(self) -> ProviderChunk:
        """The end of a stream, with the totals."""
        return ProviderChunk(metadata=self._metadata())

    def response(self) -> ProviderResponse:
        """Everything that has arrived."""
        return ProviderResponse(
            output_text=self._text,
            model=self.model,
            finish_reason=self.finish_reason,
            usage=self.usage,
            timings=self.timings,
            tool_calls=tuple(self._tool_calls),
            thinking=self._thinking or None,
            metadata=self._metadata(),
        )

    def _metadata(self) -> dict[str, Any]:
        """What both the last chunk and the response carry. Whatever the server did not report is left out."""
        rate, totals, reason = self.tokens_per_second, self._totals, self.finish_reason
        metadata: dict[str, Any] = {
            "provider": "ollama",
            "model": self.model,
            "base_url": self.base_url,
            "served_by": self.base_url,
            "done": self.is_complete,
            "tokens": {key.removesuffix("_tokens"): count for key, count in self.usage.items()},
            "throughput": {} if rate is None else {"tokens_per_second": rate},
        }
        if reason is not None:
            metadata["finish_reason"] = reason
        if self.is_complete:
            timings = self.timings
            metadata["timings"] = {
                name: seconds for name in _TIMINGS if (seconds := getattr(timings, name)) is not None
            }
        for field in ("created_at", "remote_model", "remote_host"):
            if (value := totals.text(field)) is not None:
                metadata[field] = value
        if self.context:
            metadata["context"] = self.context
        if self._logprobs:
            metadata["logprobs"] = self._logprobs
        return metadata


def _status_beside_an_error(line: bytes) -> int | None:
    try:
        return decode_totals(line).error_status()
    except (ValueError, RecursionError):
        return None


def _join(pieces: list[str], before: list[str]) -> None:
    """Make one text of all pieces but the last few, which tell whether a model repeats itself."""
    if len(pieces) > _REPEATS:
        before.append("".join(pieces[:-_REPEATS]))
        del pieces[:-_REPEATS]
