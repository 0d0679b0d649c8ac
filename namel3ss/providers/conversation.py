"""What a caller may pass as messages, turned into one form for every provider.

That form is a dict a message: ``role``, ``content`` (a text), and where there are some ``images`` (bytes, or a path until
`load_images`), ``tool_calls`` (arguments are objects), ``tool_call_id``, ``tool_name``, ``thinking``. It is what Ollama
takes as it stands; other providers translate it.

Accepted: a text, a `ProviderMessage`, a dict as OpenAI's or Ollama's API has it, or a sequence of the last two.
Everything is checked here, before anything is sent; images named by path are read later, off the event loop.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from namel3ss.errors import UsageError
from namel3ss.providers.base import ProviderMessage, ToolCall

__all__ = [
    "WireMessage",
    "check_items",
    "check_text",
    "kind_of",
    "load_images",
    "read_image",
    "to_image",
    "to_role",
    "to_tool_call",
    "to_wire_messages",
]

WireMessage: TypeAlias = dict[str, Any]

_ROLES = {
    "system": "system",
    "developer": "system",  # OpenAI's newer word for it
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_LONGEST_PATH = 4096


def to_wire_messages(messages: object) -> list[WireMessage]:
    """The conversation in the one form. Raises UsageError that names the message and what is wrong with it."""
    if isinstance(messages, str):
        return [{"role": "user", "content": check_text(messages, "the prompt")}]
    if isinstance(messages, ProviderMessage | Mapping):
        messages = [messages]
    if not isinstance(messages, Sequence) or isinstance(messages, bytes | bytearray | memoryview):
        raise UsageError(
            f"messages must be a text or a list of messages, not {kind_of(messages)}.",
            suggestion='Pass a text, or [{"role": "user", "content": "…"}].',
        )
    if not messages:
        raise UsageError("messages is empty.", suggestion="Pass at least one message.")
    wire = [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]
    _name_tools(wire)
    return wire


def _message(message: object, place: str) -> WireMessage:
    if isinstance(message, ProviderMessage):
        message = {
            "role": message.role,
            "content": message.content,
            "images": message.images,
            "tool_calls": message.tool_calls,
            "tool_call_id": message.tool_call_id,
            "tool_name": message.tool_name,
            "thinking": message.thinking,
        }
    if not isinstance(message, Mapping):
        raise UsageError(
            f"{place} must be a message, not {kind_of(message)}.",
            suggestion='A message looks like {"role": "user", "content": "…"}.',
        )
    wire: WireMessage = {"role": to_role(message, place), "content": ""}
    _add_content(wire, message, place)
    for image in check_items(message.get("images"), f"{place}.images"):
        wire.setdefault("images", []).append(to_image(image, f"{place}.images"))
    calls = [
        to_tool_call(call, place) for call in check_items(message.get("tool_calls"), f"{place}.tool_calls")
    ]
    if calls:
        wire["tool_calls"] = calls
    for key, names in (
        ("thinking", ("thinking", "reasoning", "reasoning_content")),
        ("tool_call_id", ("tool_call_id",)),
        ("tool_name", ("tool_name", "name") if wire["role"] == "tool" else ("tool_name",)),
    ):
        value = next((message[name] for name in names if message.get(name)), None)
        if value is not None:
            wire[key] = check_text(value, f"{place}.{key}")
    return wire


def to_role(message: Mapping[str, Any], place: str) -> str:
    """``system``, ``user``, ``assistant`` or ``tool``."""
    role = message.get("role")
    if isinstance(role, str) and role.lower() in _ROLES:
        return _ROLES[role.lower()]
    got = "is missing" if role is None else f"is {role!r:.40}"
    raise UsageError(f"{place}.role {got}.", suggestion="Write system, user, assistant or tool.")


def _add_content(wire: WireMessage, message: Mapping[str, Any], place: str) -> None:
    content = message.get("content")
    if isinstance(content, str):
        wire["content"] = check_text(content, f"{place}.content")
    elif content is None:
        if not any(message.get(other) for other in ("tool_calls", "images", "thinking")):
            raise UsageError(f"{place} has no content.", suggestion="Give it a text.")
    elif isinstance(content, Sequence) and not isinstance(content, bytes):
        texts: list[str] = []
        for index, part in enumerate(content):
            _add_part(wire, texts, part, f"{place}.content[{index}]")
        wire["content"] = "\n".join(texts)
    else:
        raise UsageError(f"{place}.content must be a text or a list of parts, not {kind_of(content)}.")


def _add_part(wire: WireMessage, texts: list[str], part: object, place: str) -> None:
    """One part of a content list: text, or an image as a data URI."""
    if isinstance(part, str):
        texts.append(check_text(part, place))
        return
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(part, Mapping) and kind in ("text", "input_text") and isinstance(part.get("text"), str):
        texts.append(check_text(part["text"], place))
        return
    if isinstance(part, Mapping) and kind in ("image_url", "input_image"):
        address = part.get("image_url")
        url = address.get("url") if isinstance(address, Mapping) else address
        if isinstance(url, str):
            # A URL, never a path: what stands here often comes from somebody else's user.
            wire.setdefault("images", []).append(_image_from_url(url, place))
            return
    raise UsageError(
        f"{place} is not a part that a model can read.",
        suggestion='Parts are {"type": "text", "text": "…"} and {"type": "image_url", "image_url": {"url": "data:…"}}.',
    )


def to_tool_call(call: object, place: str) -> dict[str, Any]:
    """A tool call in the one form: its arguments are an object, not JSON text."""
    if isinstance(call, ToolCall):
        call = {
            "id": call.id,
            "function": {"name": call.name, "arguments": call.arguments, "index": call.index},
        }
    function = call.get("function") if isinstance(call, Mapping) else None
    if (
        not isinstance(call, Mapping)
        or not isinstance(function, Mapping)
        or not isinstance(function.get("name"), str)
    ):
        raise UsageError(
            f"{place}.tool_calls holds something that is no tool call.",
            suggestion='One looks like {"id": "…", "function": {"name": "…", "arguments": {…}}}.',
        )
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = msgspec.json.decode(arguments)
        except msgspec.DecodeError as error:
            raise UsageError(f"{place}.tool_calls: the arguments are not JSON: {error}") from error
    if not isinstance(arguments, Mapping):
        raise UsageError(f"{place}.tool_calls: the arguments must be an object, not {kind_of(arguments)}.")
    wire: dict[str, Any] = {"function": {"name": function["name"], "arguments": dict(arguments)}}
    if isinstance(function.get("index"), int):
        wire["function"]["index"] = function["index"]
    if call.get("id"):
        wire["id"] = check_text(call["id"], f"{place}.tool_calls.id")
    return wire


def _name_tools(messages: list[WireMessage]) -> None:
    """Give each tool's answer the name of its tool, which templates need, where only the call's id was passed."""
    names: dict[str, str] = {}
    for message in messages:
        for call in message.get("tool_calls", ()):
            if "id" in call:
                names[call["id"]] = call["function"]["name"]
        if message["role"] == "tool" and "tool_name" not in message:
            name = names.get(message.get("tool_call_id", ""))
            if name is not None:
                message["tool_name"] = name


# -- images ---------------------------------------------------------------------------------------------------


def to_image(image: object, place: str) -> bytes | Path:
    """An image's bytes, or the path to read them from (see `load_images`). msgspec makes base64 of bytes when they are sent."""
    if isinstance(image, bytes | bytearray | memoryview):
        return _not_empty(bytes(image), place)
    if isinstance(image, os.PathLike):
        return Path(os.fspath(image))
    if not isinstance(image, str):
        raise UsageError(
            f"{place}: an image must be bytes, a path, base64 text or a data URI, not {kind_of(image)}."
        )
    if image.startswith(("data:", "http://", "https://")):
        return _image_from_url(image, place)
    if len(image) <= _LONGEST_PATH and "\0" not in image and os.path.exists(image):
        return Path(image)  # also a folder, whose name may pass for base64: reading it says what is wrong
    data = _from_base64(image)
    if data is None:
        raise UsageError(
            f"{place}: {image[:60]!r} is neither a file nor base64 text.",
            suggestion="Check the path, or pass the image's bytes.",
        )
    return _not_empty(data, place)


