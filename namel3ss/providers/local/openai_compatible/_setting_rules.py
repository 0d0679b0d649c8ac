"""The rules of single settings of this protocol that a type and a range cannot say.

Each is an annotated type for a field of a config model. A check raises ValueError where the setting's usual words say
enough, and UsageError where it knows better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, TypeGuard

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from namel3ss.errors import UsageError
from namel3ss.providers.call_parts import answer_format, tool_definitions
from namel3ss.providers.setting_rules import check_json

__all__ = ["Choice", "Extra", "Format", "JsonMap", "Tools", "format_on_the_wire"]


def _check_map(value: dict[str, Any], about: ValidationInfo) -> dict[str, Any]:
    check_json(value, about.field_name or "the map")
    return value


def _check_extra(value: dict[str, Any], about: ValidationInfo) -> dict[str, Any]:
    for name in ("messages", "model", "stream"):
        if name in value:
            raise UsageError(f"extra: {name} is no further field; it is set by the call itself.")
    return _check_map(value, about)


def _read_format(value: object) -> object:
    """What people write for it, as "json", a schema, or OpenAI's own form of one where that says more than the schema."""
    if value is None:
        return None
    wanted = answer_format({"response_format": value})
    return dict(value) if wanted != "json" and _is_named_schema(value) else wanted


def _is_named_schema(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a schema in OpenAI's form, with a name and perhaps more."""
    inner = value.get("json_schema") if isinstance(value, Mapping) else None
    return isinstance(inner, Mapping) and isinstance(inner.get("name"), str)


def _check_tools(value: object) -> object:
    return value if value is None else tool_definitions(value)


def _check_choice(value: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if isinstance(value, str) and not value.strip():
        raise ValueError("empty")
    if isinstance(value, dict):
        check_json(value, "tool_choice")
    return value


def format_on_the_wire(wanted: str | dict[str, Any]) -> dict[str, Any]:
    """A response_format as a request says it."""
    if isinstance(wanted, str):
        return {"type": "json_object"}
    if _is_named_schema(wanted):
        return dict(wanted)
    title = wanted.get("title")
    usable = [each for each in (title if isinstance(title, str) else "") if each.isascii() and each.isalnum()]
    return {
        "type": "json_schema",
        "json_schema": {"name": "".join(usable)[:64] or "answer", "schema": wanted},
    }


JsonMap: TypeAlias = Annotated[dict[str, Any], AfterValidator(_check_map)]
Extra: TypeAlias = Annotated[dict[str, Any], AfterValidator(_check_extra)]
Format: TypeAlias = Annotated[str | dict[str, Any] | None, BeforeValidator(_read_format)]
Tools: TypeAlias = Annotated[list[dict[str, Any]] | None, BeforeValidator(_check_tools)]
Choice: TypeAlias = Annotated[str | dict[str, Any] | None, AfterValidator(_check_choice)]
