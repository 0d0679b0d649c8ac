"""`POST /api/chat`."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.clock import timestamp
from namel3ss.sandbox.engine import Finish, Limits, Piece
from namel3ss.sandbox.http import Document, Failure, Lines
from namel3ss.sandbox.inference import (
    check_capabilities,
    check_format,
    check_top_logprobs,
    installed,
    limits_of,
    metrics,
    read_body,
    reference,
    settled_think,
)
from namel3ss.sandbox.models import Job
from namel3ss.sandbox.parsing import ThoughtParser, ToolCallParser
from namel3ss.sandbox.prompts import conversation_prompt, with_model_messages
from namel3ss.sandbox.rendering import thinking_tags, tool_call_tag
from namel3ss.sandbox.requests import CHAT, ChatRequest, Message
from namel3ss.sandbox.schemas import BadSchemaError
from namel3ss.sandbox.settings import read_options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AsyncExitStack

    from namel3ss.sandbox.http import Answer
    from namel3ss.sandbox.memory import Runner
    from namel3ss.sandbox.requests import Think
    from namel3ss.sandbox.service import Service

__all__ = ["chat", "chat_body"]

_ID_CHARACTERS: Final = string.ascii_lowercase + string.digits


async def chat_body(service: Service, body: bytes, resources: AsyncExitStack) -> Answer:
    """The route itself."""
    return await chat(service, read_body(CHAT, body), resources)


async def chat(
    service: Service, request: ChatRequest, resources: AsyncExitStack, *, relaxed_thinking: bool = False
) -> Document | Lines:
    """The answer to a parsed request. Raises Failure.

    The model stays in use for as long as `resources` are held. With `relaxed_thinking`, a model that cannot think is
    not asked to, instead of refusing.
    """
    started = service.clock.ticks_ns()
    check_top_logprobs(request.top_logprobs)
    found = reference(request.model, missing=Failure(400, "model is required"))
    model = installed(service, found, Failure(404, f"model '{request.model}' not found"))
    if not request.messages and request.keep_alive == 0:
        service.memory.unload(model)
        return _only(service, request, "unload")
    think = settled_think(model, request.think, request.model, relaxed=relaxed_thinking)
    check_capabilities(
        model, ["completion", "tools"] if request.tools else ["completion"], request.model, "chat"
    )
    options = read_options(service.options.context, model.parameters, request.options)

    runner = await resources.enter_async_context(service.memory.use(model, options, request.keep_alive))
    loaded_ns = max(service.clock.ticks_ns() - started, 1)
    if not request.messages:
        return _only(service, request, "load")
    limits = limits_of(request, options)
    messages = with_model_messages(model, request.messages)
    window = options.num_ctx if limits.truncate else None
    prompt = conversation_prompt(runner, messages, request.tools, think, window=window)
    if request.render_only:
        return _rendered(service, request, prompt)
    turn = _Turn(service, request, runner, messages, think, limits, started, loaded_ns)
    chunks = turn.chunks(prompt)
    return await _joined(chunks) if request.stream is False else Lines(chunks)


def _head(service: Service, request: ChatRequest) -> dict[str, object]:
    return {"model": request.model, "created_at": timestamp(service.clock.now_ns())}


def _only(service: Service, request: ChatRequest, reason: str) -> Document:
    """The answer of a request that only loads or unloads."""
    message = {"role": "assistant", "content": ""}
    return Document(_head(service, request) | {"message": message, "done": True, "done_reason": reason})


def _rendered(service: Service, request: ChatRequest, prompt: str) -> Document:
    info: dict[str, object] = {"rendered_template": prompt}
    images = sum(len(message.images) for message in request.messages)
    if images:
        info["image_count"] = images
    message = {"role": "", "content": ""}
    return Document(_head(service, request) | {"message": message, "done": False, "_debug_info": info})


@dataclass(slots=True)
class _Turn:
    """One answer in a conversation."""

    service: Service
    request: ChatRequest
    runner: Runner
    messages: list[Message]
    think: Think | None
    limits: Limits
    started: int
    loaded_ns: int

    async def chunks(self, prompt: str) -> AsyncIterator[dict[str, object]]:
        """The answer's chunks. A thinking model thinks freely first and is held to a format only afterwards."""
        try:
            wanted = check_format(self.request.format)
            tags = thinking_tags(self.runner.model.template) if self.think else None
            thoughts = ThoughtParser(*tags) if tags else None
            if wanted is not None and thoughts is not None:
                thought: list[str] = []
                async for chunk in self._thoughts_only(self._job(prompt, None), thoughts, thought):
                    yield chunk
                reminder = Message(role="assistant", thinking="".join(thought))
                prompt = conversation_prompt(
                    self.runner,
                    [*self.messages, reminder],
                    self.request.tools,
                    self.think,
                    window=self.limits.options.num_ctx if self.limits.truncate else None,
                )
                thoughts = None
            job = self._job(prompt, wanted, thinks=thoughts is not None)
            async for chunk in self._answer(job, thoughts):
                yield chunk
        except BadSchemaError:
            raise Failure(500, "invalid JSON schema in format") from None

    def _job(self, prompt: str, wanted: str | dict[str, object] | None, *, thinks: bool = True) -> Job:
        return Job(
            model=self.request.model,
            prompt=prompt,
            tokens=self.runner.model.weights.tokenizer.encode(prompt),
            messages=self.messages,
            tools=self.request.tools,
            format=wanted,
            thinks=thinks,
        )

    async def _thoughts_only(
        self, job: Job, thoughts: ThoughtParser, collected: list[str]
    ) -> AsyncIterator[dict[str, object]]:
        """The thoughts, until the first visible text, which is not sent."""
        async for step in self.service.engine.run(self.runner, job, self.limits):
            if isinstance(step, Finish):
                return
            thought, visible = thoughts.add(step.text)
            collected.append(thought)
            if thought or visible:
                yield self._chunk(step, "", thought)
            if visible:
                return

    async def _answer(self, job: Job, thoughts: ThoughtParser | None) -> AsyncIterator[dict[str, object]]:
        tools = self._tool_parser()
        async for step in self.service.engine.run(self.runner, job, self.limits):
            if isinstance(step, Finish):
                yield self._last(step, tools.rest() if tools else "")
                continue
            thought, visible = thoughts.add(step.text) if thoughts else ("", step.text)
            if thoughts and not (thought or visible):
                continue
            calls: list[dict[str, object]] = []
            if tools:
                found, visible = tools.add(visible)
                first = tools.found - len(found)
                calls = [_call(first + place, *each) for place, each in enumerate(found)]
                if not (visible or calls or thought or step.logprobs):
                    continue
            yield self._chunk(step, visible, thought, [] if visible else calls)

    def _tool_parser(self) -> ToolCallParser | None:
        if not self.request.tools:
            return None
        names = [tool.function.name for tool in self.request.tools if tool.function.name]
        return ToolCallParser(tool_call_tag(self.runner.model.template), names)

    def _chunk(
        self, piece: Piece, content: str, thought: str, calls: list[dict[str, object]] | None = None
    ) -> dict[str, object]:
        message: dict[str, object] = {"role": "assistant", "content": content}
        if thought:
            message["thinking"] = thought
        if calls:
            message["tool_calls"] = calls
        chunk = _head(self.service, self.request) | {"message": message, "done": False}
        if piece.logprobs:
            chunk["logprobs"] = piece.logprobs
        return chunk

    def _last(self, finish: Finish, rest: str) -> dict[str, object]:
        message = {"role": "assistant", "content": rest}
        total_ns = self.service.clock.ticks_ns() - self.started
        return (
            _head(self.service, self.request)
            | {"message": message, "done": True, "done_reason": finish.reason}
            | metrics(finish, total_ns, self.loaded_ns)
        )


