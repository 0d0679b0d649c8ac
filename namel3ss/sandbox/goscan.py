"""Finding what is wrong with a JSON text, in the words of Go's decoder.

Only texts that Python's own parser refuses come here, so this favours plainness over speed. It reads bytes: Go
names the offending byte, not the character.
"""

from __future__ import annotations

__all__ = ["MAX_DEPTH", "JsonError", "find_fault"]

MAX_DEPTH = 10_000
"""Deeper nesting is refused."""

_SPACE = b" \t\r\n"
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdefABCDEF"
_ESCAPES = b'"\\/bfnrtu'
_WORDS = {b"t"[0]: b"true", b"f"[0]: b"false", b"n"[0]: b"null"}


class JsonError(ValueError):
    """Why the text is no JSON. An empty text has the message `EOF`, one cut short `unexpected EOF`."""


def find_fault(text: bytes) -> JsonError | None:
    """What Go says about the first value in `text`; None when it is sound (whatever follows it)."""
    try:
        _Scanner(text).value()
    except JsonError as fault:
        return fault
    return None


def find_fault_of_all(text: bytes) -> JsonError | None:
    """The same where nothing but blanks may follow the value, as Go says it of a text that it has whole."""
    scanner = _Scanner(text)
    try:
        scanner.value()
    except JsonError as fault:
        return JsonError("unexpected end of JSON input") if str(fault) in _CUT_SHORT else fault
    behind = scanner.next_byte()
    return None if behind is None else _unexpected(behind, "after top-level value")


_CUT_SHORT = ("EOF", "unexpected EOF")


class _Scanner:
    def __init__(self, text: bytes) -> None:
        self.text = text
        self.position = 0

    def value(self) -> None:
        """Reads one value without recursion; `open` holds the closing bracket each container waits for."""
        open_containers: list[bytes] = []
        if self.next_byte() is None:
            raise JsonError("EOF")
        self._start(open_containers)
        while open_containers:
            if open_containers[-1] == b"}":
                self._after_member(open_containers)
            else:
                self._after_element(open_containers)

    def next_byte(self) -> int | None:
        """The next byte that is no blank, without taking it."""
        while self.position < len(self.text) and self.text[self.position] in _SPACE:
            self.position += 1
        return self.text[self.position] if self.position < len(self.text) else None

    def _take(self) -> int:
        byte = self.next_byte()
        if byte is None:
            raise JsonError("unexpected EOF")
        self.position += 1
        return byte

    def _start(self, containers: list[bytes]) -> None:
        """Begins a value: a scalar is read wholly, a container is opened with its first item begun."""
        byte = self._take()
        while byte in b"{[":
            if len(containers) >= MAX_DEPTH:
                raise _unexpected(byte, "exceeded max depth")
            closing = b"}" if byte == b"{"[0] else b"]"
            if self.next_byte() == closing[0]:
                self.position += 1
                return
            containers.append(closing)
            if closing == b"}":
                self._key()
            byte = self._take()
        if byte == b'"'[0]:
            self._string()
        elif byte in _WORDS:
            self._word(_WORDS[byte])
        elif byte in b"-0123456789":
            self._number(byte)
        else:
            raise _unexpected(byte, "looking for beginning of value")

    def _key(self) -> None:
        byte = self._take()
        if byte != b'"'[0]:
            raise _unexpected(byte, "looking for beginning of object key string")
        self._string()
        colon = self._take()
        if colon != b":"[0]:
            raise _unexpected(colon, "after object key")

    def _after_member(self, containers: list[bytes]) -> None:
        byte = self._take()
        if byte == b"}"[0]:
            containers.pop()
        elif byte == b","[0]:
            self._key()
            self._start(containers)
        else:
            raise _unexpected(byte, "after object key:value pair")

    def _after_element(self, containers: list[bytes]) -> None:
        byte = self._take()
        if byte == b"]"[0]:
            containers.pop()
        elif byte == b","[0]:
            self._start(containers)
        else:
            raise _unexpected(byte, "after array element")

    def _next(self) -> int:
        """The very next byte, blanks included."""
        if self.position >= len(self.text):
            raise JsonError("unexpected EOF")
        byte = self.text[self.position]
        self.position += 1
        return byte

    def _string(self) -> None:
        while (byte := self._next()) != b'"'[0]:
            if byte < 0x20:
                raise _unexpected(byte, "in string literal")
            if byte == b"\\"[0]:
                escape = self._next()
                if escape not in _ESCAPES:
                    raise _unexpected(escape, "in string escape code")
                for _ in range(4 if escape == b"u"[0] else 0):
                    figure = self._next()
                    if figure not in _HEX:
                        raise _unexpected(figure, "in \\u hexadecimal character escape")

    def _word(self, word: bytes) -> None:
        for expected in word[1:]:
            byte = self._next()
            if byte != expected:
                raise _unexpected(byte, f"in literal {word.decode()} (expecting {chr(expected)!r})")

    def _number(self, first: int) -> None:
        if first == b"-"[0]:
            first = self._next()
            if first not in _DIGITS:
                raise _unexpected(first, "in numeric literal")
        if first != b"0"[0]:
            self._digits()
        if self._at(b"."):
            self._required_digit("after decimal point in numeric literal")
        if self._at(b"eE"):
            self._at(b"+-")
            self._required_digit("in exponent of numeric literal")

    def _digits(self) -> None:
        while self.position < len(self.text) and self.text[self.position] in _DIGITS:
            self.position += 1

    def _at(self, choices: bytes) -> bool:
        """Takes the next byte when it is one of `choices`."""
        if self.position < len(self.text) and self.text[self.position] in choices:
            self.position += 1
            return True
        return False

    def _required_digit(self, where: str) -> None:
        byte = self._next()
        if byte not in _DIGITS:
            raise _unexpected(byte, where)
        self._digits()


def _unexpected(byte: int, where: str) -> JsonError:
    if byte == b"'"[0]:
        shown = "'\\''"
    elif byte == b'"'[0]:
        shown = "'\"'"
    elif chr(byte) in _CONTROL:
        shown = f"'{_CONTROL[chr(byte)]}'"
    elif chr(byte).isprintable():
        shown = f"'{chr(byte)}'" if byte != b"\\"[0] else "'\\\\'"
    elif byte < 0x80:
        shown = f"'\\x{byte:02x}'"
    else:
        shown = f"'\\u{byte:04x}'"
    return JsonError(f"invalid character {shown} {where}")


_CONTROL = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
