"""The place of a mistake: what stands there, what came before, and the few ways of going on from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from namel3ss.language.block_text import indentation_width
from namel3ss.language.source import Span
from namel3ss.language.tree import Pair, String

if TYPE_CHECKING:
    from namel3ss.language.findings import Findings
    from namel3ss.language.machine import Machine, Token
    from namel3ss.language.tree import Value

__all__ = ["CLOSERS", "CLOSER_OF", "IDENTIFIER", "KEYS", "SCALARS", "VALUES", "Site", "shown"]

KEYS = frozenset({"KEY", "OPEN_KEY", "TIGHT_KEY", "STEP"})
CLOSERS = frozenset({"RBRACE", "RBRACKET", "GREATER"})
SCALARS = frozenset({"WORD", "STRING", "NUMBER", "BOOLEAN", "NULL", "ENV", "TYPE"})
OPENERS = frozenset({"LBRACE", "LBRACKET", "LIST_OF"})
VALUES = SCALARS | OPENERS
CLOSER_OF = {"{": "}", "[": "]", "<": ">"}

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_BLANKS = re.compile(r"(?:[ \t\r\n\f]++(?:#[^\n]*+)?)*+")
_SHOWN_CHARACTERS = 40
_LONGEST_PHRASE = 1_000  # tokens; behind so many the rest of the line is passed over unread


def shown(text: str) -> str:
    """The text for a message, in backquotes and not longer than a message can bear."""
    if len(text) > _SHOWN_CHARACTERS:
        text = text[: _SHOWN_CHARACTERS - 1] + "…"
    return f"`{text}`"


class Site:
    """Where the machine stopped. `at` is the end of the last token that was understood."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.text = machine.text
        self.limit = machine.limit
        self.findings: Findings = machine.findings
        self.report = machine.findings.report

    @property
    def at(self) -> int:
        return self.machine.at

    @property
    def last_node(self) -> object:
        """The node on top of the stack."""
        return self.machine.nodes[-1]

    def any_token(self, at: int | None = None) -> Token | None:
        """The next token, whatever the grammar expects; None at the end, or where no token can begin."""
        found = self.machine.table.match_any(self.text, self.at if at is None else at, self.limit)
        if found is None or found.lastgroup is None:
            return None
        kind = found.lastgroup
        start, end = found.span(kind)
        if self.machine.angle and kind == "WORD" and self.text[end - 1] == ">":
            end = start + len(self.text[start:end].rstrip(">"))
            if end == start:
                return "GREATER", start, start + 1
        return kind, start, end

    def skip_blanks(self, at: int) -> int:
        """Behind the blanks and comments that stand here."""
        found = _BLANKS.match(self.text, at, self.limit)
        return at if found is None else found.end()

    def on_line_of_last_token(self, start: int) -> bool:
        """Whether no line ends between the last token and `start`."""
        return "\n" not in self.text[self.at : start]

    def follows_value(self, start: int) -> bool:
        """Whether a value ended on this line, with nothing to separate it from what stands at `start`."""
        if not self.on_line_of_last_token(start) or self.at == 0:
            return False
        value = self.last_value()  # a word may end in one of these as well
        return self.text[self.at - 1] not in ",{[<" or (value is not None and value.span.end == self.at)

    def last_value(self) -> Value | None:
        """The value that was read last in the open map or list."""
        entries = self.last_node
        if not isinstance(entries, list) or not entries:
            return None
        entry = entries[-1]
        return entry.value if isinstance(entry, Pair) else entry

    def last_key(self) -> str:
        """The key of the pair that was read last in the open map; "" where there is none."""
        entries = self.last_node
        entry = entries[-1] if isinstance(entries, list) and entries else None
        return entry.key.text if isinstance(entry, Pair) else ""

    def openers(self) -> list[Span]:
        """The braces and brackets that are open, outermost first."""
        machine = self.machine
        return [
            node
            for state, node in zip(machine.states[1:], machine.nodes, strict=True)
            if state in machine.table.openers and isinstance(node, Span)
        ]

    def opener_text(self, opener: Span) -> str:
        """The brace or bracket; where it is missing itself, the one that would stand there."""
        return self.text[opener.end - 1] if opener.start < opener.end else "{"

    # --- ways of going on ----------------------------------------------------------------------------------------

    def go_on_at(self, offset: int) -> None:
        """Pass over everything before `offset`."""
        self.machine.at = offset

    def insert(self, kind: str) -> None:
        """Go on as if this punctuation stood behind the last token."""
        self.machine.feed(kind, self.at, self.at)

    def use_as(self, kind: str, start: int, end: int) -> None:
        """Take these characters for a token of this kind."""
        self.machine.feed(kind, start, end)
        self.machine.at = end

    def use_text_as_string(self, start: int, end: int) -> None:
        """Take these characters for a string whose quotes are missing."""
        self.machine.feed_node("STRING", String(self.text[start:end], Span(start, end)))
        self.machine.at = end

    def skip_phrase(self, start: int) -> int:
        """Pass over the words from `start` to the next key, comma, closer or line's end; gives their end."""
        end = self._phrase_end(start)
        self.machine.at = end
        return end

    def _phrase_end(self, at: int) -> int:
        depth = 0
        first = True
        for _ in range(_LONGEST_PHRASE):
            token = self.any_token(at)
            if token is None:
                return self._unreadable_end(at, first=first)
            kind, start, end = token
            if not first and "\n" in self.text[at:start]:
                return at
            if kind in OPENERS:
                depth += 1
            elif kind in CLOSERS and not first:
                if depth == 0:
                    return at
                depth -= 1
            elif depth == 0 and not first and (kind in KEYS or (kind == "COMMA" and not self._goes_on(end))):
                return at
            at = end
            first = False
        return self.line_end(at)

    def _goes_on(self, behind_comma: int) -> bool:
        """Whether a comma is part of an unquoted sentence: words follow it on its line, and we are not in a list."""
        if self.machine.expects("items") or self.machine.accepts("RBRACKET"):
            return False
        token = self.any_token(behind_comma)
        return (
            token is not None
            and token[0] not in KEYS | CLOSERS | {"COMMA"}
            and "\n" not in self.text[behind_comma : token[1]]
        )

    def _unreadable_end(self, at: int, *, first: bool) -> int:
        """An unclosed string runs to its line's end; another character that begins no token is passed over."""
        start = self.skip_blanks(at)
        if start >= self.limit or (not first and "\n" in self.text[at:start]):
            return at if not first else min(start, self.limit)
        if self.text[start] in "\"'":
            return self.line_end(start)
        return start + 1

    def indentation(self, offset: int) -> int:
        """How far the line that holds `offset` is indented, in columns."""
        return indentation_width(self.text, self.text.rfind("\n", 0, offset) + 1)

    def line_end(self, at: int) -> int:
        """The end of the line's text, without blanks."""
        end = self.text.find("\n", at, self.limit)
        if end < 0:
            end = self.limit
        return at + len(self.text[at:end].rstrip())
