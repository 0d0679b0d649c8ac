"""The OpenAI Responses route, `/v1/responses`."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from namel3ss.sandbox.chat import chat
from namel3ss.sandbox.faces import Chunk, UnfitError, event_line, read_as, through
from namel3ss.sandbox.inference import refuse_cloud
from namel3ss.sandbox.openai import created_second, openai_error, refused, tool_calls
from namel3ss.sandbox.responses_requests import RESPONSES, ResponsesRequest, chat_request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AsyncExitStack

    from namel3ss.sandbox.http import Answer, Header
    from namel3ss.sandbox.service import Service

__all__ = ["responses"]

_STREAM_HEADERS = (("Cache-Control", "no-cache"),)
_NUMBERS = 999_999


@dataclass
class _Face:
    """One answer. Streamed, it is a sequence of numbered events whose keys are sorted."""

    request: ResponsesRequest
    now: int
    id: str = field(default_factory=lambda: f"resp_{random.randrange(_NUMBERS)}")
    item: str = field(default_factory=lambda: f"msg_{random.randrange(_NUMBERS)}")
    reasoning_item: str = field(default_factory=lambda: f"rs_{random.randrange(_NUMBERS)}")
    _sequence: int = 0
    _output: list[dict[str, object]] = field(default_factory=list)
    _thinking: str = ""
    _reasons: bool = False
    _text: str = ""
    _speaks: bool = False
    _called: bool = False

    @property
    def headers(self) -> Sequence[Header]:
        return _STREAM_HEADERS if self.request.stream else ()

    def error(self, status: int, message: str) -> object:
        return openai_error(status, message)

    # --- as a whole

    def whole(self, chunk: Chunk) -> object:
        output: list[dict[str, object]] = []
        if chunk.thinking:
            summary = [{"type": "summary_text", "text": chunk.thinking}]
            output.append(
                {
                    "id": f"rs_{self.id}",
                    "type": "reasoning",
                    "summary": summary,
                    "encrypted_content": chunk.thinking,
                }
            )
        calls = tool_calls(chunk)
        output += [_function_call(f"fc_{self.id}_{place}", call) for place, call in enumerate(calls)]
        if not calls:
            part = {"type": "output_text", "text": chunk.content, "annotations": [], "logprobs": []}
            output.append(
                {
                    "id": self.item,
                    "type": "message",
                    "status": "completed",
                    "role": "assistant",
                    "content": [part],
                }
            )
        return self._response(
            "completed", output, self._usage(chunk), created_second(chunk), completed=self.now
        )

    def _response(
        self,
        status: str,
        output: list[dict[str, object]] | None,
        usage: dict[str, object] | None,
        created: int,
        *,
        completed: int | None = None,
    ) -> dict[str, object]:
        request = self.request
        return {
            "id": self.id,
            "object": "response",
            "created_at": created,
            "completed_at": completed,
            "status": status,
            "incomplete_details": None,
            "model": request.model,
            "previous_response_id": None,
            "instructions": request.instructions or None,
            "output": output,
            "error": None,
            "tools": [tool.value | {"parameters": _sorted(tool.parameters)} for tool in request.tools],
            "tool_choice": "auto",
            "truncation": "disabled" if request.truncation is None else request.truncation,
            "parallel_tool_calls": True,
            "text": {"format": request.text_format or {"type": "text"}},
            "top_p": _short(1.0 if request.top_p is None else request.top_p),
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "top_logprobs": 0,
            "temperature": _short(1.0 if request.temperature is None else request.temperature),
            "reasoning": request.reasoning.said(in_full=request.stream) if request.reasoning else None,
            "usage": usage,
            "max_output_tokens": request.max_output_tokens,
            "max_tool_calls": None,
            "store": False,
            "background": request.background,
            "service_tier": "default",
            "metadata": {},
            "safety_identifier": None,
            "prompt_cache_key": None,
        }

    def _usage(self, chunk: Chunk) -> dict[str, object]:
        return {
            "input_tokens": chunk.prompt_tokens,
            "output_tokens": chunk.tokens,
            "total_tokens": chunk.prompt_tokens + chunk.tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }

    # --- as a stream

    def events(self, chunk: Chunk) -> list[bytes]:
        if not chunk.value:
            return []
        out = self._start() if not self._sequence else []
        if chunk.thinking:
            out += self._think(chunk.thinking)
        calls = tool_calls(chunk)
        if calls:
            out += self._call(calls)
        elif chunk.content and not self._called:
            out += self._say(chunk.content)
        if chunk.done:
            out += self._end(chunk)
        return out

    def _event(self, kind: str, **value: object) -> list[bytes]:
        document = _sorted({**value, "type": kind, "sequence_number": self._sequence})
        self._sequence += 1
        return [event_line(document, kind)]

    def _start(self) -> list[bytes]:
        response = self._response("in_progress", [], None, self.now)
        return [
            *self._event("response.created", response=response),
            *self._event("response.in_progress", response=response),
        ]

    def _place(self) -> int:
        return len(self._output)

    def _think(self, text: str) -> list[bytes]:
        out: list[bytes] = []
        if not self._reasons:
            self._reasons = True
            item = {"id": self.reasoning_item, "type": "reasoning", "summary": []}
            out += self._event("response.output_item.added", output_index=self._place(), item=item)
        self._thinking += text
        return out + self._event(
            "response.reasoning_summary_text.delta",
            item_id=self.reasoning_item,
            output_index=self._place(),
            summary_index=0,
            delta=text,
        )

    def _stop_thinking(self) -> list[bytes]:
        if not self._reasons:
            return []
        self._reasons = False
        item: dict[str, object] = {
            "id": self.reasoning_item,
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": self._thinking}],
            "encrypted_content": self._thinking,
        }
        out = self._event(
            "response.reasoning_summary_text.done",
            item_id=self.reasoning_item,
            output_index=self._place(),
            summary_index=0,
            text=self._thinking,
        )
        out += self._event("response.output_item.done", output_index=self._place(), item=item)
        self._output.append(item)
        return out

    def _call(self, calls: list[dict[str, object]]) -> list[bytes]:
        self._called = True
        out = self._stop_thinking()
        for place, call in enumerate(calls):
            item = _function_call(f"fc_{random.randrange(_NUMBERS)}_{place}", call)
            index = self._place()
            begun = item | {"status": "in_progress", "arguments": ""}
            out += self._event("response.output_item.added", output_index=index, item=begun)
            arguments = item["arguments"]
            about = {"item_id": item["id"], "output_index": index}
            out += self._event("response.function_call_arguments.delta", **about, delta=arguments)
            out += self._event("response.function_call_arguments.done", **about, arguments=arguments)
            out += self._event("response.output_item.done", output_index=index, item=item)
            self._output.append(item)
        return out

    def _say(self, text: str) -> list[bytes]:
        out = self._stop_thinking()
        about = {"item_id": self.item, "output_index": self._place(), "content_index": 0}
        if not self._speaks:
            self._speaks = True
            item = {
                "id": self.item,
                "type": "message",
                "status": "in_progress",
                "role": "assistant",
                "content": [],
            }
            out += self._event("response.output_item.added", output_index=self._place(), item=item)
            out += self._event("response.content_part.added", **about, part=_text_part(""))
        self._text += text
        return out + self._event("response.output_text.delta", **about, delta=text, logprobs=[])

    def _end(self, chunk: Chunk) -> list[bytes]:
        out = self._stop_thinking()
        if self._speaks and not self._called:
            about = {"item_id": self.item, "output_index": self._place(), "content_index": 0}
            part = _text_part(self._text)
            item: dict[str, object] = {
                "id": self.item,
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
            out += self._event("response.output_text.done", **about, text=self._text, logprobs=[])
            out += self._event("response.content_part.done", **about, part=part)
            out += self._event("response.output_item.done", output_index=self._place(), item=item)
            self._output.append(item)
        response = self._response(
            "completed", self._output or None, self._usage(chunk), self.now, completed=self.now
        )
        return out + self._event("response.completed", response=response)


def _short(value: float) -> int | float:
    return int(value) if float(value).is_integer() else float(value)


def _text_part(text: str) -> dict[str, object]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _function_call(number: str, call: dict[str, object]) -> dict[str, object]:
    function = call["function"]
    named = function if isinstance(function, dict) else {}
    return {
        "id": number,
        "type": "function_call",
        "status": "completed",
        "call_id": call["id"],
        "name": named.get("name"),
        "arguments": named.get("arguments"),
    }


def _sorted(value: object) -> object:
    """The keys of every object in order: the server keeps events in maps."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


async def responses(service: Service, body: bytes, resources: AsyncExitStack) -> Answer:
    """`POST /v1/responses`."""
    try:
        request = read_as(RESPONSES, body)
        refuse_cloud(request.model)
        native = chat_request(request, newer=service.newer)
    except UnfitError as error:
        return refused(error)
    face = _Face(request, service.clock.now_ns() // 1_000_000_000)
    return await through(face, chat(service, native, resources), stream=request.stream)
