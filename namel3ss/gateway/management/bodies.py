"""The small bodies of management requests: an object in JSON, and the fields that are read of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from namel3ss.gateway.dialects.go_faults import find_fault
from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.gateway.exchange import Exchange

__all__ = ["is_streamed", "model_field", "read_fields", "text_field"]

_LIMIT: Final = 1024 * 1024
_KINDS: Final = {
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}


async def read_fields(exchange: Exchange, *, required: bool = True) -> dict[str, Any]:
    """The body's object; {} for none where none is `required`. Raises Refusal, in Ollama's words where it has some."""
    body = await exchange.read_body(_LIMIT)
    if not body.strip():
        if required:
            raise Refusal(Reason.bad_request, "missing request body")
        return {}
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Reason.bad_request, find_fault(body)) from error
    if not isinstance(fields, dict):
        raise Refusal(Reason.bad_request, f"The request's body must be an object, not {_kind(fields)}.")
    return fields


def text_field(fields: Mapping[str, Any], name: str) -> str:
    """A text; "" where it is missing. Raises Refusal for anything else."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refusal(
            Reason.bad_request,
            f"{name} must be a text, not {_kind(value)}.",
            suggestion=f"Put {name} in quotes.",
        )
    return value


def model_field(fields: Mapping[str, Any]) -> str:
    """The model's name, from `model` or, as older clients have it, from `name`. Raises Refusal for none."""
    model = text_field(fields, "model") or text_field(fields, "name")
    if not model:
        raise Refusal(Reason.model_required, "model is required")
    return model


def is_streamed(fields: Mapping[str, Any], *, by_default: bool) -> bool:
    """Whether the answer comes in pieces. Raises Refusal for what is neither true nor false."""
    value = fields.get("stream")
    if value is None:
        return by_default
    if not isinstance(value, bool):
        raise Refusal(Reason.bad_request, f"stream must be true or false, not {_kind(value)}.")
    return value


def _kind(value: object) -> str:
    if value is None:
        return "null"
    return _KINDS[type(value)]
