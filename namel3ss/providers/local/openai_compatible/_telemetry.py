"""What telemetry is told of a call that begins, and of what was said in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.observability.requests import start_request
from namel3ss.providers.addresses import server_of
from namel3ss.providers.call_telemetry import content_of
from namel3ss.providers.local.openai_compatible._requests import EMBED_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.observability.content import RequestContent
    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.local.openai_compatible._answer import Answer
    from namel3ss.providers.local.openai_compatible._http import CompatibleHttp
    from namel3ss.providers.local.openai_compatible._requests import Call

__all__ = ["observe"]


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


def _content(call: Call, answer: Answer) -> RequestContent:
    return content_of(answer, messages=list(call.messages), tools=call.fields.get("tools") or ())
