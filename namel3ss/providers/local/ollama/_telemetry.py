"""What telemetry is told of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.observability.requests import start_request
from namel3ss.providers import call_telemetry
from namel3ss.providers.addresses import server_of
from namel3ss.providers.local.ollama._errors import OllamaError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from namel3ss.observability.content import RequestContent
    from namel3ss.observability.request_record import Operation
    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.local.ollama._answer import Answer
    from namel3ss.providers.local.ollama._requests import Call

__all__ = ["end_observation", "observe", "tell_the_server"]

# The route, the conventions' word for it, and the word of our own labels.
_OPERATIONS: dict[str, tuple[Operation, str]] = {
    "/api/chat": ("chat", "chat"),
    "/api/generate": ("text_completion", "generate"),
    "/api/embed": ("embeddings", "embed"),
}


def observe(
    call: Call,
    answer: Answer | None,
    *,
    owner: str,
    base_url: str,
    is_streamed: bool,
    clock: Callable[[], float],
) -> RequestObservation:
    """Begin to observe a call, and give it the headers of its trace.

    `is_streamed` when the caller reads it piece by piece. `answer` is what will be recorded where content is
    captured.
    """
    operation, label = _OPERATIONS[call.path]
    address, port = server_of(base_url)
    has_images = operation != "embeddings" and any(message.get("images") for message in call.messages)
    observation = start_request(
        operation=operation,
        provider="ollama",
        model=call.model,
        server_address=address,
        server_port=port,
        stream=is_streamed,
        parameters={**call.body.get("options", {}), "format": call.body.get("format")},
        labels={"name": owner, "operation": label},
        input_modality="unknown" if has_images else "text",
        clock=clock,
    )
    observation.inject(call.headers)
    if answer is not None and observation.wants_content:
        observation.capture(lambda: _content(call, answer))
    return observation


def end_observation(
    observation: RequestObservation, answer: Answer, *, chunks: int | None, error: BaseException | None
) -> None:
    """End it as the call ended, and tell which server it was."""
    tell_the_server(observation, answer.base_url, error)
    call_telemetry.end_observation(observation, answer, chunks=chunks, error=error)


def tell_the_server(
    observation: RequestObservation, base_url: str | None, error: BaseException | None
) -> None:
    """Which server answered, or was asked last; where neither is known, it stays the first."""
    if base_url is None and isinstance(error, OllamaError):
        base_url = error.base_url
    if base_url is not None:
        observation.served_by(*server_of(base_url))


def _content(call: Call, answer: Answer) -> RequestContent:
    return call_telemetry.content_of(answer, messages=_messages(call), tools=call.body.get("tools") or ())


def _messages(call: Call) -> list[Mapping[str, object]]:
    if call.is_chat:
        return list(call.messages)
    body = call.body
    system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
    return [*system, {"role": "user", "content": body.get("prompt", ""), "images": body.get("images")}]
