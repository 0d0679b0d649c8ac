"""Which JSON schemas the server takes for the form of an answer. It refuses many that are sound: `{"title": "Any"}`, say.

It makes a grammar of a schema, and knows only some ways to say what a value is. What is refused here would come back
from the server as an error as well, be it in a part that no answer would ever use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from namel3ss.sandbox.schema_reading import BadSchemaError, SchemaReader, list_of, mapping_of

__all__ = ["check_schema"]

_TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_FORMATS: Final = re.compile(r"date|time|date-time|uuid[1-5]?")


def check_schema(schema: Mapping[str, object]) -> None:
    """Raises BadSchemaError for a schema of which the server would make nothing."""
    reader = SchemaReader(schema)
    followed: set[str] = set()
    waiting: list[object] = [schema]
    while waiting:
        each = waiting.pop()
        if each is None or each == {}:
            continue
        if not isinstance(each, Mapping):
            raise BadSchemaError("a schema is an object")
        if "$ref" not in each:
            waiting += _parts(each, reader)
        elif str(each["$ref"]) not in followed:
            followed.add(str(each["$ref"]))
            waiting.append(_referred(each["$ref"], reader))


def _parts(schema: Mapping[str, object], reader: SchemaReader) -> list[object]:
    """The schemas inside of one, asked for in the server's order. Raises BadSchemaError for one that says nothing."""
    kind = schema.get("type")
    for keyword in ("oneOf", "anyOf"):
        if keyword in schema:
            return list_of(schema[keyword])
    if isinstance(kind, list):
        return [{**schema, "type": each} for each in kind]
    if "const" in schema or "enum" in schema:
        return []
    if kind in (None, "object") and (
        "properties" in schema or schema.get("additionalProperties", True) is not True
    ):
        return [
            *mapping_of(schema.get("properties")).values(),
            mapping_of(schema.get("additionalProperties")),
        ]
    if kind in (None, "object", "string") and "allOf" in schema:
        return [part for each in list_of(schema["allOf"]) for part in _properties(each, reader)]
    if kind in (None, "array") and ("items" in schema or "prefixItems" in schema):
        items = schema.get("items", schema.get("prefixItems"))
        return items if isinstance(items, list) else [items]
    if kind in (None, "string") and "pattern" in schema:
        _check_pattern(schema["pattern"])
    elif (
        not (kind in (None, "string") and _FORMATS.fullmatch(str(schema.get("format"))))
        and kind not in _TYPES
    ):
        raise BadSchemaError("nothing says what a value is")
    return []


def _properties(part: object, reader: SchemaReader) -> list[object]:
    """Of what is in `allOf`, only properties are looked at."""
    found = mapping_of(part)
    return [
        inner
        for each in list_of(found.get("anyOf", [found]))
        for inner in mapping_of(_target(mapping_of(each), reader).get("properties")).values()
    ]


def _referred(reference: object, reader: SchemaReader) -> Mapping[str, object]:
    found = reader.referred(reference)
    if not isinstance(found, Mapping):
        raise BadSchemaError("a reference leads nowhere")
    return found


def _target(part: Mapping[str, object], reader: SchemaReader) -> Mapping[str, object]:
    return mapping_of(reader.referred(part["$ref"])) if "$ref" in part else part


def _check_pattern(pattern: object) -> None:
    if not isinstance(pattern, str) or not (pattern.startswith("^") and pattern.endswith("$")):
        raise BadSchemaError("a pattern is from ^ to $")
