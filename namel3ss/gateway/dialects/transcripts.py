"""What people and models said, as text: read from a request and from an answer, for a gateway that is told to keep it.

Whole answers and streams of every protocol are read by what is in them. What has another shape says nothing. Images are
left out, and so is everything else that is no text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["answer_text", "prompt_text"]

# In the order in which a model reads them.
_TEXTS: Final = ("system", "system_prompt", "instructions")
_PROMPTS: Final = ("prompt", "message", "suffix")
_CONVERSATIONS: Final = ("messages", "input")


def prompt_text(body: bytes) -> str:
    """What a request gives the model to read: a line or more for each message, with its role first."""
    request = _object(body)
    said = [f"system: {text}" for name in _TEXTS for text in _texts(request.get(name))]
    said += [text for name in _PROMPTS for text in _texts(request.get(name))]
    for name in _CONVERSATIONS:
        value = request.get(name)
        said += _messages(value) if isinstance(value, list) else _texts(value)
    return "\n".join(said)


def answer_text(body: bytes) -> str:
    """What the model said: the thinking, if it is shown, then the text, then the calls of tools."""
    whole = _object(body)
    if whole:
        parts = list(_parts(whole, is_event=False))
    else:
        lines = (line.removeprefix(b"data:") for line in body.split(b"\n"))
        parts = [part for line in lines if line.strip() for part in _parts(_object(line), is_event=True)]
    thinking = "".join(text for kind, text in parts if kind == "thinking")
    said = [f"thinking: {thinking}"] if thinking else []
    said += ["".join(text for kind, text in parts if kind == "text")]
    said += ["".join(text for kind, text in parts if kind == "call")]
    return "\n".join(filter(None, said))


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _messages(messages: list[Any]) -> Iterator[str]:
    for message in messages:
        if not isinstance(message, dict):
            yield from _texts(message)
            continue
        role = message.get("role", message.get("type", ""))
        for text in _texts(message.get("content")):
            yield f"{role}: {text}"


def _texts(value: object) -> Iterator[str]:
    """The texts of a value that is one, or a list of parts."""
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, list):
        for part in value:
            text = part.get("text", part.get("content")) if isinstance(part, dict) else part
            yield from _texts(text) if not isinstance(text, dict) else ()


def _parts(said: dict[str, Any], *, is_event: bool) -> Iterator[tuple[str, str]]:
    """The pieces of one object, each with its kind."""
    yield from _pair("text", said.get("response"))
    yield from _pair("thinking", said.get("thinking"))
    yield from _message(said.get("message"))
    for choice in _objects(said.get("choices")):
        yield from _pair("text", choice.get("text"))
        yield from _message(choice.get("delta"))
        yield from _message(choice.get("message"))
    if is_event:
        yield from _event(said)
        return
    for item in (*_objects(said.get("output")), said):
        yield from _call(item)
        for block in _objects(item.get("content")):
            yield from _pair("text", block.get("text"))
            yield from _pair("thinking", block.get("thinking"))
            yield from _call(block)


def _event(said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """One of the protocols whose events have a type."""
    kind, delta = said.get("type"), said.get("delta")
    if kind == "response.output_text.delta":
        yield from _pair("text", delta)
    elif isinstance(kind, str) and kind.startswith("response.reasoning") and kind.endswith(".delta"):
        yield from _pair("thinking", delta)
    elif kind == "response.output_item.done":
        yield from _call(said.get("item"))
    elif kind == "content_block_start":
        yield from _call(said.get("content_block"))
    elif kind == "content_block_delta" and isinstance(delta, dict):
        yield from _pair("text", delta.get("text"))
        yield from _pair("thinking", delta.get("thinking"))
        yield from _pair("call", delta.get("partial_json"))


def _message(message: object) -> Iterator[tuple[str, str]]:
    if not isinstance(message, dict):
        return
    yield from _pair("text", message.get("content"))
    yield from _pair("thinking", message.get("thinking", message.get("reasoning")))
    for call in _objects(message.get("tool_calls")):
        yield from _call(call.get("function"))


def _call(value: object) -> Iterator[tuple[str, str]]:
    """A call of a tool: its name, and its arguments as far as they are there."""
    if not isinstance(value, dict) or not isinstance(name := value.get("name"), str):
        return
    arguments = value.get("arguments", value.get("input")) or ""
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    yield "call", f"call {name} {text}".rstrip() + ("\n" if text else " ")


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _pair(kind: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value:
        yield kind, value
