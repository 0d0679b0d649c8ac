"""The OpenAI routes: `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings` and `/v1/models`."""

from __future__ import annotations

import base64
import random
import struct
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from namel3ss.sandbox.chat import chat
from namel3ss.sandbox.embedding import embed
from namel3ss.sandbox.faces import Chunk, UnfitError, event_line, read_as, through
from namel3ss.sandbox.generate import generate
from namel3ss.sandbox.gojson import encode
from namel3ss.sandbox.http import PLAIN_JSON, Document, Failure
from namel3ss.sandbox.inference import refuse_cloud
from namel3ss.sandbox.listing import shown_model
from namel3ss.sandbox.openai_requests import (
    CHAT_COMPLETION,
    COMPLETION,
    EMBEDDING,
    chat_request,
    embed_request,
    generate_request,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AsyncExitStack

    from namel3ss.sandbox.http import Answer, Header
    from namel3ss.sandbox.models import Model
    from namel3ss.sandbox.service import Service

__all__ = [
    "chat_completions",
    "completions",
    "created_second",
    "embeddings",
    "model",
    "models",
    "openai_error",
    "refused",
    "tool_calls",
]

_ERROR_KINDS = {400: "invalid_request_error", 404: "not_found_error"}


def openai_error(status: int, message: str) -> dict[str, object]:
    """The document of an error."""
    kind = _ERROR_KINDS.get(status, "api_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def refused(error: UnfitError) -> Document:
    """The answer to a request that never got to a native route."""
    return Document(openai_error(400, str(error)), 400)


class _Face:
    headers: Sequence[Header] = ()

    def error(self, status: int, message: str) -> object:
        return openai_error(status, message)


def created_second(chunk: Chunk) -> int:
    """When the native answer was made, in seconds."""
    created = chunk.value.get("created_at")
    return int(datetime.fromisoformat(created[:19] + "+00:00").timestamp()) if isinstance(created, str) else 0


def _usage(chunk: Chunk) -> dict[str, object]:
    return {
        "prompt_tokens": chunk.prompt_tokens,
        "completion_tokens": chunk.tokens,
        "total_tokens": chunk.prompt_tokens + chunk.tokens,
    }


def tool_calls(chunk: Chunk) -> list[dict[str, object]]:
    """The calls, their arguments as text."""
    made = []
    for call in chunk.tool_calls:
        function = call["function"]
        if isinstance(function, dict):
            named = {"name": function["name"], "arguments": encode(function["arguments"]).decode()}
            made.append({"id": call["id"], "index": function["index"], "type": "function", "function": named})
    return made


@dataclass
class _ChatFace(_Face):
    now: int
    usage: bool
    id: str = field(default_factory=lambda: f"chatcmpl-{random.randrange(999)}")
    called: bool = False

    def whole(self, chunk: Chunk) -> object:
        calls = tool_calls(chunk)
        reason = "tool_calls" if calls else (chunk.reason or None)
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": created_second(chunk),
            "model": chunk.model,
            "system_fingerprint": "fp_ollama",
            "choices": [_choice("message", chunk.content, chunk.thinking, calls, reason, chunk.logprobs)],
            "usage": _usage(chunk),
        }

    def events(self, chunk: Chunk) -> list[bytes]:
        calls = tool_calls(chunk)
        reason = None
        if chunk.reason:
            reason = "tool_calls" if self.called or calls else chunk.reason
        self.called = self.called or bool(calls)
        if chunk.thinking and (chunk.content or calls):
            # Thoughts never share a chunk with what is said.
            out = self._event(chunk, _choice("delta", "", chunk.thinking, [], None, chunk.logprobs))
            last = _choice("delta", chunk.content, "", calls, reason, None)
        else:
            out = b""
            last = _choice("delta", chunk.content, chunk.thinking, calls, reason, chunk.logprobs)
        out += self._event(chunk, last)
        if chunk.done:
            if self.usage:
                out += event_line(self._head(chunk) | {"choices": [], "usage": _usage(chunk)})
            out += b"data: [DONE]\n\n"
        return [out]

    def _head(self, chunk: Chunk) -> dict[str, object]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.now,
            "model": chunk.model,
            "system_fingerprint": "fp_ollama",
        }

    def _event(self, chunk: Chunk, choice: dict[str, object]) -> bytes:
        return event_line(self._head(chunk) | {"choices": [choice]})


def _choice(
    key: str,
    content: str,
    thinking: str,
    calls: list[dict[str, object]],
    reason: str | None,
    logprobs: object,
) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant", "content": content}
    if thinking:
        message["reasoning"] = thinking
    if calls:
        message["tool_calls"] = calls
    choice: dict[str, object] = {"index": 0, key: message, "finish_reason": reason}
    if logprobs:
        choice["logprobs"] = {"content": logprobs}
    return choice


