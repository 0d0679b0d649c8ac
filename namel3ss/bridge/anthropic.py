"""`AnthropicBridge`: the same face over Anthropic's own API, or a server that speaks it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from namel3ss.bridge.answers import from_anthropic, part_of
from namel3ss.bridge.base import Bridge
from namel3ss.bridge.conversation import to_system_text, to_tools
from namel3ss.errors import UsageError
from namel3ss.providers.anthropic import AnthropicError, AnthropicProvider

if TYPE_CHECKING:
    from namel3ss.bridge.answers import BridgeResponse
    from namel3ss.bridge.base import Call
    from namel3ss.bridge.fallback import BridgeFallback, FallbackReason

__all__ = ["AnthropicBridge"]

_SCHEMA_KEYS: Final = ("input_schema", "openai_schema", "parameters")


class AnthropicBridge(Bridge):
    """Asks one model of Anthropic. `close()` ends its connections and its thread.

    `base_url` None takes the address that the environment names, else Anthropic's; the key is `api_key`, else that of the
    environment. `temperature`, `max_tokens` and `system` are for calls that name none; what is None is the API's own, and
    4096 tokens. `timeout` (seconds) bounds a whole answer. With a `provider`, which then says all of this, the bridge
    asks through it, and closes it only if it `is_owner`.

    `cache_control` marks the end of `system_prompt`, so that the API keeps what it has read up to there; `dynamic_content`
    follows behind the mark. Blocks keep the marks and signatures they have. There is no queue and no cache here: `user`,
    `priority`, `on_waiting`, `cached` and `shared` change nothing.
    """

    provider = "anthropic"

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        timeout: float | None = 120.0,
        system: str | None = None,
        environ: Mapping[str, str] | None = None,
        provider: AnthropicProvider | None = None,
        is_owner: bool = False,
        fallback: BridgeFallback | None = None,
        allow_fallback: bool = False,
    ) -> None:
        super().__init__(fallback, allow_fallback=allow_fallback)
        self._is_owner = is_owner or provider is None
        if provider is None:
            if model is None:
                raise UsageError(
                    "The bridge to Anthropic needs a model.", suggestion="For example claude-sonnet-4-5."
                )
            settings = {
                "base_url": base_url,
                "api_key": api_key,
                "temperature": temperature,
                "max_tokens": max_tokens,
            }
            written = {name: value for name, value in settings.items() if value is not None}
            provider = AnthropicProvider(
                "bridge",
                model,
                written | {"total_timeout": timeout},
                environ=os.environ if environ is None else environ,
            )
        self._provider = provider
        self._system = system
        self.model = provider.model

    def answer(self, call: Call, rule: BridgeFallback | None) -> BridgeResponse | FallbackReason:
        conversation, overrides = self._request(call)
        try:
            if not call.stream:
                return from_anthropic(self._provider.sync.generate(conversation, **overrides))
            with self._provider.sync.stream(conversation, **overrides) as pieces:
                for piece in pieces:
                    call.hear(piece.output_text)
                return from_anthropic(pieces.result())
        except AnthropicError as error:
            reason = None if rule is None or error.chunks else rule.reason_in(error)
            if reason is None:
                raise
            return reason

    def _request(self, call: Call) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The conversation, and what this call sets."""
        if isinstance(call.messages, str) or not isinstance(call.messages, Sequence):
            raise UsageError(
                f"messages must be a list of messages, not a value of type {type(call.messages).__name__}."
            )
        overrides: dict[str, Any] = {}
        system = self._system if call.system_prompt is None else call.system_prompt
        if blocks := _system_blocks(system, call.dynamic_content, call.cache_control):
            overrides["system"] = blocks
        if call.temperature is not None:
            overrides["temperature"] = call.temperature
        if call.max_tokens:
            overrides["max_tokens"] = call.max_tokens
        if call.tools and (tools := _tools(call.tools)):
            overrides["tools"] = tools
        return [
            _message(message, f"messages[{index}]") for index, message in enumerate(call.messages)
        ], overrides

    def close(self) -> None:
        if self._is_owner:
            self._provider.sync.close()
        if self.fallback is not None:
            self.fallback.bridge.close()


def _system_blocks(
    prompt: object, dynamic_content: str | None, cache_control: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """The instruction in blocks, what changes from call to call behind what may be kept."""
    blocks: list[dict[str, Any]] = []
    if isinstance(prompt, str):
        blocks = [{"type": "text", "text": prompt}] if prompt else []
    elif prompt is not None:
        to_system_text(prompt, None)  # raises for what is no text
        blocks = [_plain(block) for block in prompt] if isinstance(prompt, Sequence) else []
    if blocks and cache_control is not None:
        blocks[-1] = blocks[-1] | {"cache_control": dict(cache_control)}
    if dynamic_content:
        blocks.append({"type": "text", "text": dynamic_content})
    return blocks


def _message(message: object, place: str) -> dict[str, Any]:
    """A message, of whatever kind of object, as a dict. Thinking that Anthropic has not signed is left out."""
    fields = _plain(message)
    if not isinstance(fields, dict):
        raise UsageError(f"{place} must be a message, not a value of type {type(message).__name__}.")
    content = fields.get("content")
    if isinstance(content, list):
        fields["content"] = [block for block in content if not _is_unsigned_thinking(block)]
    return fields


def _is_unsigned_thinking(block: object) -> bool:
    """Thinking of a local model: the API refuses what it has not signed itself."""
    return part_of(block, "type") == "thinking" and not part_of(block, "signature")


def _tools(tools: Sequence[object]) -> list[dict[str, Any]]:
    """The tools as the API takes them; its own, such as web search, as they are."""
    wire: list[dict[str, Any]] = []
    for tool in tools:
        kind = part_of(tool, "type")
        if isinstance(kind, str) and kind not in ("custom", "function"):
            wire.append(_plain(tool))
            continue
        for described in to_tools([tool], _SCHEMA_KEYS):
            function = described["function"]
            own = {"name": function["name"], "input_schema": function["parameters"]}
            if "description" in function:
                own["description"] = function["description"]
            if mark := part_of(tool, "cache_control"):
                own["cache_control"] = _plain(mark)
            wire.append(own)
    return wire


def _plain(value: object) -> Any:
    """Dicts, lists and plain values, made from these or from objects with attributes."""
    if value is None or isinstance(value, str | int | float | bool | bytes):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, Sequence):
        return [_plain(part) for part in value]
    dump = getattr(value, "model_dump", None)
    if callable(dump):  # what Anthropic's own client returns
        return dump(exclude_none=True)
    fields = getattr(value, "__dict__", None)
    if fields is None:
        raise UsageError(f"A value of type {type(value).__name__} cannot be sent.")
    return {name: _plain(part) for name, part in fields.items() if not name.startswith("_")}
