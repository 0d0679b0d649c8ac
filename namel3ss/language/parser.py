"""`parse`: a text becomes a syntax tree and the list of what is wrong with it.

The file is read declaration by declaration: `borders` says where the next one begins, `machine` runs the grammar over it.
Everything takes time in proportion to the text, whatever the text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from namel3ss.language.borders import Borders
from namel3ss.language.builder import TreeBuilder
from namel3ss.language.diagnostics import Label
from namel3ss.language.findings import Findings, replacement
from namel3ss.language.machine import Machine
from namel3ss.language.recovery_elsewhere import comment_mark
from namel3ss.language.recovery_site import shown
from namel3ss.language.source import Source, Span
from namel3ss.language.tables import parse_table
from namel3ss.language.tree import Declaration, ForeignDeclaration, ParseResult, SyntaxTree

if TYPE_CHECKING:
    from namel3ss.language.borders import ForeignText, Head
    from namel3ss.language.machine import Token
    from namel3ss.language.tree import Import, Item

__all__ = ["MAX_BYTES", "Reader", "parse"]

MAX_BYTES = 8 * 1024 * 1024
_MAX_UNCLOSED = 2
_AI_MODEL = "an ai model is written `ai model NAME { … }`"
# What may have been meant by a declaration of another language; the wider one of this has some of them, too.
_MEANT = {
    "ai": _AI_MODEL,
    "model": _AI_MODEL,
    "models": _AI_MODEL,
    "import": 'a file is imported as `import "./models.ai"`',
    "profile": "a profile is a file of its own: `app.prod.ai` beside `app.ai`, used with `--profile prod`",
}
_IMPORT_ELSEWHERE = re.compile(r"(?:from|include|require|use|using|load)\b")
_MAX_REREAD = 100_000  # characters of a declaration; a longer one is not parsed a second time

# A comment also begins at the start of the file, which has no blank before it.
_FIRST_COMMENT = re.compile(r"\ufeff?(?:#[^\n]*+)?")
_BLANKS = re.compile(r"(?:[ \t\r\n\f]++(?:#[^\n]*+)?)*+")


def parse(text: str, path: str = "<text>") -> ParseResult:
    """Read a whole file. Pure; never raises for a text, however broken, and takes linear time.

    `path` is only named in the diagnostics. A tree comes back always; it lacks what could not be understood.
    """
    source = Source(text, path)
    findings = Findings(source)
    if len(text) > MAX_BYTES:
        findings.report(
            "N3903",
            Span(0, 0),
            f"the file has {len(text):,} characters; at most {MAX_BYTES:,} are read",
            help="split it into several files",
        )
        return ParseResult(SyntaxTree(source, ()), findings.all())
    reader = Reader(source, findings)
    reader.read()
    return ParseResult(SyntaxTree(source, tuple(reader.items)), findings.all())


class Reader:
    """One pass over a file, from declaration to declaration; with `record`, every token is noted there."""

    def __init__(self, source: Source, findings: Findings, record: list[Token] | None = None) -> None:
        text = source.text
        self.items: list[Item] = []
        self._text = text
        self._findings = findings
        self._borders = Borders(text)
        self._builder = TreeBuilder(text, findings)
        self._machine = Machine(text, parse_table(), self._builder, findings, record)

    def read(self) -> None:
        text, borders = self._text, self._borders
        first = _FIRST_COMMENT.match(text)
        at = 0 if first is None else first.end()
        while True:
            blanks = _BLANKS.match(text, at)
            at = at if blanks is None else blanks.end()
            if at >= len(text) or self._findings.file_is_full:
                return
            self._findings.begin()
            if foreign := borders.foreign_at(at, known=True):
                at = self._read_foreign(at, foreign)
            elif head := borders.head_at(at):
                at = self._read_declaration(head)
            elif head := borders.misspelt_head_at(at):
                self._report_misspelt(head)
                at = self._read_declaration(head, borders.end_of_half_a_head(head.end))
            elif foreign := borders.foreign_at(at, known=False):
                at = self._read_foreign(at, foreign)
            else:
                at = self._read_stray(at)

    def _read_declaration(self, head: Head, limit: int | None = None) -> int:
        limit = limit or self._borders.after(head.start)
        earlier = self._findings.since_begin()
        item, end, unclosed = self._run(head, limit, by_indentation=False)
        if unclosed and end - head.start <= _MAX_REREAD:
            found = self._findings.since_begin()
            self._findings.replace_since_begin(earlier)
            second = self._run(head, limit, by_indentation=True)
            # A closer or two explain it better than the end of the declaration does; many of them explain nothing.
            if sum(finding.code == "N3003" for finding in self._findings.since_begin()) > _MAX_UNCLOSED:
                self._findings.replace_since_begin(found)
            else:
                item, end, _ = second
        self.items.append(item)
        return end

    def _run(self, head: Head, limit: int, *, by_indentation: bool) -> tuple[Declaration | Import, int, bool]:
        self._builder.word = head.word
        keyword = (head.terminal, head.start, head.end)
        item, unclosed = self._machine.parse(keyword, limit, by_indentation=by_indentation)
        return item, self._machine.at, unclosed

    def _read_foreign(self, start: int, foreign: ForeignText) -> int:
        keyword = Span(start, foreign.keyword_end)
        head = self._text[foreign.keyword_end : foreign.head_end].strip()
        end = start + len(self._text[start : foreign.end].rstrip())
        self.items.append(ForeignDeclaration(foreign.kind, keyword, head, Span(start, end)))
        self._findings.report(
            "N3010",
            keyword,
            f"`{foreign.kind}` is not a declaration that namel3ss reads; its text is left alone",
            help=_MEANT.get(foreign.kind.lower()),
        )
        if foreign.unopened:
            head_end = start + len(self._text[start : foreign.head_end].rstrip())
            self._findings.report(
                "N3012",
                Span(start, head_end),
                f"the block of {shown(self._text[start:head_end])} has no opening brace",
                fixes=(replacement("insert `{`", head_end, head_end, " {"),),
            )
        if foreign.unclosed is not None:
            self._findings.report(
                "N3003",
                Span(foreign.unclosed, foreign.unclosed + 1),
                "this `{` is never closed",
                label="opened here",
                help="the closing brace of such a declaration stands in the first column",
            )
        return foreign.end

    def _report_misspelt(self, head: Head) -> None:
        word = self._text[head.start : head.end]
        self._findings.report(
            "N3023",
            Span(head.start, head.end),
            f"unknown declaration {shown(word)}",
            help=f"did you mean `{head.word}`?",
            fixes=(replacement(f"write `{head.word}`", head.start, head.end, head.word),),
        )

    def _read_stray(self, start: int) -> int:
        """Text between declarations: one finding for all of it, up to the next head."""
        end = self._borders.next_head(start)
        line_end = self._text.find("\n", start, end)
        line = self._text[start : line_end if line_end >= 0 else end].rstrip()
        labels = self._where_last_ended()
        if line.startswith(("}", "]", ">")):
            self._findings.report(
                "N3011", Span(start, start + 1), f"this `{line[0]}` closes nothing", labels=labels
            )
        else:
            self._report_outside(Span(start, start + len(line)), labels)
        return end

    def _report_outside(self, line: Span, labels: tuple[Label, ...]) -> None:
        text = self._text[line.start : line.end]
        mark = comment_mark(text, 0)
        behind = line.start + len(mark or "")
        self._findings.report(
            "N3009",
            line,
            f"{shown(text)} stands outside of any declaration",
            labels=labels,
            help="a comment begins with `#`"
            if mark
            else _MEANT["import"]
            if _IMPORT_ELSEWHERE.match(text)
            else "a file holds declarations such as `ai model NAME { … }`",
            fixes=(replacement("write `#`", line.start, behind, "#", safe=False),) if mark else (),
        )

    def _where_last_ended(self) -> tuple[Label, ...]:
        if self.items and isinstance(self.items[-1], Declaration) and self.items[-1].block.close is not None:
            return (Label(self.items[-1].block.close, "the declaration before ended here"),)
        return ()
