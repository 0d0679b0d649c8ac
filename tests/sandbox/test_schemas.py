"""Values made up for JSON schemas satisfy them."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.sandbox.patterns import PatternTooHardError, text_matching
from namel3ss.sandbox.schema_rules import check_schema
from namel3ss.sandbox.schemas import BadSchemaError, instance_of

_TREE: dict[str, Any] = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"$ref": "#/$defs/node"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value"],
        }
    },
    "$ref": "#/$defs/node",
}

_SCHEMAS: list[dict[str, Any]] = [
    {},
    {"type": "object"},
    {"type": "string"},
    {"type": "null"},
    {"type": ["null", "string"]},
    {"const": {"a": [1, None]}},
    {"enum": ["red", "green"]},
    {"type": "integer", "enum": ["x", 3]},
    {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]},
    {
        "type": "object",
        "required": ["name"],
        "additionalProperties": False,
        "properties": {"name": {"type": "string"}},
    },
    {"type": "object", "required": ["free"], "additionalProperties": {"type": "integer"}},
    {"type": "object", "minProperties": 3, "additionalProperties": {"type": "boolean"}},
    {"type": "object", "maxProperties": 1, "properties": {"a": {}, "b": {}, "c": {}}, "required": ["b"]},
    {"type": "object", "patternProperties": {"^x-[a-z]+$": {"type": "integer"}}, "minProperties": 2},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "dependentRequired": {"a": ["b"]}},
    {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 5},
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 4},
    {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "minItems": 3},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
    {"type": "array", "maxItems": 0},
    {"type": "array", "contains": {"type": "integer", "minimum": 7}, "items": {"type": "integer"}},
    {
        "type": "array",
        "items": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "null"}}}},
    },
    {"type": "integer", "minimum": 5, "maximum": 5},
    {"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 7},
    {"type": "integer", "maximum": -3},
    {"type": "integer", "minimum": 10, "multipleOf": 7},
    {"type": "integer", "maximum": -10, "multipleOf": 7},
    {"type": "number", "minimum": 0.1, "maximum": 0.2},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "multipleOf": 0.5, "minimum": 3.2},
    {"minimum": 100},
    {"type": "string", "minLength": 50},
    {"type": "string", "maxLength": 3},
    {"type": "string", "minLength": 2, "maxLength": 2},
    {"type": "string", "pattern": r"^\d{3}-\d{4}$"},
    {"type": "string", "pattern": "^(foo|bar)+$", "minLength": 6},
    {"type": "string", "pattern": r"^[A-Z][a-z]{2,}\.$"},
    {"type": "string", "pattern": "[^a-z]x?"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "email"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "ipv4"},
    {
        "anyOf": [
            {"type": "null"},
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        ]
    },
    {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"required": ["a"]}]},
    {"allOf": [{"type": "integer", "minimum": 3}, {"minimum": 8, "maximum": 9}]},
    {"type": "object", "properties": {"kind": {"const": "cat"}}, "anyOf": [{"required": ["kind"]}]},
    {
        "definitions": {"n": {"type": "integer"}},
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/n"}},
    },
    {"$defs": {"a/b": {"type": "string"}}, "$ref": "#/$defs/a~1b"},
    _TREE,
    {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/node"}},
        "required": ["tree"],
        **{"$defs": _TREE["$defs"]},
    },
]


@pytest.mark.parametrize("schema", _SCHEMAS, ids=[json.dumps(schema)[:60] for schema in _SCHEMAS])
def test_the_value_satisfies_its_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    checker.validate(json.loads(instance_of(schema)))


def test_a_value_is_the_same_every_time() -> None:
    assert instance_of(_TREE) == instance_of(_TREE)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nope"},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#"},
        {"properties": {"a": 5}},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"allOf": [{"$ref": "#"}]},
        {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}},
    ],
)
def test_a_schema_without_an_end_or_a_meaning_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(BadSchemaError):
        instance_of(schema)


_leaves = st.one_of(
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-99, 99),
        st.integers(0, 9),
    ),
    st.builds(
        lambda least, more: {"type": "string", "minLength": least, "maxLength": least + more},
        st.integers(0, 40),
        st.integers(0, 9),
    ),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "number"}, {"enum": ["a", 1, None]}]),
)
_schemas = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(
            lambda items, least: {"type": "array", "items": items, "minItems": least},
            inner,
            st.integers(0, 4),
        ),
        st.builds(
            lambda properties: {
                "type": "object",
                "properties": properties,
                "required": sorted(properties)[:2],
            },
            st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), inner, max_size=4),
        ),
        st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=12,
)


@given(_schemas)
def test_nested_schemas_are_satisfied(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema).validate(json.loads(instance_of(schema)))


@given(
    st.dictionaries(
        st.sampled_from(
            ["type", "properties", "items", "enum", "$ref", "allOf", "pattern", "minItems", "required"]
        ),
        st.one_of(
            st.none(),
            st.integers(-5, 5),
            st.text(max_size=5),
            st.lists(st.integers(), max_size=2),
            st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        ),
    )
)
def test_nonsense_is_answered_or_refused_and_never_crashes(schema: dict[str, Any]) -> None:
    try:
        json.loads(instance_of(schema))
    except BadSchemaError:
        return


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a",
        "^a*$",
        r"\w+@\w+\.com",
        "(a|b|c){3}",
        "[0-9a-f]{8}",
        r"^[^\s]+$",
        r"\u0041",
        "a{2,3}?",
        "(?:x)(?P<n>y)",
        r"^\S+\.\S$",
    ],
)
def test_a_text_is_found_for_a_usual_pattern(pattern: str) -> None:
    assert re.search(pattern, text_matching(pattern))


@pytest.mark.parametrize("pattern", ["(", r"(?=a)b", "^a$b", "a{99999}", "[a", "(" * 100 + ")" * 100])
def test_a_pattern_that_is_too_hard_says_so(pattern: str) -> None:
    with pytest.raises(PatternTooHardError):
        text_matching(pattern)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": ["string", "null"]},
        {"const": 3},
        {"enum": [1]},
        {"anyOf": [{"type": "string"}]},
        {"allOf": []},
        {"properties": {"a": {}}},
        {"additionalProperties": False},
        {"items": {"type": "string"}},
        {"type": "string", "format": "email"},
        {"pattern": "^a$"},
        {"format": "date"},
        _TREE,
    ],
)
def test_a_schema_of_which_the_server_makes_a_grammar_is_taken(schema: dict[str, Any]) -> None:
    check_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"title": "anything"},
        {"properties": {"a": {"title": "A"}}, "required": ["a"]},
        {"type": "array", "items": {"description": "whatever"}},
        {"type": "array", "items": True},
        {"anyOf": [{"type": "string"}, {"title": "never used"}]},
        {"additionalProperties": {"title": "A"}},
        {"allOf": [{"properties": {"a": {"title": "A"}}}]},
        {"type": "word"},
        {"type": "string", "pattern": "a"},
        {"minLength": 3},
        {"format": "email"},
        {"not": {}},
        {"$ref": "#/nowhere"},
        {"$ref": []},
    ],
)
def test_a_sound_schema_of_which_the_server_makes_nothing_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(BadSchemaError):
        check_schema(schema)
