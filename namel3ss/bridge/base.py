"""What every bridge is: Anthropic's way of asking, whoever answers."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, Self

from namel3ss.bridge.answers import blocks_of, part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from namel3ss.bridge.answers import BridgeResponse

__all__ = ["Bridge"]


class Bridge(abc.ABC):
    """Asks one model. Safe under threads; `close()`, or leaving its context, closes what it has opened."""

    provider: str
    model: str

    @abc.abstractmethod
    def generate_response(
        self,
        messages: Sequence[object],
        system_prompt: str | Sequence[object] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        tools: Sequence[object] | None = None,
        stream: bool = False,
        callback: Callable[[str], object] | None = None,
        cache_control: Mapping[str, Any] | None = None,
        dynamic_content: str | None = None,
        *,
        user: str | None = None,
        priority: int = 5,
        on_waiting: Callable[[str], object] | None = None,
        cached: bool | None = None,
        shared: bool = False,
        allow_fallback: bool | None = None,
    ) -> BridgeResponse:
        """The model's message. With `stream`, `callback` gets each piece of its text as it comes."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close what this bridge has opened. Idempotent."""

    def extract_text_content(self, response: object) -> str:
        """All text of a response, its own or Anthropic's."""
        return "".join(
            str(part_of(block, "text") or "")
            for block in blocks_of(response)
            if part_of(block, "type") == "text"
        )

    def extract_tool_calls(self, response: object) -> list[dict[str, Any]]:
        """The calls of a response: ``id``, ``tool_name`` and ``input`` of each."""
        return [
            {
                "id": part_of(block, "id"),
                "tool_name": part_of(block, "name"),
                "input": part_of(block, "input"),
            }
            for block in blocks_of(response)
            if part_of(block, "type") == "tool_use"
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self.model!r}>"
