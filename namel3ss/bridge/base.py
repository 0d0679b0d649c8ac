"""What every bridge is: Anthropic's way of asking, whoever answers."""

from __future__ import annotations

import abc
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from namel3ss.bridge.answers import BridgeResponse, blocks_of, part_of
from namel3ss.errors import UsageError
from namel3ss.providers.call_parts import check_callable, check_switch

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.bridge.fallback import BridgeFallback, FallbackReason

__all__ = ["Bridge", "Call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What one call asks for; see `Bridge.generate_response`."""

    messages: Sequence[object]
    system_prompt: str | Sequence[object] | None
    temperature: float | None
    max_tokens: int | None
    tools: Sequence[object] | None
    stream: bool
    callback: Callable[[str], object] | None
    cache_control: Mapping[str, Any] | None
    dynamic_content: str | None
    user: str | None
    priority: int
    on_waiting: Callable[[str], object] | None
    cached: bool | None
    shared: bool

    def hear(self, text: object) -> None:
        """Hand a piece of the answer's text to the caller."""
        if self.callback is not None and isinstance(text, str) and text:
            self.callback(text)


class Bridge(abc.ABC):
    """Asks one model. Safe under threads; `close()`, or leaving its context, closes what it has opened.

    `fallback` is who may answer instead, and `allow_fallback` whether calls that do not say may use it: without it every
    request stays with this model.
    """

    provider: str
    model: str

    def __init__(self, fallback: BridgeFallback | None, *, allow_fallback: bool) -> None:
        check_switch(allow_fallback, "allow_fallback")
        self.fallback = fallback
        self._allow_fallback = allow_fallback

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
        """The model's message. With `stream`, `callback` gets each piece of its text as it comes.

        `dynamic_content` follows the system prompt, or is one. `user` and `priority` are the queue's; `on_waiting` gets the
        words for the user when the request has to wait. Both callbacks are called on the caller's thread. `cached` and
        `shared` are the cache's: a deterministic request (a temperature of 0, or a seed) is answered from it without being
        asked, any other if `cached` is true, none if it is false; only `user` gets that answer again, or everybody who is
        `shared` too. `allow_fallback` lets this call go to the fallback, if there is one, or forbids it.

        Raises UsageError for what no model can read; the errors of the provider, and SchedulingError, as they come;
        BridgeTimeoutError with the position in the queue when it took too long there; BridgeError for anything else.
        """
        check_callable(callback, "callback")
        check_callable(on_waiting, "on_waiting")
        check_switch(shared, "shared")
        for switch, name in ((cached, "cached"), (allow_fallback, "allow_fallback")):
            if switch is not None:
                check_switch(switch, name)
        if isinstance(tools, str | Mapping) or not isinstance(tools, Sequence | None):
            raise UsageError(f"tools must be a list, not a value of type {type(tools).__name__}.")
        call = Call(
            messages=messages,
            system_prompt=system_prompt,
            temperature=temperature,
            max_tokens=max_tokens,
            tools=tools,
            stream=stream,
            callback=callback,
            cache_control=cache_control,
            dynamic_content=dynamic_content,
            user=user,
            priority=priority,
            on_waiting=on_waiting,
            cached=cached,
            shared=shared,
        )
        is_allowed = self._allow_fallback if allow_fallback is None else allow_fallback
        rule = self.fallback if is_allowed else None
        answered = self.answer(call, rule)
        if rule is None or isinstance(answered, BridgeResponse):
            assert isinstance(answered, BridgeResponse)  # there is a reason only where there is a rule
            return answered
        return rule.ask_instead(call, answered, self.model)

    @abc.abstractmethod
    def answer(self, call: Call, rule: BridgeFallback | None) -> BridgeResponse | FallbackReason:
        """The answer of this model; or why, by the rule, another is to be asked, nothing having come of this one."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close what this bridge has opened, and the fallback's bridge. Idempotent."""

    def extract_text_content(self, response: object) -> str:
        """All text of a response, its own or Anthropic's."""
        return "".join(
            str(part_of(block, "text") or "")
            for block in blocks_of(response)
            if part_of(block, "type") == "text"
        )

    def extract_tool_calls(self, response: object) -> list[dict[str, Any]]:
        """The calls of a response: ``id``, ``tool_name`` and ``input`` of each. One without an id gets a new one."""
        return [
            {
                "id": part_of(block, "id") or f"toolu_{uuid.uuid4().hex[:24]}",
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
