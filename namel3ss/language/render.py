"""Diagnostics as text for people: with the source lines, or one line each.

    error[N3002]: two words on one line: `llama3 8b` needs quotes
      --> app.ai:3:19
       |
     3 |     model: llama3 8b
       |                   ^^ a bare word ended before this
       = help: write `"llama3 8b"`

Nothing from a file reaches the terminal as a control character. Whether colour is wanted is the caller's decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from namel3ss.language.cells import TAB_WIDTH, character_width, printable, text_width, wrap
from namel3ss.language.diagnostics import Severity
from namel3ss.language.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from namel3ss.language.diagnostics import Diagnostic
    from namel3ss.language.source import Source, Span

__all__ = ["render_concise", "render_terminal"]

_NARROWEST = 20
_LOOK_AROUND = 1_000
_RESET = "\x1b[0m"
_BOLD = "\x1b[1m"
_BLUE = "\x1b[1;34m"
_COLORS = {Severity.ERROR: "\x1b[1;31m", Severity.WARNING: "\x1b[1;33m", Severity.INFO: "\x1b[1;36m"}


def render_concise(diagnostics: Iterable[Diagnostic]) -> str:
    """``file:line:column: error[N3002]: message``, a line each, with a newline behind every one."""
    return "".join(
        f"{printable(finding.location)}: {finding.severity.value}[{finding.code}]: {printable(finding.message)}\n"
        for finding in diagnostics
    )


def render_terminal(diagnostics: Iterable[Diagnostic], *, width: int, color: bool) -> str:
    """Every diagnostic with its source lines, a blank line between them, each line at most `width` cells wide.

    A single word, a path for example, is never broken, and may stand out. Without `color` there is no escape sequence.
    """
    page = _Page(max(width, _NARROWEST), color)
    return "\n".join(page.render(finding) for finding in diagnostics)


class _Mark(NamedTuple):
    span: Span
    text: str
    primary: bool


class _Page:
    """Renders diagnostics for one width."""

    def __init__(self, width: int, color: bool) -> None:
        self._width = width
        self._color = color

    def render(self, finding: Diagnostic) -> str:
        marks: dict[Source, list[_Mark]] = {finding.source: [_Mark(finding.span, finding.label, True)]}
        for label in finding.labels:
            marks.setdefault(label.source or finding.source, []).append(_Mark(label.span, label.text, False))
        gutter = max(
            len(str(source.position(mark.span.start).line)) for source in marks for mark in marks[source]
        )
        lines = self._header(finding)
        for source, of_source in marks.items():
            lines += self._place(source, of_source, gutter, finding.severity)
        bar = " " * (gutter + 1)
        if finding.help is not None:
            lines += self._remark("help", finding.help, bar)
        for note in finding.notes:
            lines += self._remark("note", note, bar)
        return "".join(line.rstrip() + "\n" for line in lines)

    def _header(self, finding: Diagnostic) -> list[str]:
        title = f"{finding.severity.value}[{finding.code}]"
        first, *rest = wrap(f"{title}: {finding.message}", self._width)
        painted = self._paint(_COLORS[finding.severity], title) + self._paint(
            _BOLD, first.removeprefix(title)
        )
        return [painted, *(self._paint(_BOLD, line) for line in rest)]

    def _remark(self, word: str, text: str, bar: str) -> list[str]:
        lead = f"{bar}{self._paint(_BLUE, '=')} {self._paint(_BOLD, word + ':')} "
        indent = len(bar) + len(f"= {word}: ")
        first, *rest = wrap(text, max(self._width - indent, _NARROWEST))
        return [lead + first, *(" " * indent + line for line in rest)]

    def _place(self, source: Source, marks: list[_Mark], gutter: int, severity: Severity) -> list[str]:
        arrow = "-->" if marks[0].primary else ":::"
        first = source.position(marks[0].span.start)
        place = (
            f"{' ' * gutter}{self._paint(_BLUE, arrow)} {printable(source.path)}:{first.line}:{first.column}"
        )
        if not source.text:
            return [place]  # the file could not be read: there is no line to show
        empty = f"{' ' * gutter} {self._paint(_BLUE, '|')}"
        lines = [place, empty]
        by_line: dict[int, list[_Mark]] = {}
        for mark in sorted(marks, key=lambda mark: mark.span):
            by_line.setdefault(source.position(mark.span.start).line, []).append(mark)
        previous = None
        for line, of_line in by_line.items():
            if previous is not None and line > previous + 1:
                lines.append(self._paint(_BLUE, "..."))
            lines += self._source_line(source, line, of_line, gutter, severity)
            previous = line
        return lines

    def _source_line(
        self, source: Source, line: int, marks: list[_Mark], gutter: int, severity: Severity
    ) -> list[str]:
        available = self._width - gutter - 3
        anchor = next((mark for mark in marks if mark.primary), marks[0])
        excerpt = _Excerpt(source, line, anchor.span, available)
        bar = self._paint(_BLUE, "|")
        lines = [f"{self._paint(_BLUE, str(line).rjust(gutter))} {bar} {excerpt.text}"]
        for mark in marks:
            start, end = excerpt.columns(mark.span)
            color = _COLORS[severity] if mark.primary else _BLUE
            underline = ("^" if mark.primary else "-") * max(end - start, 1)
            text = printable(mark.text)
            lead = f"{' ' * gutter} {bar} "
            carets = " " * start + self._paint(color, underline)
            if start + len(underline) + 1 + text_width(text) <= available:
                lines.append(f"{lead}{carets} {self._paint(color, text)}" if text else lead + carets)
                continue
            lines.append(lead + carets)
            lines += [lead + self._paint(color, part) for part in wrap(text, available)]
        return lines

    def _paint(self, color: str, text: str) -> str:
        return f"{color}{text}{_RESET}" if self._color and text else text


class _Excerpt:
    """The part of a source line that fits, as it is shown; and where its characters stand on the screen."""

    def __init__(self, source: Source, line: int, anchor: Span, available: int) -> None:
        whole = source.line_span(line)
        # Only what can come into view is looked at: a line may have millions of characters.
        self._start = max(whole.start, anchor.start - 2 * available)
        self._end = min(whole.end, anchor.start + 2 * available)
        # The key of a secret may stand left of what comes into view, and what gives it away right of it.
        looked_at = max(whole.start, self._start - _LOOK_AROUND)
        line_text = masked(source.text[looked_at : min(whole.end, self._end + _LOOK_AROUND)])
        shown, edges = _expand(line_text[self._start - looked_at : self._end - looked_at])
        self._edges = edges
        cut_left, cut_right = self._start > whole.start, self._end < whole.end
        self._shift = 0
        if edges[-1] > available or cut_left or cut_right:
            at = edges[min(max(anchor.start - self._start, 0), len(edges) - 1)]
            # A third of the window before the anchor, the rest behind it.
            self._shift = max(0, min(at - available // 3, edges[-1] - available + 1))
            cut_left = cut_left or self._shift > 0
            cut_right = cut_right or edges[-1] - self._shift > available
        self._available = available
        self.text = _window(shown, self._shift, available, cut_left=cut_left, cut_right=cut_right)

    def columns(self, span: Span) -> tuple[int, int]:
        """The cells of a span; it is cut where the line or the window ends."""
        start, end = (self._edge(offset) - self._shift for offset in span)
        start = min(max(start, 0), self._available - 1)
        return start, min(max(end, start), self._available)

    def _edge(self, offset: int) -> int:
        return self._edges[min(max(offset - self._start, 0), len(self._edges) - 1)]


def _expand(text: str) -> tuple[Sequence[str], list[int]]:
    """The cells to print, one string for each character, and the cell at which each character begins and the last ends."""
    shown: list[str] = []
    edges = [0]
    for character in text:
        at = edges[-1]
        cell = " " * (TAB_WIDTH - at % TAB_WIDTH) if character == "\t" else printable(character)
        shown.append(cell)
        edges.append(at + (len(cell) if character == "\t" else character_width(cell)))
    return shown, edges


def _window(shown: Sequence[str], shift: int, available: int, *, cut_left: bool, cut_right: bool) -> str:
    """The cells from `shift` on, at most `available` of them; an ellipsis where something is left out."""
    parts: list[str] = []
    first, last = shift + cut_left, shift + available - cut_right
    at = 0
    for cell in shown:
        width = text_width(cell)
        if first <= at and at + width <= last:
            parts.append(cell)
        elif at < last and at + width > first:
            # A wide character or a tab that the edge cuts in two.
            parts.append(" " * (min(at + width, last) - max(at, first)))
        at += width
    return ("…" if cut_left else "") + "".join(parts) + ("…" if cut_right else "")
