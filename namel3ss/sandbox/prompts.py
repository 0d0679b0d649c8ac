"""From a conversation to the prompt that a model is given, oldest messages left out when it does not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from namel3ss.sandbox.http import Failure
from namel3ss.sandbox.rendering import render_chat
from namel3ss.sandbox.requests import Message
from namel3ss.sandbox.templates import TemplateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.sandbox.memory import Runner
    from namel3ss.sandbox.models import Model
    from namel3ss.sandbox.requests import Think, Tool

__all__ = ["conversation_prompt", "with_model_messages"]


def with_model_messages(model: Model, messages: Sequence[Message]) -> list[Message]:
    """The model's own messages and system text before those of the request."""
    joined = [*model.messages, *messages]
    if model.system and messages and messages[0].role != "system":
        joined.insert(0, Message(role="system", content=model.system))
    return joined


def conversation_prompt(
    runner: Runner,
    messages: Sequence[Message],
    tools: Sequence[Tool],
    think: Think | None,
    *,
    window: int | None,
) -> str:
    """The prompt, without the oldest messages where it does not fit into `window` tokens (None fits everything).

    System messages and the last message always stay. The server goes by the window that was asked for here, even
    where the model has a smaller one.
    """
    kept = list(messages)
    if window is not None:
        for start in range(len(messages)):
            system = [message for message in messages[:start] if message.role == "system"]
            kept = [*system, *messages[start:]]
            prompt = _rendered(runner.model.template, kept, tools, think)
            if len(runner.model.weights.tokenizer.encode(prompt)) <= window:
                break
    return _rendered(runner.model.template, _with_image_marks(kept), tools, think)


def _rendered(template: str, messages: Sequence[Message], tools: Sequence[Tool], think: Think | None) -> str:
    try:
        return render_chat(template, messages, tools, think)
    except TemplateError as fault:
        raise Failure(500, str(fault)) from None


def _with_image_marks(messages: Sequence[Message]) -> list[Message]:
    """Each image leaves a mark in the text, at `[img]` or else at the beginning."""
    marked = []
    number = 0
    for message in messages:
        text, prefix = message.content, ""
        for _ in message.images:
            mark = f"[img-{number}]"
            number += 1
            if "[img]" in text:
                text = text.replace("[img]", mark, 1)
            else:
                prefix += mark
        marked.append(replace(message, content=prefix + text))
    return marked
