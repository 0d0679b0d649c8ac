"""Texts of several lines, or with quotes in them, that are not written as this language writes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from namel3ss.language.block_text import begins_entry
from namel3ss.language.findings import replacement
from namel3ss.language.source import Span
from namel3ss.language.strings import quote

if TYPE_CHECKING:
    from namel3ss.language.diagnostics import Fix
    from namel3ss.language.recovery_site import Site

__all__ = ["escaped", "mend_lines"]

_MOST_LINES: Final = 200
_REST_OF_LINE: Final = re.compile(r"[ \t,}\]]*(?:[ \t]#[^\n]*)?\r?(?:\n|\Z)")


def mend_lines(site: Site, start: int) -> bool:
    """A string that ends on a later line; False where its quote is just missing. Three quotes count as one."""
    text, mark = site.text, site.text[start]
    is_triple = site.at == start and text[start - 2 : start] == mark * 2
    if is_triple:
        close = text.find(mark * 3, start + 1, site.limit)
        begin, end = start - 2, close + 3
    else:
        close = _close_on_later_line(site, start)
        begin, end = start, close + 1
    if close < 0 or "\n" not in text[start:close]:
        return False
    site.report(
        "N3004",
        Span(begin, site.line_end(start)),
        "this string is never closed on its line, and no string goes on behind its line",
        help="write block text: `key: |`, and the lines below it, indented",
        fixes=(_as_block_text(site, begin, start + 1, close, end),),
    )
    machine = site.machine
    if machine.accepts("STRING"):
        machine.feed_node("STRING", machine.string_of(start + 1, close, Span(start, end)))
    elif machine.expects("map"):
        machine.supply("map", None)
    site.go_on_at(end)
    return True


def _close_on_later_line(site: Site, start: int) -> int:
    """Where the string that begins at `start` is closed, if prose follows and then a quote that ends its line; or -1."""
    text, mark = site.text, site.text[start]
    at = text.find("\n", start, site.limit) + 1
    if at == 0 or begins_entry(text, at):
        return -1
    for _ in range(_MOST_LINES):
        end = text.find("\n", at, site.limit)
        end = site.limit if end < 0 else end
        found = text.find(mark, at, end)
        if found >= 0:
            return found if _REST_OF_LINE.match(text, found + 1) else -1
        if end == site.limit or text[at:end].lstrip().startswith(("}", "]")):
            return -1
        at = end + 1
    return -1


def _as_block_text(site: Site, begin: int, first: int, close: int, end: int) -> Fix:
    margin = " " * (site.indentation(begin) + 4)
    lines = [line.strip() for line in site.text[first:close].split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        del lines[0]
    block = "".join(f"\n{margin}{line}".rstrip(" ") for line in lines)
    return replacement("write block text", begin, end, f"|{block}", safe=False)


def escaped(site: Site, opening: Span, end: int) -> str | None:
    """The string that begins at `opening` and was meant to run to `end`, the quotes in it escaped; None for none."""
    mark = site.text[opening.start]
    text = site.text[opening.start : end]
    if mark not in "\"'" or len(text) < 2 or text[-1] != mark or "\\" in text:
        return None
    return quote(text[1:-1])
