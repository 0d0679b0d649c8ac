"""The types that `input` and `output` are written in, as values: what fits them, and their JSON Schema.

    str int float bool object      T?      list[T]      { name: T = default }      "a" | "b"

Data that was fitted holds plain `str`, `int`, `float`, `bool`, None, lists and dicts, and nothing else: what a caller
passes in is copied, never kept.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, assert_never

from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from namel3ss.declarations.places import Location

__all__ = [
    "SCALARS",
    "ChoiceType",
    "Field",
    "Fitted",
    "ListType",
    "ObjectType",
    "OptionalType",
    "ScalarType",
    "ValueType",
    "as_type",
    "describe_type",
    "fit",
    "json_schema",
    "without_optional",
]

ScalarName: TypeAlias = Literal["str", "int", "float", "bool", "object"]
SCALARS: tuple[ScalarName, ...] = ("str", "int", "float", "bool", "object")

_WORDS = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
_SCHEMA_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "object": "object"}
_DEEPEST = 64
_MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class ScalarType:
    """`str`, `int`, `float`, `bool`, or `object`: a map of anything that JSON can say."""

    name: ScalarName


@dataclass(frozen=True, slots=True)
class ChoiceType:
    """One of these texts."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListType:
    """Any number of values of one type."""

    item: ValueType


@dataclass(frozen=True, slots=True)
class OptionalType:
    """A value of that type, or null; what is missing is null."""

    inner: ValueType


@dataclass(frozen=True, slots=True)
class Field:
    """A name and its type. `default` counts only where `has_default`."""

    name: str
    type: ValueType
    location: Location = field(compare=False, repr=False)
    has_default: bool = False
    default: Any = None

    @property
    def is_required(self) -> bool:
        return not self.has_default and not isinstance(self.type, OptionalType)


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A map with exactly these keys, in this order.

    `unread` are keys that are written as well and whose types are mistakes, reported already.
    """

    fields: tuple[Field, ...]
    unread: frozenset[str] = frozenset()

    def get(self, name: str) -> Field | None:
        return next((each for each in self.fields if each.name == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.fields)


ValueType: TypeAlias = ScalarType | ChoiceType | ListType | OptionalType | ObjectType


@dataclass(frozen=True, slots=True)
class Fitted:
    """A value made to fit, and every reason why it does not: sentences without a full stop, each naming its place."""

    value: Any
    problems: tuple[str, ...]


def fit(value: object, wanted: ValueType, name: str = "the value") -> Fitted:
    """Copy a value into its type: defaults filled in, whole numbers made floats where those are wanted.

    `name` is what a problem calls the value itself; below it paths such as ``people[2].name`` are used.
    """
    fitting = _Fitting(name)
    return Fitted(fitting.fit(value, wanted, "", 0), tuple(fitting.problems))


def as_type(value: Any, wanted: ValueType) -> Any:
    """The value for a type: data becomes text where that is wanted, and text is read as JSON where it is not."""
    wanted = without_optional(wanted)
    if wanted == ScalarType("str") and value is not None and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and wanted != ScalarType("str") and not isinstance(wanted, ChoiceType):
        try:
            read = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return value if isinstance(read, str) else read
    return value


def without_optional(wanted: ValueType) -> ValueType:
    """The type without its ``?``."""
    return wanted.inner if isinstance(wanted, OptionalType) else wanted


def describe_type(wanted: ValueType) -> str:
    """A type as the language writes it, maps shortened to their keys."""
    if isinstance(wanted, ScalarType):
        return wanted.name
    if isinstance(wanted, ChoiceType):
        return " | ".join(json.dumps(option, ensure_ascii=False) for option in wanted.options)
    if isinstance(wanted, ListType):
        return f"list[{describe_type(wanted.item)}]"
    if isinstance(wanted, OptionalType):
        return f"{describe_type(wanted.inner)}?"
    if isinstance(wanted, ObjectType):
        return f"{{ {', '.join(wanted.names)} }}"
    assert_never(wanted)


def json_schema(wanted: ValueType) -> dict[str, Any]:
    """The JSON Schema that a model's answer must satisfy. Fields keep their order, which is that of the answer."""
    if isinstance(wanted, ScalarType):
        return {"type": _SCHEMA_TYPES[wanted.name]}
    if isinstance(wanted, ChoiceType):
        return {"type": "string", "enum": list(wanted.options)}
    if isinstance(wanted, ListType):
        return {"type": "array", "items": json_schema(wanted.item)}
    if isinstance(wanted, OptionalType):
        return {"anyOf": [json_schema(wanted.inner), {"type": "null"}]}
    if isinstance(wanted, ObjectType):
        return {
            "type": "object",
            "properties": {each.name: json_schema(each.type) for each in wanted.fields},
            "required": [each.name for each in wanted.fields if not each.has_default],
            "additionalProperties": False,
        }
    assert_never(wanted)


