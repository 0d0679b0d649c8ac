r"""Bytes into lines, without I/O.

Lines end at ``\n`` and nowhere else: U+0085 and U+2028 are legal inside a JSON string, and a text splitter
would cut a record at them.
"""

from __future__ import annotations

from namel3ss.providers.transport.reading import CutOffError, PieceTooLongError, is_json

__all__ = ["MAX_LINE_BYTES", "LineSplitter"]

# The longest line Ollama's own client reads. Tool calls, images and embedded context arrive on one line.
MAX_LINE_BYTES = 8 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class LineSplitter:
    r"""Collects bytes and gives out complete lines, those of one piece together.

    Lines come without their ``\n``, empty ones are left out, a byte order mark at the start is dropped; a
    ``\r`` before the end is JSON's white space and stays. Memory is bounded by `limit_bytes` a line.
    """

    __slots__ = ("_limit", "_parts", "_size", "_started")

    def __init__(self, limit_bytes: int = MAX_LINE_BYTES) -> None:
        self._limit = limit_bytes
        self._parts: list[bytes] = []  # of the unfinished line; joined once, so a slow line costs linear time
        self._size = 0
        self._started = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes. Raises PieceTooLongError."""
        if not self._started:
            data = self._without_mark(data)
        lines = data.split(b"\n")
        rest = lines.pop()
        may_be_too_long = self._size + len(data) > self._limit
        if lines:
            if self._parts:
                self._parts.append(lines[0])
                lines[0] = b"".join(self._parts)
                self._parts.clear()
                self._size = 0
            if may_be_too_long:
                self._check(max(lines, key=len))
            lines = [line for line in lines if line and line != b"\r"]
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > self._limit:
                self._check(b"".join(self._parts))
        return lines

    def rest(self) -> bytes:
        r"""What came after the last ``\n``: a line that was never finished, or b"" ."""
        return b"".join(self._parts).strip()

    def end(self) -> list[bytes]:
        """The last line, where it lacks only its end. Raises CutOffError for a line of JSON that was cut."""
        rest = self.rest()
        if rest.startswith(b"{") and not is_json(rest):
            raise CutOffError
        return [rest] if rest else []

    def _check(self, line: bytes) -> None:
        if len(line) > self._limit:
            raise PieceTooLongError("a line", self._limit, line)

    def _without_mark(self, data: bytes) -> bytes:
        data = b"".join((*self._parts, data))
        self._parts.clear()
        self._size = 0
        if len(data) < len(_BOM) and _BOM.startswith(data):
            return data  # perhaps a mark that arrives byte by byte
        self._started = True
        return data.removeprefix(_BOM)