@dataclass
class _CompletionFace(_Face):
    now: int
    usage: bool
    id: str = field(default_factory=lambda: f"cmpl-{random.randrange(999)}")

    def whole(self, chunk: Chunk) -> object:
        return {
            "id": self.id,
            "object": "text_completion",
            "created": created_second(chunk),
            "model": chunk.model,
            "system_fingerprint": "fp_ollama",
            "choices": [self._choice(chunk)],
            "usage": _usage(chunk),
        }

    def events(self, chunk: Chunk) -> list[bytes]:
        nothing: dict[str, object] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        out = event_line(self._chunk(chunk, [self._choice(chunk)], nothing))
        if chunk.done:
            if self.usage:
                out += event_line(self._chunk(chunk, [], _usage(chunk)))
            out += b"data: [DONE]\n\n"
        return [out]

    def _choice(self, chunk: Chunk) -> dict[str, object]:
        return {"text": chunk.content, "index": 0, "finish_reason": chunk.reason or None}

    def _chunk(
        self, chunk: Chunk, choices: list[dict[str, object]], usage: dict[str, object]
    ) -> dict[str, object]:
        made: dict[str, object] = {
            "id": self.id,
            "object": "text_completion",
            "created": self.now,
            "choices": choices,
            "model": chunk.model,
            "system_fingerprint": "fp_ollama",
        }
        return made | ({"usage": usage} if self.usage else {})


def _seconds(service: Service) -> int:
    return service.clock.now_ns() // 1_000_000_000


async def chat_completions(service: Service, body: bytes, resources: AsyncExitStack) -> Answer:
    """`POST /v1/chat/completions`."""
    try:
        request = read_as(CHAT_COMPLETION, body)
        refuse_cloud(request.model)
        native = chat_request(request, newer=service.newer)
    except UnfitError as error:
        return refused(error)
    usage = request.stream_options is not None and request.stream_options.include_usage
    face = _ChatFace(_seconds(service), usage)
    return await through(face, chat(service, native, resources), stream=request.stream)


async def completions(service: Service, body: bytes, resources: AsyncExitStack) -> Answer:
    """`POST /v1/completions`."""
    try:
        request = read_as(COMPLETION, body)
        refuse_cloud(request.model)
        native = generate_request(request)
    except UnfitError as error:
        return refused(error)
    usage = request.stream_options is not None and request.stream_options.include_usage
    face = _CompletionFace(_seconds(service), usage)
    return await through(face, generate(service, native, resources), stream=request.stream)


async def embeddings(service: Service, body: bytes) -> Answer:
    """`POST /v1/embeddings`."""
    try:
        request = read_as(EMBEDDING, body)
        refuse_cloud(request.model)
        native = embed_request(request)
    except UnfitError as error:
        return refused(error)
    try:
        answer = await embed(service, native)
    except Failure as failure:
        return _failed(failure)
    packed = request.encoding_format.lower() == "base64"
    return Document(
        _embedding_list(request.model, answer, packed=packed), content_type=PLAIN_JSON, newline=True
    )


def _failed(failure: Failure) -> Document:
    document = openai_error(failure.status, failure.message)
    return Document(document, failure.status, PLAIN_JSON, newline=True)


def _embedding_list(model_name: str, native: Document, *, packed: bool) -> dict[str, object]:
    answer = native.value if isinstance(native.value, dict) else {}
    tokens = answer.get("prompt_eval_count", 0)
    data = [
        {"object": "embedding", "embedding": _packed(vector) if packed else vector, "index": place}
        for place, vector in enumerate(answer.get("embeddings", ()))
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model_name, "usage": usage}


def _packed(vector: Sequence[bytes]) -> str:
    """Single-precision numbers, one after the other, as base64."""
    values = [float(bytes(value)) for value in vector]
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def models(service: Service) -> Document:
    """`GET /v1/models`."""
    data = [_described(each, each.name.shortest) for each in service.library]
    return Document({"object": "list", "data": data or None}, content_type=PLAIN_JSON, newline=True)


def model(service: Service, name: str) -> Document:
    """`GET /v1/models/NAME`."""
    try:
        found = shown_model(service, name)
    except Failure as failure:
        return _failed(failure)
    return Document(_described(found, name), content_type=PLAIN_JSON, newline=True)


def _described(found: Model, name: str) -> dict[str, object]:
    return {
        "id": name,
        "object": "model",
        "created": found.modified_ns // 1_000_000_000,
        "owned_by": found.name.namespace,
    }
