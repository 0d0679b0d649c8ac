"""Bytes become text, or one diagnostic that says why not."""

from __future__ import annotations

from namel3ss.language.codes import CODES
from namel3ss.language.diagnostics import Diagnostic
from namel3ss.language.parser import MAX_BYTES
from namel3ss.language.source import Source, Span

__all__ = ["decode_source"]

# Adobe Illustrator's files have the same ending; they are PDF or PostScript.
_DRAWINGS = {
    b"%PDF": "a PDF or Adobe Illustrator drawing",
    b"%!PS": "a PostScript or Adobe Illustrator drawing",
}


def decode_source(data: bytes, path: str) -> tuple[Source | None, tuple[Diagnostic, ...]]:
    """The file's text; or None and a diagnostic, where it is not UTF-8 text of at most 8 MB.

    CRLF and a byte order mark stay in the text. UTF-16, which some editors write, is named as such.
    """
    if len(data) > MAX_BYTES:
        text = f"the file is larger than {MAX_BYTES:,} bytes (8 MB), the most that is read"
        return None, (_refusal("N3903", path, text, "split it into several files"),)
    kind = _binary_kind(data)
    if kind is not None:
        return None, (_refusal("N3902", path, f"this file is {kind}, not a program", None),)
    try:
        return Source(data.decode("utf-8"), path), ()
    except UnicodeDecodeError as error:
        return None, (_not_utf8(data, path, error.start),)


def _binary_kind(data: bytes) -> str | None:
    head = data.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:4]
    if head in _DRAWINGS:
        return _DRAWINGS[head]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16 text (save it as UTF-8)"
    if b"\0" in data:
        return "binary"
    return None


def _refusal(code: str, path: str, message: str, suggestion: str | None) -> Diagnostic:
    return Diagnostic(code, CODES[code].severity, message, Source("", path), Span(0, 0), help=suggestion)


def _not_utf8(data: bytes, path: str, offset: int) -> Diagnostic:
    # The bad bytes are shown as U+FFFD, so that the lines around them can be.
    before = data[:offset].decode("utf-8")
    line_end = data.find(b"\n", offset)
    rest = data[offset : line_end if line_end >= 0 else len(data)].decode("utf-8", errors="replace")
    return Diagnostic(
        "N3901",
        CODES["N3901"].severity,
        f"the byte 0x{data[offset]:02X} at offset {offset:,} is not UTF-8",
        Source(before + rest, path),
        Span(len(before), len(before) + 1),
        help="save the file as UTF-8",
    )
