"""An answer, collected event by event. Pure: the data of events goes in, chunks and at the end one response come out.

``message_stop`` ends the answer, and is the only proof that it is complete; what follows is ignored. An ``error`` event
ends it too, as an exception. Events that nobody knows yet are ignored, as the API asks of its clients.

Every block is kept as the API sent it, in `metadata["content"]`: a thinking block must go back unchanged, signature and
all, when the answers of tools are sent.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from namel3ss.providers.anthropic._errors import (
    AnthropicBadResponseError,
    AnthropicError,
    AnthropicStreamInterruptedError,
)
from namel3ss.providers.anthropic._refusals import error_from_event
from namel3ss.providers.anthropic._wire import (
    FINISH_REASONS,
    KNOWN_EVENTS,
    Event,
    TokenCounts,
    decode_event,
    decode_kind,
)
from namel3ss.providers.base import ProviderChunk, ProviderResponse, Timings, ToolCall
from namel3ss.providers.transport.secrets import NO_SECRETS
from namel3ss.providers.transport.wording import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.providers.anthropic._wire import Delta
    from namel3ss.providers.base import Usage
    from namel3ss.providers.transport.events import ServerSentEvent

__all__ = ["Answer"]

logger = logging.getLogger(__name__)

_TEXTS = ("text", "thinking", "signature")


class _Block:
    """One block of content, as far as it has come."""

    __slots__ = ("_citations", "_json", "_pieces", "_start", "is_ended")

    def __init__(self, start: dict[str, Any]) -> None:
        self._start = start
        self._pieces: dict[str, list[str]] = {}
        self._json: list[str] = []
        self._citations: list[Any] = []
        self.is_ended = False

    @property
    def kind(self) -> object:
        return self._start.get("type")

    def add(self, delta: Delta) -> None:
        if delta.text:
            self._pieces.setdefault("text", []).append(delta.text)
        if delta.thinking:
            self._pieces.setdefault("thinking", []).append(delta.thinking)
        if delta.signature:
            self._pieces.setdefault("signature", []).append(delta.signature)
        if delta.partial_json:
            self._json.append(delta.partial_json)
        if delta.citation is not None:
            self._citations.append(delta.citation)

    def text(self, field: str) -> str:
        start = self._start.get(field)
        return "".join((start if isinstance(start, str) else "", *self._pieces.get(field, ())))

    def input(self) -> dict[str, Any]:
        """The input of a tool. Raises ValueError where the pieces are no JSON object."""
        if not self._json:
            start = self._start.get("input")
            return dict(start) if isinstance(start, dict) else {}
        return msgspec.json.decode("".join(self._json), type=dict[str, Any])

    def tool_call(self, index: int) -> ToolCall:
        """The call that the model makes. Raises ValueError where it is broken."""
        name, call_id = self._start.get("name"), self._start.get("id")
        if not isinstance(name, str) or not name:
            raise ValueError("the tool has no name")
        return ToolCall(name, self.input(), call_id if isinstance(call_id, str) else None, index)

    def whole(self) -> dict[str, Any]:
        """The block as the API's other form has it, to be sent back. Raises ValueError as `input` does."""
        block = dict(self._start)
        for field in _TEXTS:
            if field in self._pieces:
                block[field] = self.text(field)
        if self._json:
            block["input"] = self.input()
        if self._citations:
            block["citations"] = [*(block.get("citations") or ()), *self._citations]
        return block


