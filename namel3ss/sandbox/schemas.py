"""A value that satisfies a JSON schema, found without chance: the same schema always gives the same value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Final

from namel3ss.sandbox.patterns import PatternTooHardError, text_matching
from namel3ss.sandbox.schema_reading import (
    DEEPEST,
    BadSchemaError,
    SchemaReader,
    bounds,
    count_of,
    list_of,
    mapping_of,
)

__all__ = ["BadSchemaError", "instance_of", "json_text"]

_FORMATS: Final = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "sandbox@example.com",
    "idn-email": "sandbox@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "/sandbox",
    "iri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "regex": ".*",
    "json-pointer": "/sandbox",
}


def json_text(value: object) -> str:
    """JSON with a blank after commas and colons, as models tend to write it."""
    return json.dumps(value, ensure_ascii=False)


def instance_of(wanted: str | Mapping[str, object]) -> str:
    """JSON text for "json" or a schema. Raises BadSchemaError."""
    if isinstance(wanted, str):
        return "{}"
    return json_text(_Maker(wanted).make(wanted, "answer", 0))


class _Maker:
    def __init__(self, root: Mapping[str, object]) -> None:
        self._read = SchemaReader(root)

    def make(self, schema: object, name: str, depth: int) -> object:  # one arm a keyword
        """A value for `schema`; `name` is the property it is for, which makes texts speak."""
        if schema is True or schema == {}:
            return None if depth else {}
        if not isinstance(schema, Mapping):
            raise BadSchemaError("a schema is an object")
        schema = self._read.resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return self._read.allowed_choice(schema, choices)
        for keyword in ("anyOf", "oneOf"):
            options = schema.get(keyword)
            if isinstance(options, list) and options:
                return self.make(
                    self._read.merged(schema, self._read.simplest(options), keyword), name, depth + 1
                )
        kind = self._read.kind(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind == "string":
            return self._string(schema, name)
        if kind in ("number", "integer"):
            return self._number(schema, whole=kind == "integer")
        return True if kind == "boolean" else None

    def _object(self, schema: Mapping[str, object], depth: int) -> dict[str, object]:
        properties = mapping_of(schema.get("properties"))
        required = [each for each in list_of(schema.get("required")) if isinstance(each, str)]
        wanted = list(dict.fromkeys([*properties, *required])) if depth < DEEPEST // 8 else required
        if depth > DEEPEST:
            raise BadSchemaError("the schema contains itself")
        made = {}
        for key in wanted:
            inner = properties.get(key, self._read.additional(schema, key))
            if inner is False or (key not in required and self._read.leads_back(inner)):
                continue
            made[key] = self.make(inner, key, depth + 1)
        self._fill(schema, made, depth)
        return self._without_surplus(schema, made, required)

    def _fill(self, schema: Mapping[str, object], made: dict[str, object], depth: int) -> None:
        fewest = schema.get("minProperties")
        names = schema.get("propertyNames")
        number = 0
        while isinstance(fewest, int) and len(made) < fewest:
            number += 1
            key = f"key{number}"
            if isinstance(names, Mapping):
                key = str(self.make({"type": "string", **names}, key, depth + 1)) + ("x" * (number - 1))
            for pattern in mapping_of(schema.get("patternProperties")):
                key = text_matching(pattern, number)
                break
            made.setdefault(key, self.make(self._read.additional(schema, key), key, depth + 1))
            if number > fewest + 1000:
                raise BadSchemaError("no object satisfies the schema")

    def _without_surplus(
        self, schema: Mapping[str, object], made: dict[str, object], required: list[str]
    ) -> dict[str, object]:
        most = schema.get("maxProperties")
        while isinstance(most, int) and len(made) > most:
            surplus = [key for key in made if key not in required]
            if not surplus:
                break
            del made[surplus[-1]]
        for key, needed in mapping_of(schema.get("dependentRequired")).items():
            if key in made and key not in required and any(each not in made for each in list_of(needed)):
                del made[key]
        return made

    def _array(self, schema: Mapping[str, object], name: str, depth: int) -> list[object]:
        prefix = list_of(schema.get("prefixItems"))
        items = schema.get("items", True)
        if isinstance(items, list):
            prefix, items = items, schema.get("additionalItems", True)
        fewest = count_of(schema.get("minItems"), 0)
        most = count_of(schema.get("maxItems"), max(fewest, len(prefix), 1))
        count = min(max(fewest, len(prefix), 0 if self._endless(items, depth) else 1), most)
        if items is False:
            count = min(count, len(prefix))
        made: list[object] = []
        for place in range(count):
            inner = prefix[place] if place < len(prefix) else items
            made.append(self.make(inner, name, depth + 1))
        if "contains" in schema:
            made = self._containing(schema, made, most, name, depth)
        return self._distinct(made) if schema.get("uniqueItems") is True else made

    def _endless(self, items: object, depth: int) -> bool:
        return depth > 4 or self._read.leads_back(items)

    def _containing(
        self, schema: Mapping[str, object], made: list[object], most: int, name: str, depth: int
    ) -> list[object]:
        needed = count_of(schema.get("minContains"), 1)
        wanted = [self.make(schema["contains"], name, depth + 1) for _ in range(needed)]
        return (wanted + made)[: max(len(made), needed)] if most else made

    def _distinct(self, made: list[object]) -> list[object]:
        """Equal neighbours told apart where their kind allows it."""
        seen: set[str] = set()
        found: list[object] = []
        for item in made:
            variant, number = item, 1
            while json.dumps(variant, sort_keys=True) in seen:
                number += 1
                variant = _varied(item, number)
            seen.add(json.dumps(variant, sort_keys=True))
            found.append(variant)
        return found

    def _string(self, schema: Mapping[str, object], name: str) -> str:
        shortest = count_of(schema.get("minLength"), 0)
        longest = count_of(schema.get("maxLength"), 2**31)
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            try:
                return text_matching(pattern, shortest=shortest, longest=longest)
            except PatternTooHardError:
                return ""
        known = _FORMATS.get(str(schema.get("format")))
        text = known if known is not None else f"made-up {name}"
        if len(text) < shortest:
            text += "x" * (shortest - len(text))
        return text[:longest]

    def _number(self, schema: Mapping[str, object], *, whole: bool) -> int | float:
        low, high = bounds(schema, whole=whole)
        step = schema.get("multipleOf")
        if isinstance(step, int | float) and not isinstance(step, bool) and step > 0:
            unit = math.lcm(int(step), 1) if whole and float(step).is_integer() else step
            start = (
                0 if low is None or low <= 0 <= (high if high is not None else 0) else math.ceil(low / unit)
            )
            if low is None and high is not None and high < 0:
                start = math.floor(high / unit)
            value = start * unit
            return int(value) if float(value).is_integer() else float(value)
        # Whole also where it need not be: many tools declare a `number` and then count with it.
        preferred: float = 1
        if low is not None and preferred < low:
            preferred = low
        if high is not None and preferred > high:
            preferred = high
        if whole:
            return math.ceil(preferred) if low is not None and preferred == low else math.floor(preferred)
        return preferred


def _varied(item: object, number: int) -> object:
    if isinstance(item, bool) or item is None:
        return [True, False, None][number % 3] if number < 4 else number
    if isinstance(item, int | float):
        return item + number - 1
    if isinstance(item, str):
        return f"{item} {number}"
    if isinstance(item, list):
        return [*item, number]
    if isinstance(item, dict) and item:
        first = next(iter(item))
        return {**item, first: _varied(item[first], number)}
    return number
