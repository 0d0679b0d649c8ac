"""``# n3: ignore[N3801] reason``: findings that somebody has seen and accepted. Pure.

The comment stands on the line of the finding or on a line of its own above it, and may list several codes. Warnings and
hints can be ignored; an error cannot, because what has one does not load.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from namel3ss.language.codes import CODES
from namel3ss.language.diagnostics import Diagnostic, Fix, Severity, TextEdit
from namel3ss.language.source import Span
from namel3ss.language.tokens import read_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from namel3ss.language.source import Source

__all__ = ["may_ignore", "without_ignored"]

_MARK: Final = re.compile(r"#[ \t]*n3:[ \t]*ignore\b")
_COMMENT: Final = re.compile(r"#[ \t]*n3:[ \t]*ignore(?:\[(?P<codes>[^\]]*)\])?(?P<reason>.*)")
_MOST_PROBLEMS: Final = 200


@dataclass(slots=True)
class _Ignore:
    """One comment. `lines` are those whose findings it ignores; `used` the codes that it did ignore."""

    source: Source
    span: Span
    lines: tuple[int, ...]
    codes: tuple[str, ...]
    reason: str
    used: set[str] = field(default_factory=set)


def may_ignore(source: Source) -> bool:
    """Whether comments of a text may ignore findings; where none does, `without_ignored` need not be asked."""
    return _MARK.search(source.text) is not None


def without_ignored(findings: Sequence[Diagnostic], sources: Iterable[Source]) -> tuple[Diagnostic, ...]:
    """The findings without those that a comment ignores, and with what is wrong with such comments.

    `sources` are the texts that were checked, each once. Those of one path that follow each other are parts of one
    file.
    """
    sources = list(sources)
    ignores = [ignore for source in sources for ignore in _ignores_of(source)]
    if not ignores:
        return tuple(findings)
    lines = _Lines(sources)
    by_line: dict[tuple[str, int], list[_Ignore]] = {}
    for ignore in ignores:
        for line in ignore.lines:
            by_line.setdefault(lines.place(ignore.source, line), []).append(ignore)
    kept = [finding for finding in findings if not _is_ignored(finding, by_line, lines)]
    problems = [problem for ignore in ignores for problem in _problems(ignore)][:_MOST_PROBLEMS]
    return tuple(
        sorted([*kept, *problems], key=lambda found: (found.source.path, found.span, found.code))
        if problems
        else kept
    )


def _ignores_of(source: Source) -> Iterable[_Ignore]:
    if not may_ignore(source):
        return
    text = source.text
    for span in read_tokens(text).comments:
        found = _COMMENT.fullmatch(text[span.start : span.end].rstrip())
        if found is None or not _MARK.match(found[0]):
            continue
        line = source.position(span.start).line
        is_alone = not text[source.line_span(line).start : span.start].strip()
        codes = tuple(code.strip().upper() for code in (found["codes"] or "").split(",") if code.strip())
        lines = (line, line + 1) if is_alone else (line,)
        yield _Ignore(
            source, Span(span.start, span.start + len(found[0])), lines, codes, found["reason"].strip()
        )


class _Lines:
    """The lines of files that were read in parts."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._above: dict[Source, int] = {}
        path, above = None, 0
        for source in sources:
            above = above if source.path == path else 0
            self._above[source] = above
            path, above = source.path, above + source.text.count("\n")

    def place(self, source: Source, line: int) -> tuple[str, int]:
        """The file, and the line in it, of a line of a part."""
        return source.path, line + self._above.get(source, 0)


def _is_ignored(finding: Diagnostic, by_line: dict[tuple[str, int], list[_Ignore]], lines: _Lines) -> bool:
    if finding.severity is Severity.ERROR:
        return False
    line = lines.place(finding.source, finding.source.position(finding.span.start).line)
    matching = [ignore for ignore in by_line.get(line, ()) if finding.code in ignore.codes]
    for ignore in matching:
        ignore.used.add(finding.code)
    return bool(matching)


def _problems(ignore: _Ignore) -> Iterable[Diagnostic]:
    unused = [code for code in ignore.codes if code not in ignore.used]
    if not ignore.codes:
        yield _problem(
            "N3891", ignore, "this comment names no code", "write `# n3: ignore[N3801] and the reason`"
        )
    elif unused:
        errors = [code for code in unused if code in CODES and CODES[code].severity is Severity.ERROR]
        yield _problem(
            "N3891",
            ignore,
            f"this comment ignores nothing: there is no {' or '.join(unused)} here",
            "an error cannot be ignored; mend it" if errors else "take it out",
            () if ignore.used else (_taken_out(ignore),),
        )
    elif not ignore.reason:
        yield _problem(
            "N3892", ignore, "this comment gives no reason", "say behind the bracket why it may be so"
        )


def _taken_out(ignore: _Ignore) -> Fix:
    """Without the comment and the blanks before it, so that no blank is left at the end of a line."""
    text, start = ignore.source.text, ignore.span.start
    start = len(text[ignore.source.line_span(ignore.lines[0]).start : start].rstrip()) + (
        ignore.source.line_span(ignore.lines[0]).start
    )
    return Fix("take the comment out", (TextEdit(Span(start, ignore.span.end), ""),))


def _problem(
    code: str, ignore: _Ignore, message: str, suggestion: str, fixes: tuple[Fix, ...] = ()
) -> Diagnostic:
    return Diagnostic(
        code, CODES[code].severity, message, ignore.source, ignore.span, help=suggestion, fixes=fixes
    )
