"""What may differ between a recording and the sandbox, and everything else that does."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.recordings import Recording
    from tests.contract.wire_client import Answer

__all__ = ["differences"]

# Values that differ from run to run; their type is compared, and their being there at all.
_BY_TYPE = frozenset(
    [
        "created_at",
        "modified_at",
        "expires_at",
        "total_duration",
        "load_duration",
        "prompt_eval_duration",
        "eval_duration",
        "id",
        "item_id",
        "created",
        "completed_at",
        "request_id",
        "digest",
    ]
)
# Vectors depend on weights that the sandbox does not have.
_VECTORS = frozenset({"embedding", "embeddings"})
_BLOB_PATH = re.compile(r"/[\w/.-]*/blobs/sha256-")
_NUMBERED_WORD = re.compile(r" w\d+")
_PROGRESS = re.compile(r'"status":"(pulling [0-9a-f]{12})"')


def differences(recording: Recording, answer: Answer, *, by_shape: bool = False) -> list[str]:
    """In words, every way in which the answer is not the recorded one. `by_shape` also lets the words differ."""
    return list(_Comparison(recording, answer, by_shape).found())


class _Comparison:
    def __init__(self, recording: Recording, answer: Answer, by_shape: bool) -> None:
        self._recorded = recording.response
        self._method = recording.request["method"]
        self._answer = answer
        self._by_shape = by_shape
        self._is_cut = recording.response.get("complete") is False
        self._collapses = recording.group == "pull" or "lines_omitted" in recording.response

    def found(self) -> Iterator[str]:
        if self._answer.status != self._recorded["status"]:
            yield f"status {self._answer.status}, recorded {self._recorded['status']}: {self._answer.body[:200]!r}"
            return
        if self._answer.reason != self._recorded["reason"]:
            yield f"reason {self._answer.reason}, recorded {self._recorded['reason']}"
        yield from self._headers()
        if self._method == "HEAD":
            return
        if "lines" in self._recorded:
            yield from self._lines()
        else:
            yield from self._body()

    def _headers(self) -> Iterator[str]:
        recorded = _header_set([(name, value) for name, value in self._recorded["headers"]])
        fresh = _header_set([pair for pair in self._answer.headers if pair[0].lower() != "date"])
        if self._method == "HEAD" or "complete" in self._recorded:
            # A server may leave out how it would have framed the body.
            framing = {("transfer-encoding", "chunked")}
            recorded, fresh = recorded - framing, fresh - framing
        if recorded != fresh:
            yield f"headers {sorted(fresh - recorded)} instead of {sorted(recorded - fresh)}"
        if self._answer.header("date") is None:
            yield "no Date header"

    def _body(self) -> Iterator[str]:
        recorded, fresh = self._recorded["body"], self._answer.body.decode()
        if (self._answer.header("content-type") or "").startswith("application/json"):
            if recorded.endswith("\n") != fresh.endswith("\n"):
                yield "the body's final newline"
            yield from self._values(json.loads(recorded), json.loads(fresh), "")
        elif recorded != fresh:
            yield f"body {fresh!r}, recorded {recorded!r}"

    # --- streams

    def _lines(self) -> Iterator[str]:
        if not self._answer.is_chunked or not all(chunk.endswith(b"\n") for chunk in self._answer.chunks):
            yield "a chunk that is no whole line"
        cut = self._recorded.get("complete") is False
        if cut and self._answer.complete:
            yield "the body ends, recorded as cut off"
        if not cut and not self._answer.complete:
            yield "the body is cut off"
        recorded, fresh = self._recorded["lines"], self._answer.lines
        omitted = self._recorded.get("lines_omitted")
        if omitted:
            head, tail = omitted["after_line"], len(recorded) - omitted["after_line"]
            fresh = fresh[:head] + fresh[-tail:]
        elif self._collapses or self._by_shape:
            recorded, fresh = self._collapsed(recorded), self._collapsed(fresh)
            if cut:
                fresh = fresh[: len(recorded)]
        elif len(self._recorded.get("chunk_sizes") or self._answer.chunks) != len(self._answer.chunks):
            yield f"{len(self._answer.chunks)} chunks, recorded {len(self._recorded['chunk_sizes'])}"
        if len(recorded) != len(fresh):
            yield f"{len(fresh)} lines, recorded {len(recorded)}: {fresh[-3:]}"
            return
        for number, (before, now) in enumerate(zip(recorded, fresh, strict=True), start=1):
            yield from self._line(before, now, f"line {number}")

    def _collapsed(self, lines: list[str]) -> list[str]:
        """Runs of lines of one form reduced to the last of them: how many there are is a matter of timing."""
        kept: list[str] = []
        forms: list[object] = []
        for line in lines:
            form = self._form(line)
            if line and form in forms[-3:]:
                kept[len(forms) - 1 - forms[::-1].index(form)] = line
            else:
                kept.append(line)
                forms.append(form)
        return kept

    def _form(self, line: str) -> object:
        progress = _PROGRESS.search(line)
        if progress:
            return progress[1]
        marker, value = _payload(line)
        return marker, _shape(value) if value is not None else line

    def _line(self, recorded: str, fresh: str, where: str) -> Iterator[str]:
        before_marker, before = _payload(recorded)
        now_marker, now = _payload(fresh)
        if before is None or now is None:
            if recorded != fresh:
                yield f"{where}: {fresh!r}, recorded {recorded!r}"
            return
        if before_marker != now_marker:
            yield f"{where}: {now_marker!r}, recorded {before_marker!r}"
        yield from self._values(before, now, where)

    # --- values

    def _values(self, recorded: Any, fresh: Any, where: str, key: str = "") -> Iterator[str]:
        if key in _VECTORS:
            if _vector_shape(recorded) != _vector_shape(fresh):
                yield f"{where}: {_vector_shape(fresh)}, recorded {_vector_shape(recorded)}"
            return
        if _kind(recorded) != _kind(fresh):
            yield f"{where}: {_kind(fresh)}, recorded {_kind(recorded)}"
        elif isinstance(recorded, dict):
            if list(recorded) != list(fresh):
                yield f"{where}: keys {list(fresh)}, recorded {list(recorded)}"
                return
            for name in recorded:
                yield from self._values(recorded[name], fresh[name], f"{where}.{name}", name)
        elif isinstance(recorded, list):
            yield from self._items(recorded, fresh, where)
        elif (
            key in _BY_TYPE
            or (self._is_cut and key == "completed")
            or (self._by_shape and isinstance(recorded, str | int))
        ):
            return
        elif self._plain(recorded) != self._plain(fresh):
            yield f"{where}: {fresh!r}, recorded {recorded!r}"

    def _items(self, recorded: list[Any], fresh: list[Any], where: str) -> Iterator[str]:
        if len(recorded) != len(fresh):
            yield f"{where}: {len(fresh)} items, recorded {len(recorded)}"
            return
        if recorded and all(
            isinstance(each, dict) and "id" in each | {"id": each.get("name")} for each in recorded
        ):
            # Models that were made in the same second are listed in any order.
            recorded, fresh = sorted(recorded, key=_listed_name), sorted(fresh, key=_listed_name)
        for number, (before, now) in enumerate(zip(recorded, fresh, strict=True)):
            yield from self._values(before, now, f"{where}[{number}]")

    def _plain(self, value: object) -> object:
        if not isinstance(value, str):
            return value
        if self._collapses:
            value = _NUMBERED_WORD.sub(" w0", value)
            value = re.sub(r"got sha256:[0-9a-f]+", "got sha256:", value)
        return _BLOB_PATH.sub("/blobs/sha256-", value)


def _listed_name(item: dict[str, Any]) -> str:
    return str(item.get("name") or item.get("id"))


def _header_set(headers: list[tuple[str, str]]) -> set[tuple[str, str]]:
    kept = set()
    for name, value in headers:
        lowered = name.lower()
        # The length is that of the body, which is compared by itself; it matters whether there is one.
        kept.add((lowered, "…" if lowered == "content-length" and value != "0" else value))
    return kept


def _payload(line: str) -> tuple[str, Any]:
    """What stands before the JSON of a line, and the JSON."""
    marker, separator, rest = ("data: ", "", line[6:]) if line.startswith("data: {") else ("", "", line)
    if not rest.startswith("{"):
        return "", None
    return marker + separator, json.loads(rest)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _shape(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_shape(value[key])}" for key in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_shape(each) for each in value) + "]"
    return _kind(value)


def _vector_shape(value: Any) -> object:
    if isinstance(value, list):
        return [_vector_shape(each) for each in value]
    return len(value) if isinstance(value, str) else "number"
