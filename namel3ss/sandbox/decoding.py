"""Reading request bodies: JSON into dataclasses, refusing what the server refuses in the words it uses.

A request is a dataclass whose fields are made with `wire()`; the kind of each field knows the name of its Go type,
because the server's errors mention it. Keys match without regard to case, unknown ones are ignored, null leaves the
default. The first mismatch, in the order of the text, is the one reported.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import sys
from dataclasses import Field, dataclass, fields
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from namel3ss.sandbox.gojson import Literal
from namel3ss.sandbox.goscan import JsonError, find_fault

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ANYTHING",
    "AS_WRITTEN",
    "BOOLEAN",
    "BYTES",
    "FLOAT",
    "FLOAT32",
    "INTEGER",
    "INTEGER32",
    "OBJECT",
    "TEXT",
    "BadBase64Error",
    "BadBodyError",
    "Checked",
    "JsonError",
    "Kind",
    "ListOf",
    "Reader",
    "Record",
    "TakesNull",
    "decode",
    "decode_base64",
    "fit",
    "name_of",
    "parse",
    "read_whole",
    "wire",
]

T = TypeVar("T")


class BadBodyError(ValueError):
    """The JSON is sound but does not fit the request; the message is the server's."""


def _integer(text: str) -> int | Literal:
    return int(text) if len(text) < 19 else Literal(text)


def _refuse(constant: str) -> object:
    raise ValueError(constant)


_PARSER = json.JSONDecoder(parse_int=_integer, parse_float=Literal, parse_constant=_refuse)
_SURROGATES = re.compile("[\ud800-\udfff]")


def parse(body: bytes) -> object:
    """The first JSON value in `body`; what follows it is not looked at. Raises JsonError."""
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    try:
        value, _ = _PARSER.raw_decode(text)
    except (ValueError, RecursionError):
        # Sound text that Python cannot hold is nested too deeply for it, though not yet for Go.
        raise find_fault(body) or JsonError("invalid character '[' exceeded max depth") from None
    return _whole_text(value) if b"\\u" in body else value


def _whole_text(value: object) -> object:
    """Escaped halves of surrogate pairs become the replacement character."""
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole_text(item) for item in value]
    if isinstance(value, dict):
        return {_whole_text(key): _whole_text(item) for key, item in value.items()}
    return value


class Reader:
    """Where reading has got to, and the first thing that did not fit."""

    def __init__(self) -> None:
        self.struct: str | None = None
        self.path: list[str] = []
        self.fault: str | None = None

    def mismatch(self, value: object, go_type: str) -> None:
        of_a_number = go_type in ("int", "int32", "uint8", "float32", "float64") and _is_number(value)
        what = f"number {_written(value)}" if of_a_number else name_of(value)
        if self.struct is not None:
            target = f"Go struct field {self.struct}.{'.'.join(self.path)} of type {go_type}"
        else:
            target = f"Go value of type {go_type}"
        self.refuse(f"json: cannot unmarshal {what} into {target}")

    def refuse(self, message: str) -> None:
        self.fault = self.fault or message

    def check_numbers(self, value: object) -> None:
        """Nowhere in a value of any form may there be a number beyond the largest."""
        waiting = [value]
        while waiting:
            each = waiting.pop()
            if isinstance(each, dict):
                waiting += each.values()
            elif isinstance(each, list):
                waiting += each
            elif isinstance(each, Literal) and math.isinf(each):
                self.mismatch(each, "float64")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _written(value: object) -> str:
    return value.text if isinstance(value, Literal) else str(value)


def name_of(value: object) -> str:
    """What Go calls the kind of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


class Kind(Protocol):
    """How one field's value is read."""

    @property
    def go_type(self) -> str: ...

    def read(self, value: object, reader: Reader) -> object: ...

    def zero(self) -> object: ...


class TakesNull:
    """A kind for which null is more than a value that is missing."""


@dataclass(frozen=True)
class _Scalar:
    """A value that is taken as it stands when it has one of the Python types."""

    go_type: str
    types: tuple[type, ...]
    empty: object

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, self.types) and (bool in self.types or not isinstance(value, bool)):
            return value
        reader.mismatch(value, self.go_type)
        return self.empty

    def zero(self) -> object:
        return self.empty


@dataclass(frozen=True)
class _Float(_Scalar):
    largest: float

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, Literal) and abs(value) > self.largest:
            reader.mismatch(value, self.go_type)
            return self.empty
        return super().read(value, reader)


class _Object(_Scalar):
    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, dict):
            reader.check_numbers(value)
        return super().read(value, reader)


class _Integer(_Scalar):
    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        reader.mismatch(value, self.go_type if _is_number(value) else "int")
        return 0


class _Integer32(_Scalar):
    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31:
            return value
        reader.mismatch(value, self.go_type)
        return 0


class _Anything:
    """`any`: whatever stands there, null included."""

    go_type = "interface {}"

    def read(self, value: object, reader: Reader) -> object:
        reader.check_numbers(value)
        return value

    def zero(self) -> object:
        return None


class _AsWritten(_Anything):
    """`json.RawMessage`: read later, if at all."""

    def read(self, value: object, reader: Reader) -> object:
        return value


