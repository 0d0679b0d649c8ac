"""A JSON Schema made fit for the API's structured output, which compiles it into a grammar.

The API asks for `additionalProperties: false` on every object, and refuses limits that a grammar cannot keep (lengths,
ranges, patterns). Those move into the description, where the model reads them; whoever asked checks the answer anyway.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from namel3ss.errors import UsageError
from namel3ss.providers.call_parts import check_finite

__all__ = ["output_schema"]

_KEPT: Final = frozenset(
    [
        "type",
        "description",
        "title",
        "enum",
        "const",
        "required",
        "$ref",
        "default",
        "anyOf",
        "allOf",
        "items",
    ]
)
_FORMATS: Final = frozenset(
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"]
)
_DEFINITIONS: Final = ("$defs", "definitions")
_ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf")
_ALSO_MEANT_FOR_PEOPLE: Final = frozenset(["$schema", "$id", "$comment", "examples"])


def output_schema(value: object, name: str) -> dict[str, Any] | None:
    """The schema that constrains the answer; None where text is wanted.

    Taken: a schema as a dict, a pydantic model class, OpenAI's `response_format`, Anthropic's `output_config.format`.
    Raises UsageError, which calls the value `name`.
    """
    if value == "":
        return None
    make_schema = getattr(value, "model_json_schema", None)
    if callable(make_schema):
        value = make_schema()
    kind = value.get("type") if isinstance(value, Mapping) else value
    if kind == "text":
        return None
    if kind in ("json", "json_object"):
        raise UsageError(
            "Anthropic's API has no JSON mode without a schema.",
            suggestion=f"Pass a JSON Schema, or a pydantic model class, as {name}.",
        )
    if isinstance(value, Mapping) and kind == "json_schema":
        inner = value.get("json_schema")
        value = inner.get("schema") if isinstance(inner, Mapping) else value.get("schema")
    if not isinstance(value, Mapping):
        raise UsageError(
            f"{name} is not a JSON Schema.", suggestion="Pass a schema as a dict, or a pydantic model class."
        )
    check_finite(value, name)
    return _fit(value, name)


def _fit(schema: Mapping[str, Any], place: str) -> dict[str, Any]:
    fitted: dict[str, Any] = {}
    said: dict[str, Any] = {}
    for key, value in schema.items():
        if (key in _DEFINITIONS and isinstance(value, Mapping)) or (
            key == "properties" and isinstance(value, Mapping)
        ):
            fitted[key] = {each: _fit_any(inner, f"{place}.{each}") for each, inner in value.items()}
        elif key in _ALTERNATIVES and isinstance(value, list):
            fitted["allOf" if key == "allOf" else "anyOf"] = [_fit_any(inner, place) for inner in value]
        elif key == "items":
            fitted[key] = _fit_any(value, f"{place}[]")
        elif key in _KEPT or _is_kept(key, value):
            fitted[key] = value
        elif key not in _ALSO_MEANT_FOR_PEOPLE and key != "additionalProperties":
            said[key] = value
    if schema.get("type") == "object" or "properties" in schema:
        _close(schema, fitted, place)
    if said:
        limits = ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in said.items())
        about = f"{fitted['description']}\n" if fitted.get("description") else ""
        fitted["description"] = f"{about}({limits})"
    return fitted


def _fit_any(schema: object, place: str) -> Any:
    return _fit(schema, place) if isinstance(schema, Mapping) else schema


def _is_kept(key: str, value: object) -> bool:
    return (key == "format" and value in _FORMATS) or (key == "minItems" and value in (0, 1))


def _close(schema: Mapping[str, Any], fitted: dict[str, Any], place: str) -> None:
    if not schema.get("properties") and schema.get("additionalProperties") is not False:
        raise UsageError(
            f"{place} is an object of any form, which Anthropic's structured output does not know.",
            suggestion="Name its fields, or ask for text.",
        )
    fitted["additionalProperties"] = False