class _Fitting:
    """One value on its way into one type. `problems` are those found so far."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.problems: list[str] = []

    def fit(self, value: object, wanted: ValueType, path: str, depth: int) -> Any:
        if isinstance(wanted, OptionalType):
            return None if value is None else self.fit(value, wanted.inner, path, depth)
        if isinstance(wanted, ScalarType):
            return self._scalar(value, wanted.name, path, depth)
        if isinstance(wanted, ChoiceType):
            if isinstance(value, str) and value in wanted.options:
                return str(value)
            return self._refuse(value, f"one of {describe_type(wanted).replace(' | ', ', ')}", path)
        if isinstance(wanted, ListType):
            if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray):
                return self._refuse(value, "a list", path)
            return [
                self.fit(item, wanted.item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)
            ]
        if isinstance(wanted, ObjectType):
            return self._object(value, wanted, path, depth)
        assert_never(wanted)

    def _scalar(self, value: object, name: ScalarName, path: str, depth: int) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if name == "object":
            return (
                self._free(value, path, depth)
                if isinstance(value, Mapping)
                else self._refuse(value, "an object", path)
            )
        if name == "str" and isinstance(value, str):
            return "".join(value) if type(value) is not str else value
        if name == "bool" and isinstance(value, bool):
            return value
        if is_number and isinstance(value, int | float):
            if name == "float":
                return float(value)
            if name == "int" and value == int(value):
                return int(value)
        return self._refuse(value, _WORDS[name], path)

    def _object(self, value: object, wanted: ObjectType, path: str, depth: int) -> dict[str, Any] | None:
        if not isinstance(value, Mapping):
            self._refuse(value, f"an object with {_listed(wanted.names)}", path)
            return None
        for key in value:
            if key not in wanted.names:
                near = closest(str(key), wanted.names)
                hint = f"; did you mean `{near[0]}`?" if near else f"; there is {_listed(wanted.names)}"
                self._add(f"{self._called(path)} has no `{str(key)[:60]}`{hint}")
        found: dict[str, Any] = {}
        for each in wanted.fields:
            if each.name in value:
                inner = f"{path}.{each.name}" if path else each.name
                found[each.name] = self.fit(value[each.name], each.type, inner, depth + 1)
            elif each.is_required:
                self._add(f"{self._called(path)} lacks `{each.name}`, which is {describe_type(each.type)}")
            else:
                found[each.name] = _copied(each.default)
        return found

    def _free(self, value: object, path: str, depth: int) -> Any:
        """Anything that JSON can say."""
        if depth > _DEEPEST:
            self._add(f"{self._called(path)} is nested more than {_DEEPEST} levels deep")
            return None
        if isinstance(value, Mapping):
            return {
                str(key): self._free(item, f"{path}.{key}" if path else str(key), depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
            return [self._free(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return "".join(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float) and math.isfinite(value):
            return float(value)
        return self._refuse(value, "something that JSON can say", path)

    def _refuse(self, value: object, wanted: str, path: str) -> None:
        self._add(f"{self._called(path)} must be {wanted}, and is {_kind_of(value)}")

    def _called(self, path: str) -> str:
        return f"`{path}`" if path else self._name

    def _add(self, problem: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)


def _kind_of(value: object) -> str:
    """What a value is, without what it says: inputs and answers stay out of messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return f"the number {value}" if math.isfinite(value) else "no finite number"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return "a list"
    return f"a {type(value).__name__}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) if names else "no key at all"


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
