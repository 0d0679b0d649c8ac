"""JSON and quoted text as the server writes them: HTML-escaped, floats in Go's notation, keys in the order given."""

from __future__ import annotations

import math
import re
import struct

import msgspec

__all__ = ["Literal", "encode", "float32", "number", "quote"]

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def encode(value: object) -> bytes:
    """`value` as compact JSON; strings keep no character that HTML or JavaScript could misread."""
    try:
        text = _ENCODER.encode(value)
    except UnicodeEncodeError:
        text = _ENCODER.encode(_without_lone_surrogates(value))
    if b"<" in text or b">" in text or b"&" in text:
        text = text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    if b"\xe2\x80" in text:
        text = text.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return text


class Literal(float):
    """A number out of a request that is no small integer; it remembers how it was written."""

    text: str

    def __new__(cls, text: str) -> Literal:
        made = super().__new__(cls, text)
        made.text = text
        return made


def number(value: float) -> msgspec.Raw:
    """A float as Go prints it: no `.0`, and an exponent only for very small and very large ones."""
    return msgspec.Raw(_go_notation(value, repr(abs(value))).encode())


def float32(value: float) -> msgspec.Raw:
    """A float of single precision, with as few digits as tell it from its neighbours."""
    [single] = struct.unpack("<f", struct.pack("<f", value))
    for digits in range(6, 10):
        text = f"{abs(single):.{digits}g}"
        if struct.unpack("<f", struct.pack("<f", float(text)))[0] == abs(single):
            break
    return msgspec.Raw(_go_notation(single, text).encode())


def _go_notation(value: float, digits: str) -> str:
    """`digits` is |value| in Python's notation; what changes is where the exponent begins."""
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    mantissa, _, exponent = digits.partition("e")
    whole, _, fraction = mantissa.partition(".")
    figures = (whole + fraction).lstrip("0")
    if not figures.rstrip("0"):
        return sign + "0"
    leading = len(whole + fraction) - len(figures)
    point = len(whole) + int(exponent or 0) - leading
    figures = figures.rstrip("0")
    if point < -5 or point > 21:
        rest = f".{figures[1:]}" if len(figures) > 1 else ""
        power = point - 1
        # Go drops the zero of a negative one-digit exponent and keeps that of a positive one.
        written = f"e-{-power}" if power < 0 else f"e+{power:02d}"
        return f"{sign}{figures[0]}{rest}{written}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{figures}"
    if len(figures) <= point:
        return f"{sign}{figures}{'0' * (point - len(figures))}"
    return f"{sign}{figures[:point]}.{figures[point:]}"


def _number_of_a_request(value: object) -> msgspec.Raw:
    assert isinstance(value, Literal)  # nothing else is given that is not JSON's
    return number(value) if math.isfinite(value) else msgspec.Raw(value.text.encode())


_ENCODER = msgspec.json.Encoder(enc_hook=_number_of_a_request)


def _without_lone_surrogates(value: object) -> object:
    if isinstance(value, str):
        return _LONE_SURROGATES.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_without_lone_surrogates(k): _without_lone_surrogates(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_lone_surrogates(item) for item in value]
    return value


def quote(text: str) -> str:
    """`text` as Go's %q prints it."""
    pieces = []
    for character in text:
        if character in _ESCAPES:
            pieces.append(_ESCAPES[character])
        elif character.isprintable():
            pieces.append(character)
        elif ord(character) < 0x80:
            pieces.append(f"\\x{ord(character):02x}")
        elif ord(character) < 0x10000:
            pieces.append(f"\\u{ord(character):04x}")
        else:
            pieces.append(f"\\U{ord(character):08x}")
    return '"' + "".join(pieces) + '"'


_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}
