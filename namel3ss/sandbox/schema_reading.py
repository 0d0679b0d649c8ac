"""What a JSON schema asks for: references followed, parts united, the choice that is simplest to satisfy."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = [
    "DEEPEST",
    "BadSchemaError",
    "SchemaReader",
    "bounds",
    "count_of",
    "list_of",
    "mapping_of",
]

DEEPEST: Final = 40
"""Schemas that refer to themselves end here with the smallest value of the kind asked for."""

_TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")

_TELLTALES: Final = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "contains", "uniqueItems"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


class BadSchemaError(ValueError):
    """What was given is no JSON schema."""


class SchemaReader:
    """Reads the schemas inside of one, which may refer to each other."""

    def __init__(self, root: Mapping[str, object]) -> None:
        self._root = root

    def resolved(self, schema: Mapping[str, object], depth: int) -> Mapping[str, object]:
        """`$ref` and `allOf` worked into the schema itself."""
        seen = 0
        while "$ref" in schema:
            seen += 1
            target = self.referred(schema["$ref"])
            if seen > DEEPEST or not isinstance(target, Mapping):
                raise BadSchemaError("a reference leads nowhere")
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = _united(target, rest)
        parts = schema.get("allOf")
        if isinstance(parts, list):
            if depth > DEEPEST:
                raise BadSchemaError("the schema contains itself")
            merged: Mapping[str, object] = {key: value for key, value in schema.items() if key != "allOf"}
            for part in parts:
                if isinstance(part, Mapping):
                    merged = _united(merged, self.resolved(part, depth + 1))
            return merged
        return schema

    def referred(self, reference: object) -> object:
        """What a reference leads to; None where it leads nowhere. Raises BadSchemaError for one to another document."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise BadSchemaError("references must point into the schema itself")
        found: object = self._root
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping):
                found = found.get(key)
            elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                return None
        return found

    def merged(self, schema: Mapping[str, object], option: object, keyword: str) -> Mapping[str, object]:
        """The schema with one of the choices of `keyword` in place of them all."""
        rest = {key: value for key, value in schema.items() if key != keyword}
        if not isinstance(option, Mapping):
            return rest
        return _united(rest, self.resolved(option, 0))

    def simplest(self, options: Sequence[object]) -> object:
        """The first choice that says something and does not lead back into the schema, if there is one."""
        for option in options:
            if isinstance(option, Mapping) and "$ref" not in option and option.get("type") != "null":
                return option
        return next((each for each in options if each != {"type": "null"}), options[0])

    def allowed_choice(self, schema: Mapping[str, object], choices: list[object]) -> object:
        """The first of the listed values that is of a type the schema allows."""
        kinds = _kinds(schema)
        for choice in choices:
            if not kinds or any(_is_kind(choice, kind) for kind in kinds):
                return choice
        return choices[0]

    def kind(self, schema: Mapping[str, object]) -> str:
        """The type that a value shall have, as it is written or as the keywords tell. Raises BadSchemaError."""
        kinds = _kinds(schema)
        unknown = [kind for kind in kinds if kind not in _TYPES]
        if unknown:
            raise BadSchemaError(f"unknown type {unknown[0]}")
        if kinds:
            return next((kind for kind in kinds if kind != "null"), "null")
        for kind, keywords in _TELLTALES.items():
            if any(keyword in schema for keyword in keywords):
                return kind
        return "string"

    def additional(self, schema: Mapping[str, object], key: str) -> object:
        """The schema of a property that `properties` does not name."""
        for pattern, inner in mapping_of(schema.get("patternProperties")).items():
            if re.search(pattern, key):
                return inner
        additional = schema.get("additionalProperties", True)
        return {"type": "string"} if additional in (True, False) else additional

    def leads_back(self, inner: object) -> bool:
        """Whether an optional part refers elsewhere: it may be recursive, and can be left out."""
        return isinstance(inner, Mapping) and "$ref" in inner and self._recursive(inner["$ref"])

    def _recursive(self, reference: object) -> bool:
        return isinstance(reference, str) and reference in json.dumps(self.referred(reference))


def _united(first: Mapping[str, object], second: Mapping[str, object]) -> dict[str, object]:
    """Both schemas at once, for the keywords where that is simple."""
    made = dict(first)
    for key, value in second.items():
        if key not in made:
            made[key] = value
        elif key == "properties":
            made[key] = {**mapping_of(made[key]), **mapping_of(value)}
        elif key == "required":
            made[key] = list(dict.fromkeys([*list_of(made[key]), *list_of(value)]))
        elif key in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
            made[key] = max(_real(made[key]), _real(value))
        elif key in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"):
            made[key] = min(_real(made[key]), _real(value))
        elif key == "enum":
            made[key] = [each for each in list_of(made[key]) if each in list_of(value)] or value
        elif key not in ("$defs", "definitions"):
            made[key] = value
    return made


def bounds(schema: Mapping[str, object], *, whole: bool) -> tuple[float | None, float | None]:
    """The lowest and the highest number that are allowed, both inclusive; None where there is no limit."""
    low = _limit(schema.get("minimum"))
    high = _limit(schema.get("maximum"))
    above, below = _limit(schema.get("exclusiveMinimum")), _limit(schema.get("exclusiveMaximum"))
    if above is not None:
        least = math.floor(above) + 1 if whole else _between(above, below if below is not None else high)
        low = least if low is None else max(low, least)
    if below is not None:
        most = math.ceil(below) - 1 if whole else _between(below, low)
        high = most if high is None else min(high, most)
    if whole:
        low = math.ceil(low) if low is not None else None
        high = math.floor(high) if high is not None else None
    return low, high


def _between(edge: float, other: float | None) -> float:
    """A number beside `edge`, on the side of `other`."""
    if other is None:
        return edge + 1
    return (edge + other) / 2


def _kinds(schema: Mapping[str, object]) -> list[str]:
    kind = schema.get("type")
    if isinstance(kind, str):
        return [kind]
    return [each for each in list_of(kind) if isinstance(each, str)]


def _is_kind(value: object, kind: str) -> bool:
    if kind == "null":
        return value is None
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    types: dict[str, type | tuple[type, ...]] = {
        "object": dict,
        "array": list,
        "string": str,
        "number": (int, float),
    }
    return isinstance(value, types[kind]) if kind in types else False


def mapping_of(value: object) -> Mapping[str, object]:
    """The value of a keyword that takes an object; empty for anything else."""
    return value if isinstance(value, Mapping) else {}


def list_of(value: object) -> list[object]:
    """The value of a keyword that takes a list; empty for anything else."""
    return value if isinstance(value, list) else []


def _limit(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _real(value: object) -> float:
    return value if isinstance(value, int | float) else 0


def count_of(value: object, default: int) -> int:
    """The value of a keyword that takes a number of things; `default` for anything else."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else default
