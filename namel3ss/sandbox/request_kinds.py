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

    def read(self, value: object, reader: Reader) -> object:
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
_PARAMETER_KINDS: Final[dict[str, Kind]] = {"type": TEXT, "required": _TEXTS}
_PROPERTY_KINDS: Final[dict[str, Kind]] = {
    "type": OneOrMoreTypes(),
    "description": TEXT,
    "enum": ListOf(ANYTHING, "[]interface {}"),
    "required": _TEXTS,
}


class Parameters:
    """A tool's parameters: kept as they are, with the types that the server insists on checked."""

    go_type = "api.ToolFunctionParameters"

    def read(self, value: object, reader: Reader) -> object:
        if not isinstance(value, dict):
            reader.mismatch(value, self.go_type)
            return {}
        outer, reader.struct = reader.struct, "ToolFunctionParameters"
        self._check(value, reader)
        reader.struct = outer
        return value

    def _check(self, value: dict[str, object], reader: Reader) -> None:
        for name, kind in _PARAMETER_KINDS.items():
            self._inside(name, value.get(name), kind, reader)
        properties = value.get("properties")
        if properties is None:
            return
        if not isinstance(properties, dict):
            reader.refuse(_NO_OBJECT)
            return
        reader.path.append("properties")
        for each in properties.values():
            if not isinstance(each, dict):
                reader.mismatch(each, "api.ToolProperty")
                continue
            for name, kind in _PROPERTY_KINDS.items():
                self._inside(name, each.get(name), kind, reader)
        reader.path.pop()

    def _inside(self, name: str, value: object, kind: Kind, reader: Reader) -> None:
        if value is None:
            return
        reader.path.append(name)
        kind.read(value, reader)
        reader.path.pop()

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
