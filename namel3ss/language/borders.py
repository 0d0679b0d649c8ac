"""Where declarations begin and end, found without reading what stands inside.

A file is cut at the heads in column 0, so that a mistake in one declaration cannot reach the next one. A line inside a
block begins in column 0 only in a file without indentation, and then with a key, which no head can be mistaken for.

The text of a foreign declaration runs to the closing brace in column 0, whatever stands between.
"""

from __future__ import annotations

import bisect
import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FOREIGN_WORDS", "Borders", "ForeignText", "Head", "find_borders"]

# The declarations of the wider language. Other words are foreign as well where their line opens a brace.
FOREIGN_WORDS = (
    "agent", "app", "component", "connector", "dataset", "endpoint", "eval_suite", "experiment", "fn", "frame",
    "function", "graph", "guardrail", "index", "knowledge", "language_version", "memory", "metric", "model", "module",
    "page", "policy", "query", "rag_pipeline", "template", "test", "theme", "tool", "training", "workflow",
)  # fmt: skip

_OWN_WORDS = ("ai model", "llm", "prompt", "chain", "server", "gateway", "import")
_TERMINAL_OF = {"ai model": "MODEL", "llm": "MODEL", "import": "IMPORT"}

_END = r"(?![A-Za-z0-9_-])(?![ \t]*+:)"
_FOREIGN = rf"(?:{'|'.join(FOREIGN_WORDS)})"
# Between declarations the word alone is a head; what is wrong behind it, the parser says.
_HEAD = re.compile(
    rf"(?:(?P<MODEL>ai[ \t]++model|llm)|(?P<PART>prompt|chain|server|gateway)|(?P<IMPORT>import)){_END}"
)
# Inside a block only a line that can be nothing else is one.
_BORDER = re.compile(
    rf"""\n(?=ai[ \t]++model{_END}
           | (?:llm|prompt|chain|server|gateway)(?:[ \t]*+[{{<]|[ \t]++[A-Za-z_"'])(?![A-Za-z0-9_-]*+[ \t]*+:)
           | import[ \t]*+["']
           | {_FOREIGN}{_END}[^\n{{]*+\{{)""",
    re.VERBOSE,
)
_HEAD_LINE = re.compile(
    rf"""\n[ \t]*+(?=(?:ai[ \t]++model|llm|prompt|chain|server|gateway|import){_END} | {_FOREIGN}{_END}[^\n{{]*+\{{)""",
    re.VERBOSE,
)
_OWN_BORDER = re.compile(r"ai[ \t]++model|llm|prompt|chain|server|gateway")
# `import a.b as c` is the wider language's; a path is quoted.
_KNOWN_HEAD = re.compile(
    rf"(?!model[ \t]++ai[ \t]){_FOREIGN}(?![A-Za-z0-9_-])"
    rf"|import(?=[ \t]++[A-Za-z_][\w.]*+[ \t]*+(?:as[ \t]|\r?\n|\Z))(?![^\n]*\.ai\b)"
)
_UNKNOWN_HEAD = re.compile(rf"[A-Za-z_][A-Za-z0-9_-]*+{_END}(?=[^\n{{]*+\{{)")
# A word or two where a keyword should stand, then a name and a brace, or nothing.
_MISSPELT = re.compile(
    r"(?:(?P<model>(?i:ai[ \t]++model)(?:[ \t]*+:)?)(?=[ \t{<\n])|(?P<word>model[ \t]++ai|ai[ \t]++[a-z]++|[A-Za-z_-]++)(?![A-Za-z0-9_-])"
    r"(?=(?:[ \t]++[^\s:{<]++)?[ \t\r]*+(?:[{<\n]|\Z)))"
)
_INDENTED_LINE = re.compile(r"\s*+(?<=[ \t])[^\s#]")
_BRACE_FOLLOWS = re.compile(r"\s*+\{")
_STRING_OR_COMMENT = re.compile(r""""(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+'|(?<=[ \t])#[^\n]*+""")


class Head(NamedTuple):
    """The keyword of a declaration: its terminal in the grammar, the word that is meant, and where it stands."""

    terminal: str
    word: str
    start: int
    end: int


class ForeignText(NamedTuple):
    """A foreign declaration.

    `unclosed` is the place of its opening brace where the closing one is missing; `unopened` says that the opening
    one itself is missing, as the indented lines below the head show.
    """

    kind: str
    keyword_end: int
    head_end: int
    end: int
    unclosed: int | None = None
    unopened: bool = False


def find_borders(text: str, start: int = 0) -> Iterator[int]:
    """The offsets of all heads in column 0 from `start` on, but for one at the very start of the text."""
    return (found.end() for found in _BORDER.finditer(text, max(0, start - 1)))


