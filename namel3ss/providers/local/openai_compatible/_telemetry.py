"""What telemetry is told of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.observability.requests import start_request
from namel3ss.providers.addresses import server_of
from namel3ss.providers.local.openai_compatible._errors import OpenAICompatibleError
from namel3ss.providers.local.openai_compatible._requests import EMBED_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.observability.content import RequestContent
    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.local.openai_compatible._answer import Answer
    from namel3ss.providers.local.openai_compatible._http import CompatibleHttp
    from namel3ss.providers.local.openai_compatible._requests import Call

__all__ = ["end_observation", "observe"]


def observe(
    call: Call,
    answer: Answer | None,
    http: CompatibleHttp,
    *,
    owner: str,
    is_streamed: bool,
    clock: Callable[[], float],
) -> RequestObservation:
    """Begin to observe a call, and give it the headers of its trace.

    `is_streamed` when the caller reads it piece by piece. `answer` is what will be recorded where content is
    captured.
    """
    is_embedding = call.path == EMBED_PATH
    address, port = server_of(http.base_url)
    fields = call.fields
    observation = start_request(
        operation="embeddings" if is_embedding else "chat",
        provider=http.kind.name,
        model=call.model,
        server_address=address,
        server_port=port,
        stream=is_streamed,
        parameters={
            **fields,
            "max_tokens": fields.get("max_tokens", fields.get("max_completion_tokens")),
            "format": fields.get("response_format"),
        },
        labels={"name": owner, "operation": "embed" if is_embedding else "chat"},
        input_modality="unknown" if any(message.get("images") for message in call.messages) else "text",
        clock=clock,
    )
    observation.inject(call.headers)
    if answer is not None and observation.wants_content:
        observation.capture(lambda: _content(call, answer))
    return observation


def end_observation(
    observation: RequestObservation, answer: Answer, *, chunks: int | None, error: BaseException | None
) -> None:
    """End it as the call ended: well, by `error`, or by its caller."""
    if isinstance(error, OpenAICompatibleError):
        observation.fail(error.error_type, usage=answer.usage, chunks=chunks)
    elif error is not None:
        observation.end_with(error, chunks=chunks)
    elif not answer.is_complete:
        observation.cancel(chunks=chunks)
    else:
        reason = answer.finish_reason
        observation.finish(
            response_model=answer.model,
            finish_reasons=(reason,) if reason else (),
            usage=answer.usage,
            timings=answer.timings,
            chunks=chunks,
        )


def _content(call: Call, answer: Answer) -> RequestContent:
    """What was said; only asked for where somebody switched it on."""
    from namel3ss.observability.content import RequestContent

    response = answer.response()
    said: dict[str, object] = {
        "role": "assistant",
        "content": response.output_text,
        "thinking": response.thinking,
        "tool_calls": [
            {"id": tool.id, "function": {"name": tool.name, "arguments": tool.arguments}}
            for tool in response.tool_calls
        ],
    }
    is_something = response.output_text or response.thinking or response.tool_calls or answer.is_complete
    return RequestContent(
        messages=list(call.messages),
        answer=said if is_something else None,
        finish_reason=response.finish_reason,
        tools=call.fields.get("tools") or (),
    )
