"""Answers of another provider, said in the protocol in which the caller asked.

A speaker lives for one answer: `piece` for each chunk of a stream and `end` at its end, or `whole` for an answer in one piece.
"""

from __future__ import annotations

import abc
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from namel3ss.gateway.dialects.refusals import EVENT_STREAM, go_json
from namel3ss.gateway.routes import Action, Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.gateway.routes import Route
    from namel3ss.gateway.usage import Usage
    from namel3ss.providers.base import ProviderChunk, ProviderResponse, ToolCall

__all__ = ["Speaker", "speaker_of"]

_LINES: Final = b"application/x-ndjson"
_NS: Final = 1_000_000_000


class Speaker(abc.ABC):
    """One answer in one protocol. `model` is the name of the model that answers."""

    content_type: ClassVar[bytes] = EVENT_STREAM

    def __init__(self, model: str, *, tells_usage: bool = False) -> None:
        self.model = model
        self.tells_usage = tells_usage
        self.began_at = time.monotonic()

    @abc.abstractmethod
    def piece(self, chunk: ProviderChunk) -> bytes:
        """A chunk with text, thoughts or calls."""

    @abc.abstractmethod
    def end(self, response: ProviderResponse, usage: Usage) -> bytes:
        """What ends the stream."""

    @abc.abstractmethod
    def whole(self, response: ProviderResponse, usage: Usage) -> dict[str, Any]:
        """The answer to a request that is not streamed."""


def speaker_of(route: Route, model: str, *, tells_usage: bool) -> Speaker | None:
    """The speaker of a route; None for one in which no other provider's answer can be given."""
    if route.dialect is Dialect.OLLAMA:
        if route.action is Action.EMBED:
            return None
        return _OllamaChat(model) if route.action is Action.CHAT else _OllamaGenerate(model)
    kind = _SPEAKERS.get(route.path)
    return None if kind is None else kind(model, tells_usage=tells_usage)


# -- Ollama ---------------------------------------------------------------------------------------------------