class Borders:
    """The heads of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._borders = list(find_borders(text))
        self._next_brace = -1

    def after(self, offset: int) -> int:
        """Where the next head in column 0 stands, or the end of the text."""
        number = bisect.bisect_right(self._borders, offset)
        return self._borders[number] if number < len(self._borders) else len(self._text)

    def end_of_half_a_head(self, offset: int) -> int | None:
        """The end of the line of a head that opens no block on it; what follows need not belong to it."""
        line_end = self._text.find("\n", offset)
        line_end = len(self._text) if line_end < 0 else line_end
        line = self._text[offset:line_end]
        return None if "{" in line or "<" in line or self._brace_follows(line_end) else line_end

    def head_at(self, offset: int) -> Head | None:
        """The head that begins here, between declarations."""
        found = _HEAD.match(self._text, offset)
        if found is None or found.lastgroup is None:
            return None
        return Head(found.lastgroup, found[0], offset, found.end())

    def misspelt_head_at(self, offset: int) -> Head | None:
        """The head that was most likely meant here: a letter wrong, two words swapped, half a word."""
        found = _MISSPELT.match(self._text, offset)
        if found is None:
            return None
        word = " ".join((found["word"] or "").split())
        meant = ["ai model"] if found["model"] or word == "model ai" else closest(word, _OWN_WORDS)
        if not meant:
            return None
        terminal = _TERMINAL_OF.get(meant[0], "PART")
        return Head(terminal, meant[0], offset, found.end())

    def foreign_at(self, offset: int, *, known: bool) -> ForeignText | None:
        """The declaration of the wider language that begins here; if not `known`, by a word nobody has heard of."""
        text = self._text
        found = (_KNOWN_HEAD if known else _UNKNOWN_HEAD).match(text, offset)
        if found is None:
            return None
        kind = found[0]
        line_end = text.find("\n", offset)
        line_end = len(text) if line_end < 0 else line_end
        head = _STRING_OR_COMMENT.sub(_blotted, text[offset:line_end])
        brace = head.rfind("{")
        if brace < 0 and not self._brace_follows(line_end):
            closing = self._brace_in_first_column(line_end)
            if closing is not None and _INDENTED_LINE.match(text, line_end):
                return ForeignText(kind, found.end(), line_end, closing + 1, unopened=True)
            return ForeignText(kind, found.end(), line_end, offset + len(head.rstrip()))
        closed = head.rstrip().endswith("}") and head.count("{") == head.count("}")
        if closed and not self._brace_follows(line_end):
            first = offset + head.find("{")
            return ForeignText(kind, found.end(), first, offset + len(head.rstrip()))
        opening = text.find("{", line_end) if brace < 0 or closed else offset + brace
        closing = self._brace_in_first_column(opening)
        own = self._own_border_after(line_end)
        if closing is None:
            end = len(text) if own is None else own
            return ForeignText(kind, found.end(), opening, end, opening)
        if own is not None and own < closing and self._depth_at(closing) - self._depth_at(own) == 1:
            # That brace closes the declaration which begins there.
            return ForeignText(kind, found.end(), opening, own, opening)
        return ForeignText(kind, found.end(), opening, closing + 1)

    def next_head(self, offset: int) -> int:
        """The first place below the line of `offset` where a line begins with a head, indented or not."""
        found = _HEAD_LINE.search(self._text, offset)
        return len(self._text) if found is None else found.end()

    def _brace_follows(self, line_end: int) -> bool:
        """Whether the next line begins with the opening brace."""
        return _BRACE_FOLLOWS.match(self._text, line_end) is not None

    def _own_border_after(self, offset: int) -> int | None:
        number = bisect.bisect_left(self._own_borders, offset)
        return self._own_borders[number] if number < len(self._own_borders) else None

    def _brace_in_first_column(self, offset: int) -> int | None:
        """The next closing brace in column 0. Offsets only grow from call to call: nothing is searched twice."""
        if self._next_brace < offset:
            found = self._text.find("\n}", offset)
            self._next_brace = len(self._text) if found < 0 else found + 1
        return self._next_brace if self._next_brace < len(self._text) else None

    def _depth_at(self, offset: int) -> int:
        """How many more braces are opened than closed before `offset`."""
        braces = self._braces
        return 2 * bisect.bisect_left(braces[0], offset) - bisect.bisect_left(braces[1], offset)

    @functools.cached_property
    def _own_borders(self) -> list[int]:
        return [border for border in self._borders if _OWN_BORDER.match(self._text, border)]

    @functools.cached_property
    def _braces(self) -> tuple[list[int], list[int]]:
        """The offsets of all opening braces, and of all braces."""
        offsets = [found.start() for found in re.finditer(r"[{}]", self._text)]
        return [offset for offset in offsets if self._text[offset] == "{"], offsets


def _blotted(part: re.Match[str]) -> str:
    """A string or comment without the braces in it, as long as it was."""
    return (" " if part[0].startswith("#") else '"') * len(part[0])
