"""What telemetry is told of a call that begins, and of what was said in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from namel3ss.observability.requests import start_request
from namel3ss.providers.addresses import server_of
from namel3ss.providers.call_telemetry import content_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.observability.content import RequestContent
    from namel3ss.observability.requests import RequestObservation
    from namel3ss.providers.anthropic._answer import Answer
    from namel3ss.providers.anthropic._requests import Call

__all__ = ["observe"]


def observe(
    call: Call, answer: Answer, *, owner: str, base_url: str, is_streamed: bool, clock: Callable[[], float]
) -> RequestObservation:
    """Begin to observe a call, and give it the headers of its trace.

    `is_streamed` when the caller reads it piece by piece. `answer` is what will be recorded where content is
    captured.
    """
    address, port = server_of(base_url)
    body = call.body
    asked = {name: body.get(name) for name in ("max_tokens", "temperature", "top_p", "top_k")}
    observation = start_request(
        operation="chat",
        provider="anthropic",
        model=call.model,
        server_address=address,
        server_port=port,
        stream=is_streamed,
        parameters={
            **asked,
            "stop": body.get("stop_sequences"),
            "format": (body.get("output_config") or {}).get("format"),
        },
        labels={"name": owner, "operation": "chat"},
        input_modality="unknown" if _has_images(call) else "text",
        clock=clock,
    )
    observation.inject(call.headers)
    if observation.wants_content:
        observation.capture(lambda: _content(call, answer))
    return observation


def _has_images(call: Call) -> bool:
    return any(
        block.get("type") == "image"
        for message in call.messages
        if isinstance(message["content"], list)
        for block in message["content"]
    )


def _content(call: Call, answer: Answer) -> RequestContent:
    system = call.body.get("system")
    messages = [{"role": "system", "content": system}, *call.messages] if system else call.messages
    return content_of(
        answer,
        messages=[told for message in messages for told in _as_told(message)],
        tools=[
            {
                "type": "function",
                "function": {"name": tool.get("name"), "parameters": tool.get("input_schema")},
            }
            for tool in call.body.get("tools") or ()
        ],
    )


def _as_told(message: dict[str, Any]) -> list[dict[str, Any]]:
    """One turn in the common form: blocks as texts, images and calls, each answer of a tool a turn of its own."""
    content = message["content"]
    if isinstance(content, str):
        return [message]
    told: list[dict[str, Any]] = []
    own: dict[str, Any] = {"role": message["role"], "content": "", "images": [], "tool_calls": []}
    for block in content:
        match block.get("type"):
            case "text":
                own["content"] += block["text"]
            case "thinking":
                own["thinking"] = own.get("thinking", "") + block["thinking"]
            case "image":
                own["images"].append(b"")  # only their number is recorded
            case "tool_use":
                call = {"name": block["name"], "arguments": block["input"]}
                own["tool_calls"].append({"id": block["id"], "function": call})
            case "tool_result":
                result = block.get("content")
                text = result if isinstance(result, str) else "".join(_texts(result))
                told.append({"role": "tool", "content": text, "tool_call_id": block["tool_use_id"]})
    if own["content"] or own["images"] or own["tool_calls"] or "thinking" in own:
        told.append(own)
    return told


def _texts(blocks: object) -> list[str]:
    return [str(block["text"]) for block in blocks if "text" in block] if isinstance(blocks, list) else []
