"""Collects what parsing finds, and keeps the noise down.

Within one declaration an error on the line of an earlier one is most often its consequence and is not reported. After
MAX_PER_DECLARATION errors the rest of the declaration is not read, after MAX_PER_FILE errors the rest of the file; so a
declaration with a mistake in it always has an error in it. Warnings are counted apart, and no more than MAX_PER_FILE are kept.
"""

from __future__ import annotations

import bisect
from dataclasses import replace
from typing import TYPE_CHECKING

from namel3ss.language.codes import CODES
from namel3ss.language.diagnostics import Diagnostic, Fix, Label, Severity, TextEdit
from namel3ss.language.source import Span

if TYPE_CHECKING:
    from namel3ss.language.source import Source

__all__ = ["MAX_PER_DECLARATION", "MAX_PER_FILE", "Findings", "replacement"]

_OPEN_STRING = "N3004"
MAX_PER_DECLARATION = 20
MAX_PER_FILE = 200


def replacement(title: str, start: int, end: int, text: str, *, safe: bool = True) -> Fix:
    """A fix that is one edit: the characters from `start` to `end` become `text`."""
    return Fix(title, (TextEdit(Span(start, end), text),), safe)


class Findings:
    """The diagnostics of one file. `begin` starts a declaration; `rewind` forgets what was found since."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._found: list[Diagnostic] = []
        self._lines: set[int] = set()
        self._mark = 0
        self._warnings = 0

    def begin(self) -> None:
        """A new declaration starts: lines and counts begin anew."""
        self._lines = set()
        self._mark = len(self._found)

    def since_begin(self) -> list[Diagnostic]:
        """What the current declaration has."""
        return self._found[self._mark :]

    def replace_since_begin(self, findings: list[Diagnostic]) -> None:
        """Put other findings in the place of those of the current declaration."""
        self._found[self._mark :] = findings
        self._warnings = sum(not _is_error(finding) for finding in self._found)
        self._lines = {self._line(finding.span.start) for finding in findings if _is_error(finding)}

    @property
    def is_full(self) -> bool:
        """There are enough errors in this declaration, or in the file."""
        return len(self._lines) >= MAX_PER_DECLARATION or self.file_is_full

    @property
    def file_is_full(self) -> bool:
        """There are enough errors in the file."""
        return len(self._found) - self._warnings >= MAX_PER_FILE

    def has_error_on_line_of(self, offset: int) -> bool:
        return bool(self._lines) and self._line(offset) in self._lines

    def report(
        self,
        code: str,
        span: Span,
        message: str,
        *,
        label: str = "",
        labels: tuple[Label, ...] = (),
        help: str | None = None,  # noqa: A002  # the name of the diagnostic's field
        fixes: tuple[Fix, ...] = (),
    ) -> None:
        """Keep a finding, unless its line already has an error."""
        severity = CODES[code].severity
        if severity is Severity.ERROR:
            line = self._line(span.start)
            # A line stands for one error each: so many lines, so many errors in this declaration.
            if line in self._lines or len(self._lines) >= MAX_PER_DECLARATION:
                return
            self._lines.add(line)
        else:
            if self._warnings >= MAX_PER_FILE:
                return
            self._warnings += 1
        self._found.append(
            Diagnostic(
                code=code,
                severity=severity,
                message=message,
                source=self.source,
                span=span,
                label=label,
                labels=labels,
                help=help,
                fixes=fixes,
            )
        )

    def all(self) -> tuple[Diagnostic, ...]:
        """Everything, in the order of the file."""
        found = sorted(self._found, key=lambda finding: (finding.span.start, finding.code))
        found = _without_fixes_in_open_strings(found)
        if self.file_is_full:
            message = f"{MAX_PER_FILE} errors are enough: the rest of the file is not read"
            last = found[-1].span
            found.append(Diagnostic("N3906", CODES["N3906"].severity, message, self.source, last))
        return tuple(found)

    def _line(self, offset: int) -> int:
        return self.source.position(offset).line


def _without_fixes_in_open_strings(found: list[Diagnostic]) -> list[Diagnostic]:
    """The findings, sorted, without fixes that would only make the text of a string longer that is not closed."""
    strings = [finding.span for finding in found if finding.code == _OPEN_STRING]
    if not strings:
        return found
    starts = [span.start for span in strings]

    def is_inside(edit: TextEdit) -> bool:
        number = bisect.bisect_left(starts, edit.span.start) - 1
        return number >= 0 and edit.span.start <= strings[number].end

    return [
        replace(finding, fixes=tuple(fix for fix in finding.fixes if not any(map(is_inside, fix.edits))))
        if finding.fixes and finding.code != _OPEN_STRING
        else finding
        for finding in found
    ]


def _is_error(finding: Diagnostic) -> bool:
    return finding.severity is Severity.ERROR
