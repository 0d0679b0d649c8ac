"""A value that satisfies a JSON schema, found without chance: the same schema always gives the same value."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from namel3ss.sandbox.patterns import PatternTooHardError, text_matching

__all__ = ["BadSchemaError", "instance_of", "json_text"]

_DEEPEST: Final = 40
"""Schemas that refer to themselves end here with the smallest value of the kind asked for."""

_TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")

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


class BadSchemaError(ValueError):
    """What was given is no JSON schema."""


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
        self._root = root

    def make(self, schema: object, name: str, depth: int) -> object:  # one arm a keyword
        """A value for `schema`; `name` is the property it is for, which makes texts speak."""
        if schema is True or schema == {}:
            return None if depth else {}
        if not isinstance(schema, Mapping):
            raise BadSchemaError("a schema is an object")
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        choices = schema.get("enum")
        if isinstance(choices, list) and choices:
            return self._allowed_choice(schema, choices)
        for keyword in ("anyOf", "oneOf"):
            options = schema.get(keyword)
            if isinstance(options, list) and options:
                return self.make(self._merged(schema, self._simplest(options), keyword), name, depth + 1)
        kind = self._kind(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind == "string":
            return self._string(schema, name)
        if kind in ("number", "integer"):
            return self._number(schema, whole=kind == "integer")
        return True if kind == "boolean" else None

    # --- which schema is meant

    def _resolved(self, schema: Mapping[str, object], depth: int) -> Mapping[str, object]:
        """`$ref` and `allOf` worked into the schema itself."""
        seen = 0
        while "$ref" in schema:
            seen += 1
            target = self._referred(schema["$ref"])
            if seen > _DEEPEST or not isinstance(target, Mapping):
                raise BadSchemaError("a reference leads nowhere")
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = _united(target, rest)
        parts = schema.get("allOf")
        if isinstance(parts, list):
            if depth > _DEEPEST:
                raise BadSchemaError("the schema contains itself")
            merged: Mapping[str, object] = {key: value for key, value in schema.items() if key != "allOf"}
            for part in parts:
                if isinstance(part, Mapping):
                    merged = _united(merged, self._resolved(part, depth + 1))
            return merged
        return schema

    def _referred(self, reference: object) -> object:
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

    def _merged(self, schema: Mapping[str, object], option: object, keyword: str) -> Mapping[str, object]:
        rest = {key: value for key, value in schema.items() if key != keyword}
        if not isinstance(option, Mapping):
            return rest
        return _united(rest, self._resolved(option, 0))

    def _simplest(self, options: Sequence[object]) -> object:
        """The first choice that says something and does not lead back into the schema, if there is one."""
        for option in options:
            if isinstance(option, Mapping) and "$ref" not in option and option.get("type") != "null":
                return option
        return next((each for each in options if each != {"type": "null"}), options[0])

    def _allowed_choice(self, schema: Mapping[str, object], choices: list[object]) -> object:
        kinds = _kinds(schema)
        for choice in choices:
            if not kinds or any(_is_kind(choice, kind) for kind in kinds):
                return choice
        return choices[0]

    def _kind(self, schema: Mapping[str, object]) -> str:
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

    # --- the values

    def _object(self, schema: Mapping[str, object], depth: int) -> dict[str, object]:
        properties = _mapping(schema.get("properties"))
        required = [each for each in _list(schema.get("required")) if isinstance(each, str)]
        wanted = list(dict.fromkeys([*properties, *required])) if depth < _DEEPEST // 8 else required
        if depth > _DEEPEST:
            raise BadSchemaError("the schema contains itself")
        made = {}
        for key in wanted:
            inner = properties.get(key, self._additional(schema, key))
            if inner is False or (key not in required and self._leads_back(inner)):
                continue
            made[key] = self.make(inner, key, depth + 1)
        self._fill(schema, made, depth)
        return self._without_surplus(schema, made, required)

    def _additional(self, schema: Mapping[str, object], key: str) -> object:
        for pattern, inner in _mapping(schema.get("patternProperties")).items():
            if re.search(pattern, key):
                return inner
        additional = schema.get("additionalProperties", True)
        return {"type": "string"} if additional in (True, False) else additional

    def _leads_back(self, inner: object) -> bool:
        """Whether an optional part refers elsewhere: it may be recursive, and can be left out."""
        return isinstance(inner, Mapping) and "$ref" in inner and self._recursive(inner["$ref"])

    def _recursive(self, reference: object) -> bool:
        return isinstance(reference, str) and reference in json.dumps(self._referred(reference))

    def _fill(self, schema: Mapping[str, object], made: dict[str, object], depth: int) -> None:
        fewest = schema.get("minProperties")
        names = schema.get("propertyNames")
        number = 0
        while isinstance(fewest, int) and len(made) < fewest:
            number += 1
            key = f"key{number}"
            if isinstance(names, Mapping):
                key = str(self.make({"type": "string", **names}, key, depth + 1)) + ("x" * (number - 1))
            for pattern in _mapping(schema.get("patternProperties")):
                key = text_matching(pattern, number)
                break
            made.setdefault(key, self.make(self._additional(schema, key), key, depth + 1))
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
        for key, needed in _mapping(schema.get("dependentRequired")).items():
            if key in made and key not in required and any(each not in made for each in _list(needed)):
                del made[key]
        return made

    def _array(self, schema: Mapping[str, object], name: str, depth: int) -> list[object]:
        prefix = _list(schema.get("prefixItems"))
        items = schema.get("items", True)
        if isinstance(items, list):
            prefix, items = items, schema.get("additionalItems", True)
        fewest = _whole(schema.get("minItems"), 0)
        most = _whole(schema.get("maxItems"), max(fewest, len(prefix), 1))
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
        return depth > 4 or self._leads_back(items)

    def _containing(
        self, schema: Mapping[str, object], made: list[object], most: int, name: str, depth: int
    ) -> list[object]:
        needed = _whole(schema.get("minContains"), 1)
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
        shortest = _whole(schema.get("minLength"), 0)
        longest = _whole(schema.get("maxLength"), 2**31)
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
        low, high = _bounds(schema, whole=whole)
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
        preferred = 1 if whole else 1.5
        if low is not None and preferred < low:
            preferred = low
        if high is not None and preferred > high:
            preferred = high
        if whole:
            return math.ceil(preferred) if low is not None and preferred == low else math.floor(preferred)
        return preferred


_TELLTALES: Final = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "contains", "uniqueItems"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


def _united(first: Mapping[str, object], second: Mapping[str, object]) -> dict[str, object]:
    """Both schemas at once, for the keywords where that is simple."""
    made = dict(first)
    for key, value in second.items():
        if key not in made:
            made[key] = value
        elif key == "properties":
            made[key] = {**_mapping(made[key]), **_mapping(value)}
        elif key == "required":
            made[key] = list(dict.fromkeys([*_list(made[key]), *_list(value)]))
        elif key in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
            made[key] = max(_real(made[key]), _real(value))
        elif key in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"):
            made[key] = min(_real(made[key]), _real(value))
        elif key == "enum":
            made[key] = [each for each in _list(made[key]) if each in _list(value)] or value
        elif key not in ("$defs", "definitions"):
            made[key] = value
    return made


def _bounds(schema: Mapping[str, object], *, whole: bool) -> tuple[float | None, float | None]:
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


def _kinds(schema: Mapping[str, object]) -> list[str]:
    kind = schema.get("type")
    if isinstance(kind, str):
        return [kind]
    return [each for each in _list(kind) if isinstance(each, str)]


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


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _limit(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _real(value: object) -> float:
    return value if isinstance(value, int | float) else 0


def _whole(value: object, default: int) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else default