class Answer:
    """What has arrived of one answer. `clock` says when, in seconds; only differences matter.

    `base_url` and `secrets` are those of the server that answers.
    """

    def __init__(self, model: str, *, clock: Callable[[], float]) -> None:
        self._asked_model = model
        self._clock = clock
        self._started_at = clock()
        self._blocks: dict[int, _Block] = {}
        self._tool_calls: list[ToolCall] = []
        self._broken_call: ValueError | None = None
        self._counts = TokenCounts()
        self._message_id: str | None = None
        self._model: str | None = None
        self._stop_reason: str | None = None
        self._stop_sequence: str | None = None
        self._stop_details: dict[str, Any] | None = None
        self.base_url: str | None = None
        self.secrets = NO_SECRETS
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
        """The chunk that an event is, or None for one without content. Raises AnthropicError."""
        data = piece.data
        try:
            event = decode_event(data)
        except (ValueError, RecursionError) as problem:
            self._refuse_unless_unknown(data, problem)
            return None
        match event.type:
            case "content_block_delta":
                return self._piece(event, data)
            case "content_block_start":
                return self._begin_block(event, data)
            case "content_block_stop":
                return self._end_block(event, data)
            case "message_start":
                if event.message is not None:
                    self._message_id, self._model = event.message.id, event.message.model
                    self._counts.add(event.message.usage)
            case "message_delta":
                self._end_message(event, data)
            case "message_stop":
                self.is_complete = True
                self.wall_s = self._clock() - self._started_at
            case "error":
                raise error_from_event(
                    decode_event(self.secrets.hide(data)).error,
                    model=self._asked_model,
                    base_url=self.base_url,
                    request_id=event.request_id or self.request_id,
                )
            case unknown if unknown not in ("ping", *KNOWN_EVENTS):
                logger.debug("an event of a type that is not known: %.40r", unknown)
        return None

    def _refuse_unless_unknown(self, data: bytes, problem: Exception) -> None:
        """An event of another form is only of interest where its type is known."""
        try:
            kind = decode_kind(data)
        except (ValueError, RecursionError):
            kind = None
        if kind is None or kind in KNOWN_EVENTS:
            raise self._bad("The answer holds an event that is not the API's", data) from problem

    def _piece(self, event: Event, data: bytes) -> ProviderChunk | None:
        block, delta = self._block(event, data), event.delta
        if delta is None:
            raise self._bad("The answer holds a piece without content", data)
        block.add(delta)
        text, thinking = delta.text or "", delta.thinking or ""
        if not text and not thinking:
            if delta.partial_json:
                self._saw_a_token()
            return None
        return self._chunk(text, thinking)

    def _begin_block(self, event: Event, data: bytes) -> ProviderChunk | None:
        if event.content_block is None or event.index < 0:
            raise self._bad("The answer holds a block without content", data)
        block = self._blocks[event.index] = _Block(event.content_block)
        text = block.text("text") if block.kind == "text" else ""
        thinking = block.text("thinking") if block.kind == "thinking" else ""
        return self._chunk(text, thinking) if text or thinking else None

    def _end_block(self, event: Event, data: bytes) -> ProviderChunk | None:
        block = self._block(event, data)
        block.is_ended = True
        if block.kind != "tool_use":
            return None
        try:
            call = block.tool_call(len(self._tool_calls))
        except ValueError as problem:
            self._broken_call = problem  # it may be that the answer was too long: the reason comes later
            return None
        self._tool_calls.append(call)
        chunk = self._chunk("", "")
        chunk.tool_calls = (call,)
        return chunk

    def _end_message(self, event: Event, data: bytes) -> None:
        self._counts.add(event.usage)
        if event.delta is not None:
            self._stop_reason = event.delta.stop_reason or self._stop_reason
            self._stop_sequence = event.delta.stop_sequence or self._stop_sequence
            self._stop_details = event.delta.stop_details or self._stop_details
        if self._broken_call is not None and self.finish_reason != "length":
            raise self._bad("A tool call of the model is broken", data) from self._broken_call

    def _block(self, event: Event, data: bytes) -> _Block:
        block = self._blocks.get(event.index)
        if block is None:
            raise self._bad("The answer holds a piece of a block that has not begun", data)
        return block

    def _chunk(self, text: str, thinking: str) -> ProviderChunk:
        self._saw_a_token()
        self.chunks += 1
        return ProviderChunk(output_text=text, thinking=thinking)

    def _saw_a_token(self) -> None:
        if self.first_token_s is None:
            self.first_token_s = self._clock() - self._started_at

    def _bad(self, what: str, data: bytes) -> AnthropicBadResponseError:
        return AnthropicBadResponseError(
            f"{what}: {quote(self.secrets.hide(data))}",
            model=self._asked_model,
            base_url=self.base_url,
            suggestion="Is this the address of Anthropic's API? A proxy before it may have answered instead.",
            request_id=self.request_id,
        )

    def has_ended(self) -> bool:
        """Whether the last event has come."""
        return self.is_complete

    @property
    def elapsed_s(self) -> float:
        """From the beginning to the last event, or until now."""
        return self.wall_s if self.wall_s is not None else self._clock() - self._started_at

    # -- the end ------------------------------------------------------------------------------------------------

    def interrupted(self) -> AnthropicError:
        """The error for an answer that ended, politely, without being complete."""
        return AnthropicStreamInterruptedError(
            "The answer ended without its last event; it is incomplete.",
            model=self._asked_model,
            base_url=self.base_url,
            suggestion="Retry. If it happens again, look at the log of the server, or of a proxy before it.",
            request_id=self.request_id,
        )

    def attach_to(self, error: AnthropicError) -> AnthropicError:
        """The same error with what had arrived."""
        error.partial_text = self._joined("text")
        error.partial_thinking = self._joined("thinking")
        error.chunks = self.chunks
        error.base_url = error.base_url or self.base_url
        error.request_id = error.request_id or self.request_id
        return error

    @property
    def model(self) -> str:
        """The name that the API uses for it; the one that was asked for while it has not said."""
        return self._model or self._asked_model

    @property
    def usage(self) -> Usage:
        return self._counts.usage()

    @property
    def timings(self) -> Timings:
        """The client's own; the API reports none."""
        return Timings(first_token_s=self.first_token_s, wall_s=self.elapsed_s)

    @property
    def finish_reason(self) -> str | None:
        """The word that all providers share; the API's own where there is none."""
        reason = self._stop_reason
        return FINISH_REASONS.get(reason, reason) if reason is not None else None

    def last_chunk(self) -> ProviderChunk:
        """The end of a stream, with the totals."""
        return ProviderChunk(metadata=self._metadata())

    def response(self) -> ProviderResponse:
        """Everything that has arrived."""
        return ProviderResponse(
            output_text=self._joined("text"),
            model=self.model,
            finish_reason=self.finish_reason,
            usage=self.usage,
            timings=self.timings,
            tool_calls=tuple(self._tool_calls),
            thinking=self._joined("thinking") or None,
            metadata=self._metadata(),
        )

    def _joined(self, kind: str) -> str:
        return "".join(block.text(kind) for block in self._blocks.values() if block.kind == kind)

    def _content(self) -> list[dict[str, Any]]:
        """The blocks that are complete, as the API takes them back."""
        content = []
        for block in self._blocks.values():
            try:
                if block.is_ended:
                    content.append(block.whole())
            except ValueError:
                logger.debug("the input of a tool was cut off; its block is left out")
        return content

    def _metadata(self) -> dict[str, Any]:
        """What both the last chunk and the response carry. Whatever the API did not report is left out."""
        timings = self.timings
        metadata: dict[str, Any] = {
            "provider": "anthropic",
            "model": self.model,
            "base_url": self.base_url,
            "served_by": self.base_url,
            "done": self.is_complete,
            "tokens": {key.removesuffix("_tokens"): count for key, count in self.usage.items()},
            "content": self._content(),
        }
        if self._counts.thinking_tokens is not None:
            metadata["tokens"]["thinking"] = self._counts.thinking_tokens
        if self.is_complete:
            seconds = {"first_token_s": timings.first_token_s, "wall_s": timings.wall_s}
            metadata["timings"] = {name: value for name, value in seconds.items() if value is not None}
        reported = {
            "finish_reason": self.finish_reason,
            "stop_reason": self._stop_reason,
            "stop_sequence": self._stop_sequence,
            "stop_details": self._stop_details,
            "message_id": self._message_id,
            "request_id": self.request_id,
            "service_tier": self._counts.text("service_tier"),
        }
        return metadata | {name: value for name, value in reported.items() if value is not None}
