"""Tool calls, put together from their pieces. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from namel3ss.providers.base import ToolCall

if TYPE_CHECKING:
    from namel3ss.providers.local.openai_compatible._wire import CallPart

__all__ = ["BrokenCallError", "ToolCallPieces"]


class BrokenCallError(ValueError):
    """A call that no program could run: without a name, or with arguments that are no object."""


@dataclass(slots=True)
class _Call:
    index: int | None
    id: str | None = None
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    whole: dict[str, Any] | None = None


class ToolCallPieces:
    """The calls of one answer while they arrive, several at the same time."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, part: CallPart) -> None:
        """Take a piece. It continues the call of its index; without one, the last call."""
        call = self._call_of(part)
        call.id = call.id or part.id or None
        function = part.function
        if function is None:
            return
        call.name = call.name or function.name or ""
        if isinstance(function.arguments, dict):
            call.whole = function.arguments
        elif function.arguments:
            call.arguments.append(function.arguments)

    def finish(self) -> tuple[ToolCall, ...]:
        """Every call, in the order in which they began. Raises BrokenCallError."""
        return tuple(_finished(call) for call in self._calls)

    def _call_of(self, part: CallPart) -> _Call:
        known = next((call for call in reversed(self._calls) if call.index == part.index), None)
        # A second id under one index, or without any: servers that give whole calls number them badly.
        if known is None or (part.id and known.id and part.id != known.id):
            known = _Call(part.index)
            self._calls.append(known)
        return known


def _finished(call: _Call) -> ToolCall:
    if not call.name:
        raise BrokenCallError("a call without the name of a function")
    arguments = call.whole
    text = "".join(call.arguments)
    if arguments is None and text.strip():
        try:
            arguments = msgspec.json.decode(text, type=dict[str, Any])
        except (ValueError, RecursionError) as problem:
            raise BrokenCallError(f"the arguments of {call.name!r} are no JSON object") from problem
    return ToolCall(call.name, arguments or {}, call.id, call.index)
