r"""Answers that come in pieces: what of them may be sent on, and what they say at their end.

A piece is not decoded. What is complete in it, up to its last line of NDJSON or its last event, goes on at once; the rest
waits for more. The last two pieces are kept, to be read when the stream has ended: every protocol says what was used in
its last event or in the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from namel3ss.gateway.dialects.answers import UsageReport, read_report
from namel3ss.gateway.dialects.cleaning import clean_error
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.routes import Dialect
from namel3ss.gateway.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.gateway.routes import Route

__all__ = ["MAX_TAIL_BYTES", "StreamReader"]

MAX_TAIL_BYTES: Final = 8 * 1024 * 1024
"""The longest line that Ollama's own client reads."""

_RESPONSES_PATH: Final = "/v1/responses"
_SSE_OVERLAP: Final = 3
_ERROR_MARK: Final = b'"error"'
_ERROR_LINE: Final = b'{"error"'


class StreamReader:
    """One answer on its way. Feed every piece, send what comes back, then `finish`.

    `usage`, `ended_well` and `error` hold once `finish` was called, or are what was known when the stream was left.
    """

    __slots__ = (
        "_before",
        "_content_mark",
        "_end",
        "_end_marks",
        "_is_lines",
        "_last",
        "_marks",
        "_overlap",
        "_parts",
        "_size",
        "error",
    )

    def __init__(self, route: Route) -> None:
        self._is_lines = route.dialect is Dialect.OLLAMA
        self._end = b"\n" if self._is_lines else b"\n\n"
        self._end_marks: tuple[bytes, ...] = ()
        if self._is_lines:
            self._content_mark = b"\n"
        elif route.dialect is Dialect.ANTHROPIC:
            self._content_mark, self._end_marks = b"event: content_block_delta", (b"event: message_stop\n",)
        elif route.path == _RESPONSES_PATH:
            self._content_mark = b".delta\n"
            self._end_marks = (b"event: response.completed\n", b"event: response.incomplete\n")
        else:
            self._content_mark, self._end_marks = b'"choices":[{', (b"data: [DONE]\n",)
        self._parts: list[bytes] = []
        """Of the line or event that is not complete."""
        self._size = 0
        self._overlap = b""
        """The end of those parts: an event's end may come in two pieces."""
        self._last = b""
        """The newest piece that was sent on."""
        self._before = b""
        """The one before."""
        self._marks = 0
        self.error: bytes | None = None
        """The line or event with which the server itself said that something went wrong."""

    @property
    def content_events(self) -> int:
        """Pieces of content so far: about as many as tokens. The end of the answer may be counted among them."""
        return self._marks

    @property
    def held_bytes(self) -> int:
        """What waits for the rest of its line or event."""
        return self._size

    def feed(self, piece: bytes) -> bytes:
        """What may be sent on now. Raises Refusal for a line or event of more than eight mebibytes."""
        if not self._parts and piece.endswith(self._end):
            return self._release(piece)
        cut = piece.rfind(b"\n") + 1 if self._is_lines else self._event_end(piece)
        if cut <= 0:
            self._hold(piece)
            return b""
        whole = b"".join((*self._parts, piece[:cut]))
        self._parts.clear()
        self._size = 0
        self._overlap = b""
        if cut < len(piece):
            self._hold(piece[cut:])
        return self._release(whole)

    def finish(self) -> bytes:
        """The server has ended its answer: what of the rest is whole. Anything else was cut, and is dropped."""
        rest = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        if rest.strip():
            data = rest if self._is_lines else _data(rest)
            is_whole = data == b"[DONE]" or read_report(data) is not None
            rest = self._release(rest) if is_whole else b""
        if self.error is None and _ERROR_MARK in self._last:
            self._look_for_error(self._last)
        return rest

    @property
    def usage(self) -> Usage | None:
        """What the server said it used; None where it did not say, or not yet."""
        reports = _newest_reports(self._last if self._is_lines else self._before + self._last)
        said = next((used for report in reports if (used := report.used()) is not None), None)
        # Some begin with an account of nothing, which counts only if nothing came after it.
        return said if said is not None and (said.completion_tokens or self.ended_well) else None

    def charged(self, prompt_tokens: int) -> Usage:
        """What to put on the account: the server's word, or an estimate from the prompt and what has come."""
        return self.usage or Usage(prompt_tokens, self._marks, estimated=True)

    @property
    def ended_well(self) -> bool:
        """Whether the answer came to the end that its protocol prescribes."""
        if self._is_lines:
            newest = next(_newest_reports(self._last), None)
            return newest is not None and newest.done
        # Text of the model cannot look like this: within JSON a line's end is escaped.
        lines = b"\n" + self._last.replace(b"\r\n", b"\n")
        return any(b"\n" + mark in lines for mark in self._end_marks)

    def _release(self, whole: bytes) -> bytes:
        self._before, self._last = self._last, whole
        count = whole.count(self._content_mark)
        self._marks += count
        is_one_line = count == 1 and self._is_lines
        if whole.startswith(_ERROR_LINE) if is_one_line else _ERROR_MARK in whole:
            return self._look_for_error(whole)
        return whole

    def _look_for_error(self, whole: bytes) -> bytes:
        """An error of the server's is told on without what belongs to its machine."""
        pieces = whole.splitlines(keepends=True) if self._is_lines else _events(whole)
        for place, piece in enumerate(pieces):
            if _ERROR_MARK not in piece:
                continue
            report = read_report(piece if self._is_lines else _data(piece))
            if report is not None and report.error is not None:
                pieces[place] = self.error = clean_error(piece)
        return b"".join(pieces)

    def _event_end(self, piece: bytes) -> int:
        """Where in `piece` the last complete event ends; 0 for none."""
        joined = self._overlap + piece
        end = max(joined.rfind(b"\n\n") + 2, joined.rfind(b"\n\r\n") + 3)
        return end - len(self._overlap) if end > _SSE_OVERLAP - 1 and joined[:end].endswith(b"\n") else 0

    def _hold(self, rest: bytes) -> None:
        self._parts.append(rest)
        self._size += len(rest)
        self._overlap = (self._overlap + rest)[-_SSE_OVERLAP:]
        if self._size > MAX_TAIL_BYTES:
            raise Refusal(
                Reason.bad_upstream,
                "The server sent a line of more than 8 MiB."
                if self._is_lines
                else "The server sent an event of more than 8 MiB.",
            )


def _newest_reports(piece: bytes) -> Iterator[UsageReport]:
    """The lines or events of a piece that have an object in them, from the end: a piece may hold hundreds."""
    for line in reversed(piece.split(b"\n")):
        report = read_report(line.removeprefix(b"data:")) if line.strip() else None
        if report is not None:
            yield report


def _data(event: bytes) -> bytes:
    return b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))


def _events(whole: bytes) -> list[bytes]:
    """The events of a piece that ends with one, each with what ends it."""
    text = whole.replace(b"\n\r\n", b"\n\r\n\0").replace(b"\n\n", b"\n\n\0")
    return [event for event in text.split(b"\0") if event]
