"""What is wrong with a text that is no JSON, in the words of Go's decoder, which callers may know from the server.

Only texts that were refused come here. The scan is a table of states, not a recursion, so no text is too deep for it.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["find_fault"]

_LONGEST: Final = 64 * 1024  # what is walked through in less time than others may be kept waiting
_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_STRING: Final = re.compile(rb'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BROKEN_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)?(?:\.[0-9]*)?(?:[eE][+-]?)?")
_WORDS: Final = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}

_VALUE: Final = "looking for beginning of value"
_KEY: Final = "looking for beginning of object key string"


class _FaultError(Exception):
    pass


def find_fault(text: bytes) -> str:
    """The first fault of a text that holds none of JSON's values. Of a long one, that it has one: looking takes time."""
    if len(text) > _LONGEST:
        return "invalid JSON"
    try:
        _scan(text)
    except _FaultError as fault:
        return str(fault)
    return "invalid JSON"


def _scan(text: bytes) -> None:
    at = _skip(text, 0)
    if at == len(text):
        raise _FaultError("EOF")
    closers: list[int] = []
    wanted = _VALUE
    while True:
        at = _skip(text, at)
        byte = _byte(text, at)
        if wanted == _KEY:
            at = _key(text, at, byte)
        elif byte in b"{[":
            closers.append(ord("}") if byte == ord("{") else ord("]"))
            at = _skip(text, at + 1)
            if _byte(text, at) != closers[-1]:
                wanted = _KEY if closers[-1] == ord("}") else _VALUE
                continue
            closers.pop()
            at += 1
        else:
            at = _scalar(text, at, byte)
        if wanted == _KEY:
            wanted = _VALUE
            continue
        at, wanted = _after_value(text, at, closers)
        if not closers:
            return


def _after_value(text: bytes, at: int, closers: list[int]) -> tuple[int, str]:
    """Past the closing brackets and the comma that follow a value; what comes next."""
    while closers:
        at = _skip(text, at)
        byte = _byte(text, at)
        at += 1
        if byte == closers[-1]:
            closers.pop()
        elif byte == ord(","):
            return at, _KEY if closers[-1] == ord("}") else _VALUE
        else:
            where = "after object key:value pair" if closers[-1] == ord("}") else "after array element"
            raise _unexpected(byte, where)
    return at, _VALUE


def _key(text: bytes, at: int, byte: int) -> int:
    if byte != ord('"'):
        raise _unexpected(byte, _KEY)
    at = _skip(text, _string(text, at))
    if (colon := _byte(text, at)) != ord(":"):
        raise _unexpected(colon, "after object key")
    return at + 1


def _scalar(text: bytes, at: int, byte: int) -> int:
    if byte == ord('"'):
        return _string(text, at)
    if byte in _WORDS:
        return _word(text, at, _WORDS[byte])
    if byte in b"-0123456789":
        return _number(text, at)
    raise _unexpected(byte, _VALUE)


def _string(text: bytes, at: int) -> int:
    match = _STRING.match(text, at)
    assert match is not None
    at = match.end()
    byte = _byte(text, at)
    if byte == ord('"'):
        return at + 1
    if byte != ord("\\"):
        raise _unexpected(byte, "in string literal")
    escape = _byte(text, at + 1)
    if escape != ord("u"):
        raise _unexpected(escape, "in string escape code")
    at += 2
    while _byte(text, at) in b"0123456789abcdefABCDEF":
        at += 1
    raise _unexpected(text[at], "in \\u hexadecimal character escape")


def _word(text: bytes, at: int, word: bytes) -> int:
    for place, expected in enumerate(word):
        if (byte := _byte(text, at + place)) != expected:
            raise _unexpected(byte, f"in literal {word.decode()} (expecting {chr(expected)!r})")
    return at + len(word)


def _number(text: bytes, at: int) -> int:
    sound = _NUMBER.match(text, at)
    begun = _BROKEN_NUMBER.match(text, at)
    assert begun is not None
    if sound is not None and sound.end() >= begun.end():
        return sound.end()
    last = begun.group()[-1:]
    where = {b"-": "in numeric literal", b".": "after decimal point in numeric literal"}
    if b"e" in begun.group().lower():
        raise _unexpected(_byte(text, begun.end()), "in exponent of numeric literal")
    raise _unexpected(_byte(text, begun.end()), where.get(last, "in numeric literal"))


def _skip(text: bytes, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _byte(text: bytes, at: int) -> int:
    if at >= len(text):
        raise _FaultError("unexpected EOF")
    return text[at]


_SHOWN: Final = {
    ord("'"): "'\\''",
    ord('"'): "'\"'",
    ord("\\"): "'\\\\'",
    7: "'\\a'",
    8: "'\\b'",
    9: "'\\t'",
    10: "'\\n'",
    11: "'\\v'",
    12: "'\\f'",
    13: "'\\r'",
}


def _unexpected(byte: int, where: str) -> _FaultError:
    shown = _SHOWN.get(byte)
    if shown is None and chr(byte).isprintable():
        shown = f"'{chr(byte)}'"
    elif shown is None:
        shown = f"'\\x{byte:02x}'" if byte < 0x80 else f"'\\u{byte:04x}'"
    return _FaultError(f"invalid character {shown} {where}")
