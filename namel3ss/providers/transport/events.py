r"""Bytes into server-sent events (``text/event-stream``), without I/O.

Lines end at ``\n``, ``\r\n`` or ``\r`` and nowhere else: U+0085 and U+2028 are legal inside the JSON that events carry.
"""

from __future__ import annotations

import msgspec

from namel3ss.providers.transport.lines import MAX_LINE_BYTES
from namel3ss.providers.transport.reading import CutOffError, PieceTooLongError, is_json

__all__ = ["EventSplitter", "ServerSentEvent"]

_BOM = b"\xef\xbb\xbf"
_END_MARK = b"[DONE]"  # the one datum of widespread servers that is no JSON


class ServerSentEvent(msgspec.Struct, gc=False):
    """One event: its `data`, several lines of it joined, and what it is called, ``message`` where it is not said."""

    data: bytes
    name: str = "message"


class EventSplitter:
    """Collects bytes and gives out complete events, those of one piece together.

    Comments, the fields ``id`` and ``retry`` and events without data are left out. Memory is bounded by `limit_bytes`
    an event.
    """

    __slots__ = ("_data", "_ended_with_cr", "_limit", "_name", "_parts", "_size", "_started")

    def __init__(self, limit_bytes: int = MAX_LINE_BYTES) -> None:
        self._limit = limit_bytes
        self._parts: list[bytes] = []  # of the unfinished line; joined once, so a slow line costs linear time
        self._data: list[bytes] = []
        self._name = "message"
        self._size = 0  # of both
        self._ended_with_cr = False
        self._started = False

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that `data` completes. Raises PieceTooLongError."""
        if not self._started:
            data = self._without_mark(data)
        if self._ended_with_cr and data:
            self._ended_with_cr = False
            data = data.removeprefix(b"\n")
        if b"\r" in data:
            self._ended_with_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if (
            data.startswith(b"data: ")
            and data.find(b"\n") == len(data) - 2
            and data.endswith(b"\n")
            and len(data) <= self._limit
            and self._is_between_events()
        ):
            return [
                ServerSentEvent(data[6:-2])
            ]  # one event of one line, as most servers send nearly all of theirs
        lines = data.split(b"\n")
        rest = lines.pop()
        events: list[ServerSentEvent] = []
        if lines:
            if self._parts:
                self._parts.append(lines[0])
                lines[0] = b"".join(self._parts)
                self._parts.clear()
                self._size = sum(map(len, self._data)) + len(self._data)
            self._read(lines, events)
        if rest:
            self._parts.append(rest)
            self._grow(len(rest), self._parts)
        return events

    def end(self) -> list[ServerSentEvent]:
        """The last event, where only the blank line after it is missing. Raises CutOffError for one that was cut."""
        rest = b"".join(self._parts)
        events: list[ServerSentEvent] = []
        if rest:
            self._read([rest], events)
        if self._data:
            self._read([b""], events)
            last = events[-1].data
            if last != _END_MARK and not is_json(last):
                raise CutOffError
        elif rest and not rest.startswith(b":") and not is_json(rest):
            raise CutOffError
        return events

    def _read(self, lines: list[bytes], events: list[ServerSentEvent]) -> None:
        """Take complete lines; an event that one of them ends goes to `events`."""
        data = self._data
        for line in lines:
            if line.startswith(b"data:"):
                value = line[6:] if line.startswith(b" ", 5) else line[5:]
                data.append(value)
                self._grow(len(value) + 1, data)
            elif not line:
                if data:
                    events.append(
                        ServerSentEvent(data[0] if len(data) == 1 else b"\n".join(data), self._name)
                    )
                    data.clear()
                self._name = "message"
                self._size = 0
            elif line.startswith(b"event:"):
                self._check(line)
                self._name = line[6:].removeprefix(b" ").decode("utf-8", "replace") or "message"
            elif line == b"data":
                data.append(b"")
                self._grow(1, data)

    def _is_between_events(self) -> bool:
        return not self._parts and not self._data and self._name == "message"

    def _grow(self, size: int, parts: list[bytes]) -> None:
        self._size += size
        if self._size > self._limit:
            raise PieceTooLongError("an event", self._limit, b"".join(parts))

    def _check(self, line: bytes) -> None:
        if len(line) > self._limit:
            raise PieceTooLongError("an event", self._limit, line)

    def _without_mark(self, data: bytes) -> bytes:
        data = b"".join((*self._parts, data))
        self._parts.clear()
        self._size = 0
        if len(data) < len(_BOM) and _BOM.startswith(data):
            return data  # perhaps a mark that arrives byte by byte
        self._started = True
        return data.removeprefix(_BOM)