class _Bytes:
    """Base64 text, or the bytes as a list of numbers."""

    go_type = "api.ImageData"

    def read(self, value: object, reader: Reader) -> object:
        if isinstance(value, list):
            return bytes(0 if each is None else self._byte(each, reader) for each in value)
        if not isinstance(value, str):
            reader.mismatch(value, self.go_type)
            return b""
        try:
            return decode_base64(value)
        except BadBase64Error as error:
            reader.refuse(str(error))
            return b""

    @staticmethod
    def _byte(value: object, reader: Reader) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
            return value
        reader.mismatch(value, "uint8")
        return 0

    def zero(self) -> object:
        return b""


class BadBase64Error(ValueError):
    """The text is no base64; the message is the server's."""


_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")


def decode_base64(text: str) -> bytes:
    """Base64 with its padding; line ends inside are allowed."""
    text = text.replace("\r", "").replace("\n", "")
    body = text.rstrip("=")
    padding = len(text) - len(body)
    stray = _NOT_BASE64.search(body)
    if stray:
        raise BadBase64Error(f"illegal base64 data at input byte {stray.start()}")
    if len(text) % 4 or padding > 2:
        # Go names the first character that it could not use: of an unfinished group, or of too much padding.
        group = len(body) % 4
        where = len(body) - group if not padding else len(body) + (group == 3)
        raise BadBase64Error(f"illegal base64 data at input byte {where}")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise BadBase64Error(f"illegal base64 data at input byte {len(body)}") from None


TEXT = _Scalar("string", (str,), "")
BOOLEAN = _Scalar("bool", (bool,), False)
INTEGER = _Integer("int", (int,), 0)
INTEGER32 = _Integer32("int32", (int,), 0)
FLOAT = _Float("float64", (int, float), 0.0, sys.float_info.max)
FLOAT32 = _Float("float32", (int, float), 0.0, (2 - 2**-23) * 2.0**127)
OBJECT = _Object("map[string]interface {}", (dict,), None)
ANYTHING = _Anything()
AS_WRITTEN = _AsWritten()
BYTES = _Bytes()


@dataclass(frozen=True)
class ListOf:
    """A JSON array whose items all have one kind."""

    item: Kind
    go_type: str

    def read(self, value: object, reader: Reader) -> object:
        if not isinstance(value, list):
            reader.mismatch(value, self.go_type)
            return []
        return [self.item.zero() if item is None else self.item.read(item, reader) for item in value]

    def zero(self) -> object:
        return []


@dataclass(frozen=True)
class Record(Generic[T]):
    """A JSON object read into a dataclass.

    A `transparent` one has a decoder of its own on the server: errors inside it are told of the struct around it.
    """

    made: Callable[[], T]
    go_name: str
    go_type: str
    transparent: bool = False

    def read(self, value: object, reader: Reader) -> T:
        result = self.made()
        if not isinstance(value, dict):
            reader.mismatch(value, self.go_type)
            return result
        outer = reader.struct
        if not self.transparent or outer is None:
            reader.struct = self.go_name
        known = _fields_of(result)
        for key, item in value.items():
            found = known.get(key) or known.get(key.lower())
            if found is None or (item is None and not isinstance(found.metadata["kind"], TakesNull)):
                continue
            reader.path.append(found.metadata["name"] or found.name)
            setattr(result, found.name, found.metadata["kind"].read(item, reader))
            reader.path.pop()
        reader.struct = outer
        return result

    def zero(self) -> object:
        return self.made()


@dataclass(frozen=True)
class Checked:
    """A value that must fit a kind, and is kept as it is written."""

    kind: Kind

    @property
    def go_type(self) -> str:
        return self.kind.go_type

    def read(self, value: object, reader: Reader) -> object:
        self.kind.read(value, reader)
        return value

    def zero(self) -> object:
        return {}


_known_fields: dict[type, dict[str, Field[object]]] = {}


def _fields_of(instance: object) -> dict[str, Field[object]]:
    """The fields of a request by their JSON names; kept, because every request of a kind needs the same."""
    kind = type(instance)
    if kind not in _known_fields:
        _known_fields[kind] = {
            (each.metadata["name"] or each.name): each
            for each in fields(instance)  # type: ignore[arg-type]  # every Record makes a dataclass
        }
    return _known_fields[kind]


def wire(kind: Kind, *, name: str | None = None) -> dict[str, object]:
    """The metadata of a request's field: its kind, and its JSON name where Python needs another."""
    return {"kind": kind, "name": name}


def decode(record: Record[T], body: bytes) -> T:
    """`body` as a request. Raises JsonError for broken JSON and BadBodyError for JSON of the wrong form."""
    return fit(record, parse(body))


def fit(record: Record[T], value: object) -> T:
    """A parsed value as a request. Raises BadBodyError."""
    return record.made() if value is None else read_whole(record.read, value)


def read_whole(read: Callable[[object, Reader], T], value: object) -> T:
    """What the `read` of a kind makes of a whole value. Raises BadBodyError with the first thing that did not fit."""
    reader = Reader()
    result = read(value, reader)
    if reader.fault is not None:
        raise BadBodyError(reader.fault)
    return result
