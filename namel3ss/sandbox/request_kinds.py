"""Kinds of values that only the native routes take, and how the server reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.decoding import ANYTHING, TEXT, ListOf, Reader
from namel3ss.sandbox.durations import FOREVER_NS, BadDurationError, parse_duration
from namel3ss.sandbox.gojson import quote

if TYPE_CHECKING:
    from namel3ss.sandbox.decoding import Kind

__all__ = ["Arguments", "Files", "KeepAlive", "Lowered", "Parameters", "Thinking"]

_THINK_LEVELS = ("high", "medium", "low", "max")
_THINK_CHOICES = '"high", "medium", "low", "max", true, or false'


class KeepAlive:
    """A number of seconds, or a Go duration; negative means for ever. Kept in nanoseconds."""

    go_type = "api.Duration"

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, str):
            try:
                duration = parse_duration(value)
            except BadDurationError as error:
                reader.refuse(str(error))
                return None
            return FOREVER_NS if duration < 0 else duration
        if isinstance(value, int | float) and not isinstance(value, bool):
            reader.check_numbers(value)
            return FOREVER_NS if value < 0 else int(min(value * 1e9, FOREVER_NS))
        kind = {bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}[type(value)]
        reader.refuse(f"Unsupported type: '{kind}'")
        return None

    def zero(self) -> object:
        return None


class Thinking:
    """Whether to think, or how hard: see `requests.Think`."""

    go_type = "api.ThinkValue"

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, bool) or value in _THINK_LEVELS:
            return value
        if isinstance(value, str):
            reader.refuse(f"invalid think value: {quote(value)} (must be {_THINK_CHOICES})")
        else:
            reader.refuse(f"think must be a boolean or string ({_THINK_CHOICES})")
        return None

    def zero(self) -> object:
        return None


class Lowered:
    """A role: roles are compared in lower case."""

    go_type = "string"

    def read(self, value: object, reader: Reader) -> object:
        text = TEXT.read(value, reader)
        return text.lower() if isinstance(text, str) else ""

    def zero(self) -> object:
        return ""


class Arguments:
    """The arguments of a tool call: an object, its keys in order."""

    go_type = "api.ToolCallFunctionArguments"

    def read(self, value: object, reader: Reader) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        reader.refuse(_NO_OBJECT)
        return {}

    def zero(self) -> object:
        return {}


class OneOrMoreTypes:
    """A type's name, or several."""

    go_type = "[]string"

    def read(self, value: object, reader: Reader) -> object:
        if not isinstance(value, str):
            _TEXTS.read(value, reader)
        return value

    def zero(self) -> object:
        return []


_NO_OBJECT: Final = "Value looks like object, but can't find closing '}' symbol"
"""What the server says of a map that is none."""
_TEXTS: Final = ListOf(TEXT, "[]string")


class _Property:
    """What is said of one parameter."""

    go_type = "api.ToolProperty"

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, dict):
            _check(value, _PROPERTY_KINDS, reader)
        else:
            reader.mismatch(value, self.go_type)
        return value

    def zero(self) -> object:
        return {}


class _Properties:
    """What is said of each parameter, by its name."""

    go_type = "api.ToolPropertiesMap"

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, dict):
            for each in value.values():
                if each is not None:
                    _PROPERTY.read(each, reader)
        else:
            reader.refuse(_NO_OBJECT)
        return value

    def zero(self) -> object:
        return {}


_PROPERTY: Final = _Property()
_PARAMETER_KINDS: Final[dict[str, Kind]] = {"type": TEXT, "required": _TEXTS, "properties": _Properties()}
_PROPERTY_KINDS: Final[dict[str, Kind]] = {
    "anyOf": ListOf(_PROPERTY, "[]api.ToolProperty"),
    "type": OneOrMoreTypes(),
    "description": TEXT,
    "enum": ListOf(ANYTHING, "[]interface {}"),
    "properties": _Properties(),
    "required": _TEXTS,
}


def _check(value: dict[str, object], kinds: dict[str, Kind], reader: Reader) -> None:
    for name, item in value.items():
        if item is None or name not in kinds:
            continue
        reader.path.append(name)
        kinds[name].read(item, reader)
        reader.path.pop()


class Parameters:
    """A tool's parameters: kept as they are, with the types that the server insists on checked."""

    go_type = "api.ToolFunctionParameters"

    def read(self, value: object, reader: Reader) -> object:
        if not isinstance(value, dict):
            reader.mismatch(value, self.go_type)
            return {}
        outer, reader.struct = reader.struct, "ToolFunctionParameters"
        _check(value, _PARAMETER_KINDS, reader)
        reader.struct = outer
        return value

    def zero(self) -> object:
        return {}


class Files:
    """File names and the digests of their blobs."""

    go_type = "map[string]string"

    def read(self, value: object, reader: Reader) -> object:
        if not isinstance(value, dict):
            reader.mismatch(value, self.go_type)
            return None
        for each in value.values():
            if not isinstance(each, str):
                reader.mismatch(each, "string")
        return value

    def zero(self) -> object:
        return None
