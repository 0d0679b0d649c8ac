"""What telemetry is told of the end of a call and of what was said in it, whichever provider it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from namel3ss.providers.remote_errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from namel3ss.observability.content import RequestContent
    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.base import ProviderResponse, Timings, Usage

__all__ = ["content_of", "end_observation"]


class _ObservedAnswer(Protocol):
    """An answer, as far as it came. `model` is the name that the server uses for it."""

    @property
    def model(self) -> str: ...
    @property
    def is_complete(self) -> bool: ...
    @property
    def finish_reason(self) -> str | None: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def timings(self) -> Timings: ...
    def response(self) -> ProviderResponse: ...


def end_observation(
    observation: RequestObservation,
    answer: _ObservedAnswer,
    *,
    chunks: int | None,
    error: BaseException | None,
) -> None:
    """End it as the call ended: well, by `error`, or by its caller."""
    if isinstance(error, RemoteError):
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


def content_of(
    answer: _ObservedAnswer,
    *,
    messages: Sequence[Mapping[str, object]],
    tools: Sequence[Mapping[str, object]],
) -> RequestContent:
    """What was said, in the common form of messages and tools; only asked for where somebody switched it on."""
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
        messages=messages,
        answer=said if is_something else None,
        finish_reason=response.finish_reason,
        tools=tools,
    )
