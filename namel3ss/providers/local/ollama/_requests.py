"""One call's request, made from messages, settings and overrides. Pure; nothing is sent here.

A call may override every setting under its own name, and may pass what belongs to the call alone: `format`, `tools`,
`system`, `images`, `raw`, `suffix`, `template`, `logprobs`, `top_logprobs`. Names that users of other APIs know are
understood: `response_format`, `reasoning_effort`, `tool_choice`, and Ollama's own option names.
"""

from __future__ import annotations

import difflib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from namel3ss.errors import UsageError
from namel3ss.providers.call_parts import (
    add_images,
    answer_format,
    check_count,
    check_texts,
    set_system,
    tool_definitions,
)
from namel3ss.providers.conversation import to_wire_messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.providers.conversation import WireMessage
    from namel3ss.providers.local.ollama._config import OllamaConfig

__all__ = ["OPTION_NAMES", "Call", "check_options", "embed_call", "message_call"]

logger = logging.getLogger(__name__)

# Ollama ignores an option that it does not know, without a word.
OPTION_NAMES: Final = frozenset(
    [
        "num_ctx",
        "num_batch",
        "num_gpu",
        "main_gpu",
        "use_mmap",
        "num_thread",
        "draft_num_predict",
        "num_keep",
        "seed",
        "num_predict",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "repeat_last_n",
        "temperature",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "stop",
    ]
)
_REMOVED_OPTIONS: Final = frozenset(
    [
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "tfs_z",
        "numa",
        "low_vram",
        "f16_kv",
        "use_mlock",
        "logits_all",
        "vocab_only",
        "penalize_newline",
    ]
)
# What one call may say beside the settings.
_CALL_KEYS: Final = frozenset(
    [
        "format",
        "response_format",
        "tools",
        "tool_choice",
        "system",
        "images",
        "raw",
        "suffix",
        "template",
        "logprobs",
        "top_logprobs",
        "reasoning_effort",
    ]
)
_EFFORTS: Final[Mapping[str, bool | str]] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
    "xhigh": "max",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request ready to be sent: where, what, and the settings in force for it."""

    path: str
    body: dict[str, Any]
    config: OllamaConfig
    headers: dict[str, str] = field(default_factory=dict)
    """What this request says beside the headers of every request, such as the trace it belongs to."""

    @property
    def is_chat(self) -> bool:
        return self.path == "/api/chat"

    @property
    def model(self) -> str:
        model: str = self.body["model"]
        return model

    @property
    def messages(self) -> list[WireMessage]:
        """Everything that may hold images; empty for a call without messages."""
        if self.is_chat:
            messages: list[WireMessage] = self.body["messages"]
            return messages
        return [self.body]


def message_call(
    model: str, config: OllamaConfig, messages: object, overrides: Mapping[str, Any], *, is_streamed: bool
) -> Call:
    """A call of `/api/chat`; of `/api/generate` where a raw prompt, a suffix or a template asks for it.

    Raises UsageError for anything that no server should see.
    """
    wire = to_wire_messages(messages)
    call: Mapping[str, Any] = {}
    if overrides:
        call, settings = _split(overrides, config)
        config = config.overridden(settings)
        if config.options:
            check_options(config.options)
    body: dict[str, Any] = {"model": model}
    path = "/api/chat"
    if call:
        add_images(wire, call.get("images"))
        if any(call.get(key) for key in ("raw", "suffix", "template")):
            path = "/api/generate"
        system = call.get("system")
        if system is not None:
            set_system(wire, system)
    if path == "/api/chat":
        body["messages"] = wire
    else:
        body |= _single_prompt(wire, call)
    body["stream"] = is_streamed
    body |= config.request_fields()
    if options := config.request_options():
        body["options"] = options
    if call:
        _add_call_fields(body, call)
    return Call(path, body, config)


def embed_call(
    model: str, config: OllamaConfig, texts: object, *, dimensions: int | None, overrides: Mapping[str, Any]
) -> Call:
    """A call of `/api/embed` for one text or several."""
    inputs = check_texts(texts)
    if dimensions is not None:
        check_count(dimensions, "dimensions")
    _, settings = _split(overrides, config, call_keys=frozenset())
    config = config.overridden(settings)
    body: dict[str, Any] = {"model": model, "input": inputs}
    if dimensions is not None:
        body["dimensions"] = dimensions
    fields = config.request_fields()
    fields.pop("think", None)
    body |= fields
    if options := config.request_options():
        body["options"] = options
    return Call("/api/embed", body, config)


def check_options(options: Mapping[str, Any]) -> None:
    """Warn about options that Ollama ignores: it does so without a word."""
    for name in options:
        if name in OPTION_NAMES:
            continue
        if name in _REMOVED_OPTIONS:
            logger.warning("Ollama no longer knows the option %r and ignores it.", name)
            continue
        close = difflib.get_close_matches(name, OPTION_NAMES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        logger.warning("Ollama does not know the option %r and ignores it.%s", name, hint)


# -- overrides ------------------------------------------------------------------------------------------------


def _split(
    overrides: Mapping[str, Any], config: OllamaConfig, *, call_keys: frozenset[str] = _CALL_KEYS
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What belongs to the call alone, and the settings; other APIs' names translated."""
    call: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    options: dict[str, Any] = {}
    known = type(config).model_fields
    for name, value in overrides.items():
        if name in call_keys:
            call[name] = value
        elif name == "num_predict":
            settings["max_tokens"] = value
        elif name in OPTION_NAMES and name not in known:
            options[name] = value
        else:
            settings[name] = value
    if options:
        settings["options"] = {**config.options, **settings.get("options", {}), **options}
    effort = call.pop("reasoning_effort", None)
    if effort is not None:
        if effort not in _EFFORTS:
            raise UsageError(
                f"reasoning_effort is {effort!r:.40}.", suggestion=f"Write one of {', '.join(_EFFORTS)}."
            )
        settings.setdefault("think", _EFFORTS[effort])
    return {name: value for name, value in call.items() if value is not None}, settings