async def load_images(messages: Iterable[WireMessage]) -> None:
    """Replace the paths among the images by what the files hold. Raises UsageError for a file that cannot be read."""
    for message in messages:
        images = message.get("images", ())
        for index, image in enumerate(images):
            if isinstance(image, Path):
                images[index] = await asyncio.to_thread(read_image, image)


def read_image(path: Path) -> bytes:
    """What the file holds. Raises UsageError where it cannot be read, or is empty."""
    try:
        return _not_empty(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"The image {str(path)!r} cannot be read: {error.strerror or error}.") from error


def _image_from_url(url: str, place: str) -> bytes:
    head, comma, body = url.partition(",")
    if not url.startswith("data:"):
        raise UsageError(
            f"{place}: images are not fetched from the network ({url[:60]!r}).",
            suggestion="Download the image and pass its bytes, its path or a data URI.",
        )
    data = _from_base64(body) if comma and head.endswith(";base64") else None
    if data is None:
        raise UsageError(
            f"{place}: the data URI is not base64.", suggestion="It begins data:image/png;base64,…"
        )
    return _not_empty(data, place)


def _from_base64(text: str) -> bytes | None:
    compact = "".join(text.split()).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _not_empty(data: bytes, place: str) -> bytes:
    if not data:
        raise UsageError(f"{place}: the image is empty.")
    return data


# -- shared pieces --------------------------------------------------------------------------------------------


def check_items(value: object, place: str) -> Sequence[object]:
    """The list that is there, or none. Raises UsageError for anything else."""
    if value is None:
        return ()
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise UsageError(f"{place} must be a list, not {kind_of(value)}.")
    return value


def check_text(value: object, place: str) -> str:
    """The text. Raises UsageError for anything else, and for what UTF-8 cannot say."""
    if not isinstance(value, str):
        raise UsageError(f"{place} must be a text, not {kind_of(value)}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{place} holds half of a surrogate pair at position {error.start}, which UTF-8 cannot say.",
            suggestion="Decode the text anew, for example with errors='replace'.",
        ) from error
    return value


def kind_of(value: object) -> str:
    """What a value is, for a message."""
    return "None" if value is None else f"a value of type {type(value).__name__}"
