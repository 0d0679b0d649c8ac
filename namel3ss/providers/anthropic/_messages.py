"""What a caller may pass as messages, turned into Anthropic's form.

Accepted: a text, a `ProviderMessage`, a dict as Anthropic's, OpenAI's or Ollama's API has it, or a sequence of the last
two. Blocks in Anthropic's own form pass unchanged: a signature holds only for the block it was given with.

The API knows two roles. Instructions become its `system`, and the answers of tools one turn of the user, all of them
in it, before whatever the user says next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from namel3ss.errors import UsageError
from namel3ss.providers.anthropic._images import image_block, image_from_url
from namel3ss.providers.base import ProviderMessage
from namel3ss.providers.conversation import check_items, check_text, kind_of, to_role, to_tool_call

__all__ = ["Block", "Conversation", "to_conversation"]

Block: TypeAlias = dict[str, Any]

# What these blocks must hold; of any other only the type is looked at.
_REQUIRED: Final[Mapping[str, Mapping[str, type]]] = {
    "text": {"text": str},
    "image": {"source": Mapping},
    "document": {"source": Mapping},
    "thinking": {"thinking": str},
    "redacted_thinking": {"data": str},
    "tool_use": {"id": str, "name": str, "input": Mapping},
    "tool_result": {"tool_use_id": str},
}


@dataclass(slots=True)
class Conversation:
    """A conversation as the API takes it. `system` is empty where nobody gives instructions."""

    system: list[Block] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)


def to_conversation(messages: object) -> Conversation:
    """The conversation in the API's form. Raises UsageError that names the message and what is wrong with it."""
    if isinstance(messages, str | ProviderMessage | Mapping):
        messages = [{"role": "user", "content": messages} if isinstance(messages, str) else messages]
    if not isinstance(messages, Sequence) or isinstance(messages, bytes | bytearray | memoryview):
        raise UsageError(
            f"messages must be a text or a list of messages, not {kind_of(messages)}.",
            suggestion='Pass a text, or [{"role": "user", "content": "…"}].',
        )
    reader = _Reader()
    for index, message in enumerate(messages):
        reader.read(message, f"messages[{index}]")
    if not reader.conversation.messages:
        raise UsageError(
            "messages holds nothing to answer.", suggestion="Pass at least one message of the user."
        )
    return reader.conversation


class _Reader:
    """Reads one message after the other, and remembers which calls of tools are still to be answered."""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self._open_calls: dict[str, str] = {}
        self._calls = 0

    def read(self, message: object, place: str) -> None:
        fields = _fields(message, place)
        role = to_role(fields, place)
        blocks = _content(fields.get("content"), f"{place}.content")
        for index, image in enumerate(check_items(fields.get("images"), f"{place}.images")):
            blocks.append(image_block(image, f"{place}.images[{index}]"))
        if role == "tool":
            self._add("user", [self._result(fields, blocks, place)], place, joins=self._ends_with_results())
            return
        for call in check_items(fields.get("tool_calls"), f"{place}.tool_calls"):
            blocks.append(self._call(call, place))
        if role == "system":
            self.conversation.system += blocks
        elif role == "assistant":
            for block in blocks:
                if block["type"] == "tool_use":
                    self._open_calls[block["id"]] = block["name"]
            if blocks:  # an answer may have been empty; the API refuses to be told so
                self._add(role, blocks, place)
        else:
            for block in blocks:
                self._open_calls.pop(block.get("tool_use_id", ""), None)
            self._add(role, blocks, place, joins=self._ends_with_results())

    def _add(self, role: str, blocks: list[Block], place: str, *, joins: bool = False) -> None:
        if not blocks:
            raise UsageError(
                f"{place} has no content.", suggestion="Give it a text, or leave the message out."
            )
        if joins:
            self.conversation.messages[-1]["content"] += blocks
        else:
            self.conversation.messages.append({"role": role, "content": blocks})

    def _ends_with_results(self) -> bool:
        """Whether the last turn answers tools: what the user says next belongs into it."""
        messages = self.conversation.messages
        return bool(messages) and all(block["type"] == "tool_result" for block in messages[-1]["content"])

    def _call(self, call: object, place: str) -> Block:
        """A call that the model made, as Anthropic has it: with an id, its input an object."""
        wire = to_tool_call(call, place)
        self._calls += 1
        return {
            "type": "tool_use",
            "id": wire.get("id") or f"call_{self._calls}",
            "name": wire["function"]["name"],
            "input": wire["function"]["arguments"],
        }

    def _result(self, fields: Mapping[str, Any], blocks: list[Block], place: str) -> Block:
        """A tool's answer. One without the id of its call answers the first open call of that tool."""
        call_id = fields.get("tool_call_id") or fields.get("tool_use_id")
        if call_id is None:
            name = fields.get("tool_name") or fields.get("name")
            call_id = next((key for key, tool in self._open_calls.items() if name in (None, tool)), None)
        if call_id is None:
            raise UsageError(
                f"{place} answers no call of a tool.",
                suggestion="Give it the call's id as tool_call_id, and pass the assistant's turn with the call before"
                " it.",
            )
        call_id = check_text(call_id, f"{place}.tool_call_id")
        self._open_calls.pop(call_id, None)
        is_text = len(blocks) == 1 and blocks[0].keys() == {"type", "text"}
        result: Block = {"type": "tool_result", "tool_use_id": call_id}
        if blocks:
            result["content"] = blocks[0]["text"] if is_text else blocks
        if fields.get("is_error"):
            result["is_error"] = True
        return result