def _call(index: int, name: str, arguments: dict[str, object]) -> dict[str, object]:
    # Ids only have to differ; nobody may rely on what they are.
    number = "".join(random.choices(_ID_CHARACTERS, k=8))
    return {"id": f"call_{number}", "function": {"index": index, "name": name, "arguments": arguments}}


async def _joined(chunks: AsyncIterator[dict[str, object]]) -> Document:
    """All chunks as one answer."""
    content: list[str] = []
    thinking: list[str] = []
    calls: list[object] = []
    logprobs: list[object] = []
    last: dict[str, object] = {}
    async for chunk in chunks:
        message = chunk["message"]
        if isinstance(message, dict):
            content.append(message["content"])
            thinking.append(message.get("thinking", ""))
            calls += message.get("tool_calls", ())
        found = chunk.get("logprobs")
        logprobs += found if isinstance(found, list | tuple) else ()
        last = chunk
    whole: dict[str, object] = {"role": "assistant", "content": "".join(content)}
    if any(thinking):
        whole["thinking"] = "".join(thinking)
    if calls:
        whole["tool_calls"] = calls
    return Document(_with_message(last, whole, logprobs))


def _with_message(
    last: dict[str, object], message: dict[str, object], logprobs: list[object]
) -> dict[str, object]:
    joined: dict[str, object] = {}
    for name, value in last.items():
        if name == "logprobs":
            continue
        if name == "total_duration" and logprobs:
            joined["logprobs"] = logprobs
        joined[name] = message if name == "message" else value
    return joined