def _single_prompt(wire: list[WireMessage], call: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `/api/generate`, which takes one prompt and not a conversation."""
    wanted = next(key for key in ("raw", "suffix", "template") if call.get(key))
    system = wire[0]["content"] if wire[0]["role"] == "system" else None
    rest = wire if system is None else wire[1:]
    if len(rest) != 1 or rest[0]["role"] != "user":
        raise UsageError(
            f"{wanted} takes one prompt, not a conversation.",
            suggestion=f"Leave out {wanted}, or pass a text.",
        )
    if call.get("raw") and (system is not None or call.get("template")):
        raise UsageError(
            "raw takes neither a system message nor a template.",
            suggestion="A raw prompt is sent to the model as it is; write everything into it.",
        )
    fields: dict[str, Any] = {"prompt": rest[0]["content"]}
    if system is not None:
        fields["system"] = system
    if "images" in rest[0]:
        fields["images"] = rest[0]["images"]
    for key, kind in (("raw", bool), ("suffix", str), ("template", str)):
        if key in call:
            if not isinstance(call[key], kind):
                raise UsageError(
                    f"{key} must be a {kind.__name__}, not a value of type {type(call[key]).__name__}."
                )
            fields[key] = call[key]
    return fields


# -- what a call adds -----------------------------------------------------------------------------------------


def _add_call_fields(body: dict[str, Any], call: Mapping[str, Any]) -> None:
    if (wanted := answer_format(call)) is not None:
        body["format"] = wanted
    if (tools := _tools(call)) and "messages" not in body:
        raise UsageError("tools need a conversation, not a raw prompt, a suffix or a template.")
    if tools:
        body["tools"] = tools
    if "logprobs" in call:
        if not isinstance(call["logprobs"], bool):
            raise UsageError(f"logprobs must be true or false, not {call['logprobs']!r:.40}.")
        body["logprobs"] = call["logprobs"]
    if "top_logprobs" in call:
        count = call["top_logprobs"]
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 20:
            raise UsageError(f"top_logprobs must be a whole number from 0 to 20, not {count!r:.40}.")
        body["top_logprobs"] = count


def _tools(call: Mapping[str, Any]) -> list[dict[str, Any]]:
    choice = call.get("tool_choice", "auto")
    tools = call.get("tools", ())
    if choice == "none":
        return []
    if choice != "auto":
        raise UsageError(
            "Ollama cannot be told which tool to call.",
            suggestion="Leave tool_choice out, or offer that tool alone.",
        )
    return tool_definitions(tools)
