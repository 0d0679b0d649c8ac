"""`POST /api/generate`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from namel3ss.sandbox.clock import timestamp
from namel3ss.sandbox.engine import Finish, Limits
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
from namel3ss.sandbox.parsing import ThoughtParser
from namel3ss.sandbox.prompts import conversation_prompt
from namel3ss.sandbox.rendering import render_chat, render_legacy, thinking_tags
from namel3ss.sandbox.requests import GENERATE, GenerateRequest, Message
from namel3ss.sandbox.schemas import BadSchemaError
from namel3ss.sandbox.settings import read_options
from namel3ss.sandbox.templates import TemplateError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AsyncExitStack

    from namel3ss.sandbox.http import Answer
    from namel3ss.sandbox.memory import Runner
    from namel3ss.sandbox.models import Model
    from namel3ss.sandbox.requests import Think
    from namel3ss.sandbox.service import Service

__all__ = ["generate", "generate_body"]


async def generate_body(service: Service, body: bytes, resources: AsyncExitStack) -> Answer:
    """The route itself."""
    return await generate(service, read_body(GENERATE, body), resources)


async def generate(service: Service, request: GenerateRequest, resources: AsyncExitStack) -> Answer:
    """The answer to a parsed request; the model stays in use for as long as `resources` are held. Raises Failure."""
    started = service.clock.ticks_ns()
    check_top_logprobs(request.top_logprobs)
    missing = Failure(404, f"model '{request.model}' not found")
    model = installed(service, reference(request.model, missing=missing), missing)
    if not request.prompt and request.keep_alive == 0:
        service.memory.unload(model)
        return _only(service, request, "unload")
    if request.raw and (request.template or request.system or request.context):
        raise Failure(400, "raw mode does not support template, system, or context")
    think = settled_think(model, request.think, request.model)
    wanted = ["completion", "insert"] if request.suffix else ["completion"]
    check_capabilities(model, wanted, request.model, "generate")
    options = read_options(service.options.context, model.parameters, request.options)

    runner = await resources.enter_async_context(service.memory.use(model, options, request.keep_alive))
    loaded_ns = max(service.clock.ticks_ns() - started, 1)
    if not request.prompt:
        return _only(service, request, "load")
    limits = limits_of(request, options)
    messages = _messages(request, model)
    window = options.num_ctx if limits.truncate else None
    prompt = _prompt(request, runner, messages, think, window)
    if request.render_only:
        return _rendered(service, request, prompt)
    job = Job(
        model=request.model,
        prompt=prompt,
        tokens=runner.model.weights.tokenizer.encode(prompt),
        messages=() if request.raw else messages,
        thinks=bool(think) and not request.raw and request.format is None,
        suffix=request.suffix,
    )
    chunks = _chunks(service, request, runner, job, limits, (started, loaded_ns))
    return await _joined(chunks) if request.stream is False else Lines(chunks)


def _only(service: Service, request: GenerateRequest, reason: str) -> Document:
    """The answer of a request that only loads or unloads."""
    created = timestamp(service.clock.now_ns())
    return Document(
        {"model": request.model, "created_at": created, "response": "", "done": True, "done_reason": reason}
    )


def _rendered(service: Service, request: GenerateRequest, prompt: str) -> Document:
    info: dict[str, object] = {"rendered_template": prompt}
    if request.images:
        info["image_count"] = len(request.images)
    created = timestamp(service.clock.now_ns())
    return Document(
        {"model": request.model, "created_at": created, "response": "", "done": False, "_debug_info": info}
    )


def _messages(request: GenerateRequest, model: Model) -> list[Message]:
    """The one-question conversation that the request stands for."""
    messages: list[Message] = []
    if request.system or model.system:
        messages.append(Message(role="system", content=request.system or model.system))
    if not request.context:
        messages += model.messages
    messages.append(Message(role="user", content=request.prompt, images=request.images))
    return messages


def _prompt(
    request: GenerateRequest,
    runner: Runner,
    messages: list[Message],
    think: Think | None,
    window: int | None,
) -> str:
    if request.raw:
        return request.prompt
    earlier = runner.model.weights.tokenizer.decode(request.context)
    try:
        if request.suffix:
            template = request.template or runner.model.template
            return earlier + render_legacy(template, request.prompt, request.suffix, think)
        if request.template:
            return earlier + render_chat(request.template, messages, (), think)
    except TemplateError as fault:
        raise Failure(500, str(fault)) from None
    return earlier + conversation_prompt(runner, messages, (), think, window=window)


async def _chunks(
    service: Service,
    request: GenerateRequest,
    runner: Runner,
    job: Job,
    limits: Limits,
    times: tuple[int, int],
) -> AsyncIterator[dict[str, object]]:
    started, loaded_ns = times
    tags = thinking_tags(runner.model.template)
    thoughts = ThoughtParser(*tags) if job.thinks and tags else None
    written: list[str] = []
    try:
        async for step in service.engine.run(
            runner, replace(job, format=check_format(request.format)), limits
        ):
            chunk: dict[str, object] = {
                "model": request.model,
                "created_at": timestamp(service.clock.now_ns()),
            }
            if isinstance(step, Finish):
                chunk |= {"response": "", "done": True, "done_reason": step.reason}
                if not request.raw:
                    full = job.prompt + "".join(written)
                    chunk["context"] = runner.model.weights.tokenizer.encode(full)
                chunk |= metrics(step, service.clock.ticks_ns() - started, loaded_ns)
            else:
                written.append(step.text)
                thought, visible = thoughts.add(step.text) if thoughts else ("", step.text)
                chunk["response"] = visible
                if thought:
                    chunk["thinking"] = thought
                chunk["done"] = False
                if step.logprobs:
                    chunk["logprobs"] = step.logprobs
            yield chunk
    except BadSchemaError:
        raise Failure(500, "invalid JSON schema in format") from None


async def _joined(chunks: AsyncIterator[dict[str, object]]) -> Document:
    """All chunks as one answer."""
    response: list[str] = []
    thinking: list[str] = []
    logprobs: list[object] = []
    last: dict[str, object] = {}
    async for chunk in chunks:
        response.append(str(chunk["response"]))
        thinking.append(str(chunk.get("thinking", "")))
        found = chunk.get("logprobs")
        logprobs += found if isinstance(found, list | tuple) else ()
        last = chunk
    joined: dict[str, object] = {}
    for name, value in last.items():
        if name in ("thinking", "logprobs"):
            continue
        joined[name] = "".join(response) if name == "response" else value
        if name == "response" and any(thinking):
            joined["thinking"] = "".join(thinking)
    if logprobs:
        joined["logprobs"] = logprobs
    return Document(joined)