class _OllamaChat(Speaker):
    content_type = _LINES

    def piece(self, chunk: ProviderChunk) -> bytes:
        said = self._said(chunk.output_text, chunk.thinking, chunk.tool_calls)
        return go_json({**self._head(), **said, "done": False}) + b"\n"

    def end(self, response: ProviderResponse, usage: Usage) -> bytes:
        return go_json({**self._head(), **self._said("", "", ()), **self._tail(response, usage)}) + b"\n"

    def whole(self, response: ProviderResponse, usage: Usage) -> dict[str, Any]:
        said = self._said(response.output_text, response.thinking or "", response.tool_calls)
        return {**self._head(), **said, **self._tail(response, usage)}

    def _said(self, text: str, thinking: str, calls: tuple[ToolCall, ...]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if thinking:
            message["thinking"] = thinking
        if calls:
            message["tool_calls"] = [_native_call(place, call) for place, call in enumerate(calls)]
        return {"message": message}

    def _head(self) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        return {"model": self.model, "created_at": now}

    def _tail(self, response: ProviderResponse, usage: Usage) -> dict[str, Any]:
        return {
            "done": True,
            "done_reason": "length" if response.finish_reason == "length" else "stop",
            "total_duration": int((time.monotonic() - self.began_at) * _NS),
            "prompt_eval_count": usage.prompt_tokens,
            "eval_count": usage.completion_tokens,
        }


class _OllamaGenerate(_OllamaChat):
    def _said(self, text: str, thinking: str, calls: tuple[ToolCall, ...]) -> dict[str, Any]:
        return {"response": text, "thinking": thinking} if thinking else {"response": text}


def _native_call(place: int, call: ToolCall) -> dict[str, Any]:
    function = {"index": place, "name": call.name, "arguments": dict(call.arguments)}
    return {"id": call.id or _made_up("call_"), "function": function}


# -- OpenAI ---------------------------------------------------------------------------------------------------


class _ChatCompletion(Speaker):
    def __init__(self, model: str, *, tells_usage: bool = False) -> None:
        super().__init__(model, tells_usage=tells_usage)
        self.id = _made_up("chatcmpl-")
        self.created = int(time.time())
        self._calls = 0

    def piece(self, chunk: ProviderChunk) -> bytes:
        delta: dict[str, Any] = {"role": "assistant", "content": chunk.output_text}
        if chunk.thinking:
            delta["reasoning"] = chunk.thinking
        if chunk.tool_calls:
            delta["tool_calls"] = [self._call(call) for call in chunk.tool_calls]
        return self._event([{"index": 0, "delta": delta, "finish_reason": None}])

    def end(self, response: ProviderResponse, usage: Usage) -> bytes:
        delta = {"role": "assistant", "content": ""}
        last = self._event([{"index": 0, "delta": delta, "finish_reason": _finish_reason(response)}])
        counts = self._event([], usage=_openai_usage(usage)) if self.tells_usage else b""
        return last + counts + b"data: [DONE]\n\n"

    def whole(self, response: ProviderResponse, usage: Usage) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": response.output_text}
        if response.thinking:
            message["reasoning"] = response.thinking
        if response.tool_calls:
            message["tool_calls"] = [self._call(call) for call in response.tool_calls]
        choice = {"index": 0, "message": message, "finish_reason": _finish_reason(response)}
        head = self._head("chat.completion")
        return {**head, "choices": [choice], "usage": _openai_usage(usage)}

    def _call(self, call: ToolCall) -> dict[str, Any]:
        arguments = msgspec.json.encode(call.arguments).decode()
        function = {"name": call.name, "arguments": arguments}
        place, self._calls = self._calls, self._calls + 1
        return {"id": call.id or _made_up("call_"), "index": place, "type": "function", "function": function}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _event(self, choices: list[dict[str, Any]], **more: object) -> bytes:
        head = self._head("chat.completion.chunk")
        return b"data: %b\n\n" % go_json({**head, "choices": choices, **more})


class _Completion(Speaker):
    def __init__(self, model: str, *, tells_usage: bool = False) -> None:
        super().__init__(model, tells_usage=tells_usage)
        self.head = {
            "id": _made_up("cmpl-"),
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
        }

    def piece(self, chunk: ProviderChunk) -> bytes:
        choice = {"text": chunk.output_text, "index": 0, "finish_reason": None}
        return b"data: %b\n\n" % go_json({**self.head, "choices": [choice]})

    def end(self, response: ProviderResponse, usage: Usage) -> bytes:
        choice = {"text": "", "index": 0, "finish_reason": _finish_reason(response)}
        last = b"data: %b\n\n" % go_json({**self.head, "choices": [choice]})
        counts = {**self.head, "choices": [], "usage": _openai_usage(usage)}
        return last + (b"data: %b\n\n" % go_json(counts) if self.tells_usage else b"") + b"data: [DONE]\n\n"

    def whole(self, response: ProviderResponse, usage: Usage) -> dict[str, Any]:
        choice = {"text": response.output_text, "index": 0, "finish_reason": _finish_reason(response)}
        return {**self.head, "choices": [choice], "usage": _openai_usage(usage)}


def _finish_reason(response: ProviderResponse) -> str:
    if response.tool_calls:
        return "tool_calls"
    return "length" if response.finish_reason == "length" else "stop"


def _openai_usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


# -- Anthropic ------------------------------------------------------------------------------------------------


class _Message(Speaker):
    def __init__(self, model: str, *, tells_usage: bool = False) -> None:
        super().__init__(model, tells_usage=tells_usage)
        self.id = _made_up("msg_")
        self._place = 0
        self._open = ""
        """The kind of the block that is being written."""
        self._has_begun = False

    def piece(self, chunk: ProviderChunk) -> bytes:
        out = self._begin()
        if chunk.thinking:
            out += self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            out += self._delta({"type": "thinking_delta", "thinking": chunk.thinking})
        if chunk.output_text:
            out += self._block("text", {"type": "text", "text": ""})
            out += self._delta({"type": "text_delta", "text": chunk.output_text})
        for call in chunk.tool_calls:
            out += self._close()
            out += self._block("tool_use", {**_tool_use(call), "input": {}})
            arguments = msgspec.json.encode(call.arguments).decode()
            out += self._delta({"type": "input_json_delta", "partial_json": arguments})
        return out

    def end(self, response: ProviderResponse, usage: Usage) -> bytes:
        delta = {"stop_reason": _stop_reason(response), "stop_sequence": None}
        return (
            self._begin()
            + self._close()
            + _event("message_delta", delta=delta, usage=_anthropic_usage(usage))
            + _event("message_stop")
        )

    def whole(self, response: ProviderResponse, usage: Usage) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        if response.thinking:
            content.append({"type": "thinking", "thinking": response.thinking, "signature": ""})
        if response.output_text:
            content.append({"type": "text", "text": response.output_text})
        content += [_tool_use(call) for call in response.tool_calls]
        end = {"stop_reason": _stop_reason(response), "stop_sequence": None, "usage": _anthropic_usage(usage)}
        return {**self._head(), "content": content, **end}

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "type": "message", "role": "assistant", "model": self.model}

    def _begin(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        nothing = {"input_tokens": 0, "output_tokens": 0}
        return _event("message_start", message={**self._head(), "content": [], "usage": nothing})

    def _block(self, kind: str, block: Mapping[str, Any]) -> bytes:
        if self._open == kind:
            return b""
        closed = self._close()
        self._open = kind
        return closed + _event("content_block_start", index=self._place, content_block=block)

    def _delta(self, delta: Mapping[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._place, delta=delta)

    def _close(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        place, self._place = self._place, self._place + 1
        return _event("content_block_stop", index=place)


def _event(kind: str, **values: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), go_json({"type": kind, **values}))


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": call.id or _made_up("call_"),
        "name": call.name,
        "input": dict(call.arguments),
    }


def _stop_reason(response: ProviderResponse) -> str:
    if response.tool_calls:
        return "tool_use"
    return "max_tokens" if response.finish_reason == "length" else "end_turn"


def _anthropic_usage(usage: Usage) -> dict[str, int]:
    return {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}


_SPEAKERS: Final[Mapping[str, type[Speaker]]] = {
    "/v1/chat/completions": _ChatCompletion,
    "/v1/completions": _Completion,
    "/v1/messages": _Message,
}


def _made_up(prefix: str) -> str:
    return prefix + secrets.token_hex(12)