def _fields(message: object, place: str) -> Mapping[str, Any]:
    if isinstance(message, ProviderMessage):
        if message.blocks:
            return {"role": message.role, "content": message.blocks}
        # Thinking outside of its block has no signature, without which the API takes none back.
        return {
            "role": message.role,
            "content": message.content,
            "images": message.images,
            "tool_calls": message.tool_calls,
            "tool_call_id": message.tool_call_id,
            "tool_name": message.tool_name,
            "is_error": message.is_error,
        }
    if not isinstance(message, Mapping):
        raise UsageError(
            f"{place} must be a message, not {kind_of(message)}.",
            suggestion='A message looks like {"role": "user", "content": "…"}.',
        )
    return message


# -- content --------------------------------------------------------------------------------------------------


def _content(content: object, place: str) -> list[Block]:
    """The blocks of a message; none for a text without a character, which the API refuses."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": check_text(content, place)}] if content else []
    if isinstance(content, Sequence) and not isinstance(content, bytes):
        return [_part(part, f"{place}[{index}]") for index, part in enumerate(content)]
    raise UsageError(f"{place} must be a text or a list of blocks, not {kind_of(content)}.")


def _part(part: object, place: str) -> Block:
    """One block: Anthropic's own unchanged, OpenAI's parts translated."""
    if isinstance(part, str):
        return {"type": "text", "text": check_text(part, place)}
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(part, Mapping) and isinstance(kind, str):
        if kind == "input_text" and isinstance(part.get("text"), str):
            return {"type": "text", "text": check_text(part["text"], place)}
        if kind in ("image_url", "input_image"):
            address = part.get("image_url")
            url = address.get("url") if isinstance(address, Mapping) else address
            if isinstance(url, str):
                # A URL, never a path: what stands here often comes from somebody else's user.
                return image_from_url(url, place)
        _check_block(kind, part, place)
        return dict(part)
    raise UsageError(
        f"{place} is not a block of content.",
        suggestion='Blocks are {"type": "text", "text": "…"} and those that Anthropic\'s API lists.',
    )


def _check_block(kind: str, block: Mapping[str, Any], place: str) -> None:
    for name, wanted in _REQUIRED.get(kind, {}).items():
        if not isinstance(block.get(name), wanted):
            raise UsageError(f"{place}: a block of type {kind} needs {name}.")
    if isinstance(text := block.get("text"), str):
        check_text(text, place)
