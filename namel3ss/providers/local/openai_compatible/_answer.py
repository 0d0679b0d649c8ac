"""An answer, collected event by event. Pure: events go in, chunks and at the end one response come out.

The event ``[DONE]`` ends the answer. A body that ends without it is complete only if a finish reason had come: some servers
leave ``[DONE]`` out, and none gives a reason before it has finished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from namel3ss.providers.base import ProviderChunk, ProviderResponse, Timings, ToolCall, Usage
from namel3ss.providers.local.openai_compatible._errors import (
    OpenAICompatibleBadResponseError,
    OpenAICompatibleError,
    OpenAICompatibleStreamInterruptedError,
)
from namel3ss.providers.local.openai_compatible._tool_calls import BrokenCallError, ToolCallPieces
from namel3ss.providers.local.openai_compatible._wire import (
    Chunk,
    decode_chunk,
    decode_leniently,
    reasoning_tokens,
    text_of_parts,
    usage_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.providers.local.openai_compatible._http import CompatibleHttp
    from namel3ss.providers.local.openai_compatible._wire import Choice, Delta
    from namel3ss.providers.transport.events import ServerSentEvent

__all__ = ["Answer"]

_DONE: Final = b"[DONE]"
_JOINED_PIECES: Final = 1024


class Answer:
    """What has arrived of one answer from the server behind `http`. `clock` says when, in seconds."""

    def __init__(self, model: str, http: CompatibleHttp, *, clock: Callable[[], float]) -> None:
        self._asked_model = model
        self._http = http
        self._clock = clock
        self._started_at = clock()
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        # Many pieces joined to one, because a piece costs ten times its text.
        self._texts_before: list[str] = []
        self._thoughts_before: list[str] = []
        self._calls = ToolCallPieces()
        self._tool_calls: tuple[ToolCall, ...] = ()
        self._logprobs: list[Any] = []
        self._reported: object = None
        self._is_refusal = False
        self._first = Chunk()
        self.finish_reason: str | None = None
        self.usage = Usage()
        self.request_id: str | None = None
        self.chunks = 0
        self.first_token_s: float | None = None
        self.wall_s: float | None = None
        self.is_complete = False

    def begin(self) -> None:
        """The request is about to be sent: times count from now."""
        self._started_at = self._clock()

    # -- events in ----------------------------------------------------------------------------------------------

    def take(self, piece: ServerSentEvent) -> ProviderChunk | None:
        """The chunk that an event is, or None for one without content. Raises OpenAICompatibleError."""
        data = piece.data
        if data == _DONE:
            return self._finish()
        return self.take_document(data)

    def take_document(self, data: bytes) -> ProviderChunk | None:
        """The same for the JSON of an event, or of a whole answer."""
        chunk = self._decode(data)
        if chunk.error is not None or chunk.object == "error":
            error = self._http.refusal_in(data, model=self._asked_model)
            raise error or self._http.bad_response(
                "The server reports an error", data, model=self._asked_model
            )
        if self._first.id is None:
            self._first = chunk
        if chunk.usage is not None:
            self._reported = chunk.usage
            self.usage = usage_of(chunk.usage)
        if not chunk.choices:
            return None
        choice = chunk.choices[0]
        if choice.index != 0:  # of several answers to one prompt, which nobody can read at once
            return None
        if choice.logprobs is not None:
            self._take_logprobs(choice.logprobs)
        piece = self._take_delta(choice)
        if not choice.finish_reason or self.finish_reason is not None:
            return piece
        self.finish_reason = choice.finish_reason
        return self._with_calls(piece)

    def end(self) -> None:
        """A whole answer has been taken: there is no event that says so."""
        if self.finish_reason is None and not self.chunks and not self._calls:
            raise self._http.bad_response(
                "The answer holds no choice of the model's", b"", model=self._asked_model
            )
        self._finish()

    def _take_delta(self, choice: Choice) -> ProviderChunk | None:
        delta = choice.delta or choice.message
        if delta is None:
            return None
        content = delta.content
        text = content if isinstance(content, str) else text_of_parts(content)
        text = text or self._refused(delta)
        thinking = delta.reasoning_content or delta.reasoning or ""
        for part in delta.tool_calls or ():
            self._calls.add(part)
        if not text and not thinking:
            if delta.tool_calls:
                self._token_arrived()
            return None
        self._token_arrived()
        self.chunks += 1
        if text:
            self._texts.append(text)
        if thinking:
            self._thoughts.append(thinking)
        if self.chunks % _JOINED_PIECES == 0:
            for pieces, before in (
                (self._texts, self._texts_before),
                (self._thoughts, self._thoughts_before),
            ):
                before.append("".join(pieces))
                pieces.clear()
        return ProviderChunk(output_text=text, thinking=thinking)

    def _refused(self, delta: Delta) -> str:
        """The words of a model that declines to answer: the answer's text, and marked as such in the metadata."""
        self._is_refusal = self._is_refusal or bool(delta.refusal)
        return delta.refusal or ""

    def _token_arrived(self) -> None:
        if self.first_token_s is None:
            self.first_token_s = self._clock() - self._started_at

    def _take_logprobs(self, logprobs: object) -> None:
        content = logprobs.get("content") if isinstance(logprobs, dict) else None
        if isinstance(content, list):
            self._logprobs += content

    def _finish(self) -> ProviderChunk | None:
        """The end has come."""
        last = None if self._tool_calls else self._with_calls(None)
        self.is_complete = True
        self.wall_s = self._clock() - self._started_at
        return last

    def _with_calls(self, piece: ProviderChunk | None) -> ProviderChunk | None:
        """The piece with the tool calls, which are whole only when the model has finished."""
        try:
            self._tool_calls = self._calls.finish()
        except BrokenCallError as problem:
            hint = "Raise max_tokens: the call was cut." if self.finish_reason == "length" else "Retry."
            raise OpenAICompatibleBadResponseError(
                f"A tool call of the model is broken: {problem}.",
                model=self._asked_model,
                base_url=self._http.base_url,
                suggestion=hint,
            ) from problem
        if not self._tool_calls:
            return piece
        if piece is None:
            self.chunks += 1
            return ProviderChunk(tool_calls=self._tool_calls)
        return ProviderChunk(
            output_text=piece.output_text, thinking=piece.thinking, tool_calls=self._tool_calls
        )

    def _decode(self, data: bytes) -> Chunk:
        try:
            return decode_chunk(data)
        except (ValueError, RecursionError) as problem:
            try:
                return decode_leniently(data, Chunk)
            except (ValueError, RecursionError):
                raise self._http.bad_response(
                    "The answer holds an event that is not of this protocol", data, model=self._asked_model
                ) from problem

    # -- the end ------------------------------------------------------------------------------------------------

    def has_ended(self) -> bool:
        """Whether the end has come."""
        return self.is_complete

    def interrupted(self) -> OpenAICompatibleError | None:
        """The body has ended: None where the answer is complete all the same, else the error."""
        if self.finish_reason is not None:
            self._finish()
            return None
        return OpenAICompatibleStreamInterruptedError(
            "The answer ended before the server said that it was complete.",
            model=self._asked_model,
            base_url=self._http.base_url,
            suggestion="Retry. If it happens again, look at the server's log: an error there may not reach its clients.",
        )

    def attach_to(self, error: OpenAICompatibleError) -> OpenAICompatibleError:
        """The same error with what had arrived."""
        error.partial_text = self._text
        error.partial_thinking = self._thinking
        error.chunks = self.chunks
        error.base_url = error.base_url or self._http.base_url
        error.request_id = error.request_id or self.request_id
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
        name = self._first.model
        return name if isinstance(name, str) and name else self._asked_model

    @property
    def elapsed_s(self) -> float:
        """From the beginning to the end, or until now."""
        return self.wall_s if self.wall_s is not None else self._clock() - self._started_at

    @property
    def timings(self) -> Timings:
        """What this side measured: servers of this protocol report no times."""
        return Timings(first_token_s=self.first_token_s, wall_s=self.elapsed_s)

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
            tool_calls=self._tool_calls,
            thinking=self._thinking or None,
            metadata=self._metadata(),
        )

    def _metadata(self) -> dict[str, Any]:
        """What both the last chunk and the response carry. Whatever the server did not report is left out."""
        tokens = {key.removesuffix("_tokens"): count for key, count in self.usage.items()}
        reasoning = reasoning_tokens(self._reported)
        if reasoning is not None:
            tokens["reasoning"] = reasoning
        metadata: dict[str, Any] = {
            "provider": self._http.kind.name,
            "model": self.model,
            "base_url": self._http.base_url,
            "served_by": self._http.base_url,
            "done": self.is_complete,
            "tokens": tokens,
            "throughput": {},
        }
        if self.finish_reason is not None:
            metadata["finish_reason"] = self.finish_reason
        if self.is_complete:
            known = {"first_token_s": self.first_token_s, "wall_s": self.wall_s}
            metadata["timings"] = {name: seconds for name, seconds in known.items() if seconds is not None}
        said = {"response_id": self._first.id, "system_fingerprint": self._first.system_fingerprint}
        metadata |= {name: text for name, text in said.items() if isinstance(text, str) and text}
        if self.request_id:
            metadata["request_id"] = self.request_id
        if self._is_refusal:
            metadata["refusal"] = True
        if self._logprobs:
            metadata["logprobs"] = self._logprobs
        return metadata
