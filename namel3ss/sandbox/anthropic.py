"""The Anthropic route, `/v1/messages`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from namel3ss.sandbox.anthropic_requests import MESSAGES, chat_request, estimated_tokens
from namel3ss.sandbox.chat import chat
from namel3ss.sandbox.faces import Chunk, UnfitError, event_line, read_as, through
from namel3ss.sandbox.gojson import encode
from namel3ss.sandbox.http import Document
from namel3ss.sandbox.inference import refuse_cloud

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AsyncExitStack

    from namel3ss.sandbox.http import Answer, Header
    from namel3ss.sandbox.service import Service

__all__ = ["messages"]

_ERROR_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
_STREAM_HEADERS = (("Cache-Control", "no-cache"),)


def _number(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def _error(status: int, message: str) -> dict[str, object]:
    kind = _ERROR_KINDS.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": _number("req")}


def _stop_reason(reason: str, *, called: bool) -> dict[str, object]:
    """Left out when the answer was cut off."""
    if called:
        return {"stop_reason": "tool_use"}
    return (
        {"stop_reason": {"stop": "end_turn", "length": "max_tokens"}.get(reason, "stop_sequence")}
        if reason
        else {}
    )


def _usage(tokens_in: int, tokens_out: int) -> dict[str, object]:
    return {"input_tokens": tokens_in, "output_tokens": tokens_out}


@dataclass
class _Face:
    """One answer. In a stream, blocks are opened and closed as the kind of text changes."""

    model: str
    estimate: int
    streams: bool
    id: str = field(default_factory=lambda: _number("msg"))
    _begun: bool = False
    _block: int = 0
    _open: str = ""
    _called: bool = False

    @property
    def headers(self) -> Sequence[Header]:
        return _STREAM_HEADERS if self.streams else ()

    def error(self, status: int, message: str) -> object:
        return _error(status, message)

    def whole(self, chunk: Chunk) -> object:
        content: list[dict[str, object]] = []
        if chunk.thinking:
            content.append({"type": "thinking", "thinking": chunk.thinking})
        if chunk.content:
            content.append({"type": "text", "text": chunk.content})
        content += [_tool_use(call) for call in chunk.tool_calls]
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": chunk.model,
            "content": content or None,
            **_stop_reason(chunk.reason, called=bool(chunk.tool_calls)),
            "usage": _usage(chunk.prompt_tokens, chunk.tokens),
        }

    def events(self, chunk: Chunk) -> list[bytes]:
        out: list[bytes] = []
        if not self._begun:
            if not chunk.value:
                return []
            out += self._start(chunk)
        if chunk.thinking:
            out += self._text("thinking", chunk.thinking)
        if chunk.content:
            out += self._text("text", chunk.content)
        for call in chunk.tool_calls:
            out += self._call(call)
        if chunk.done:
            out += self._close() + self._end(chunk)
        return out

    def _start(self, chunk: Chunk) -> list[bytes]:
        self._begun = True
        message = {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "usage": _usage(chunk.prompt_tokens or self.estimate, 0),
        }
        return _event("message_start", {"message": message})

    def _text(self, kind: str, text: str) -> list[bytes]:
        out: list[bytes] = []
        if self._open != kind:
            out += self._close()
            self._open = kind
            block = {"type": kind, kind: ""}
            out += _event("content_block_start", {"index": self._block, "content_block": block})
        delta = {"type": f"{kind}_delta", kind: text}
        return out + _event("content_block_delta", {"index": self._block, "delta": delta})

    def _call(self, call: dict[str, object]) -> list[bytes]:
        self._called = True
        out = self._close()
        block = _tool_use(call) | {"input": {}}
        function = call["function"]
        arguments = function["arguments"] if isinstance(function, dict) else {}
        delta = {"type": "input_json_delta", "partial_json": encode(arguments).decode()}
        out += _event("content_block_start", {"index": self._block, "content_block": block})
        out += _event("content_block_delta", {"index": self._block, "delta": delta})
        out += _event("content_block_stop", {"index": self._block})
        self._block += 1
        return out

    def _close(self) -> list[bytes]:
        if not self._open:
            return []
        self._open = ""
        self._block += 1
        return _event("content_block_stop", {"index": self._block - 1})

    def _end(self, chunk: Chunk) -> list[bytes]:
        delta = _stop_reason(chunk.reason, called=self._called)
        usage = _usage(chunk.prompt_tokens, chunk.tokens)
        return _event("message_delta", {"delta": delta, "usage": usage}) + _event("message_stop", {})


def _event(kind: str, value: dict[str, object]) -> list[bytes]:
    return [event_line({"type": kind, **value}, kind)]


def _tool_use(call: dict[str, object]) -> dict[str, object]:
    function = call["function"]
    named = function if isinstance(function, dict) else {}
    return {"type": "tool_use", "id": call["id"], "name": named.get("name"), "input": named.get("arguments")}


async def messages(service: Service, body: bytes, resources: AsyncExitStack) -> Answer:
    """`POST /v1/messages`."""
    try:
        request = read_as(MESSAGES, body)
        refuse_cloud(request.model)
        native = chat_request(request)
    except UnfitError as error:
        return Document(_error(400, str(error)), 400)
    face = _Face(request.model, estimated_tokens(request), request.stream)
    return await through(face, chat(service, native, resources, relaxed_thinking=True), stream=request.stream)
