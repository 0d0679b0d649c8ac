"""The tokens and comments of a text, for tools that must keep what the tree leaves out.

`parse` does not keep them, so that it need not pay for them: this reads the text once more, by the same rules.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from namel3ss.language.findings import Findings
from namel3ss.language.parser import MAX_BYTES, Reader
from namel3ss.language.source import Source, Span
from namel3ss.language.tree import ForeignDeclaration

__all__ = ["Token", "TokenView", "read_tokens"]

# Between tokens there is nothing but blanks, comments and, in a broken text, words that no token was made of.
_COMMENT = re.compile(r"(?:(?<=[ \t\r\n\f\ufeff])|\A)#[^\r\n]*+")


class Token(NamedTuple):
    """One token; `kind` is the name of its terminal in the grammar, or FOREIGN for a whole foreign declaration."""

    kind: str
    span: Span


class TokenView(NamedTuple):
    """What a text is made of. Blanks are what stands between; a comment runs from its `#` to the line's end."""

    tokens: tuple[Token, ...]
    comments: tuple[Span, ...]


def read_tokens(text: str) -> TokenView:
    """Every token and every comment, in order. Pure; never raises; linear time. A text over 8 MB has none."""
    if len(text) > MAX_BYTES:
        return TokenView((), ())
    source = Source(text, "<text>")
    record: list[tuple[str, int, int]] = []
    reader = Reader(source, Findings(source), record)
    reader.read()
    tokens = [Token(kind, Span(start, end)) for kind, start, end in record]
    tokens += [Token("FOREIGN", item.span) for item in reader.items if isinstance(item, ForeignDeclaration)]
    tokens.sort(key=lambda token: token.span)
    return TokenView(tuple(tokens), tuple(_comments(text, tokens)))


def _comments(text: str, tokens: list[Token]) -> list[Span]:
    found = []
    at = 1 if text.startswith("\ufeff") else 0
    for token in [*tokens, Token("END", Span(len(text), len(text)))]:
        # Matched in the whole text, so that the blank before the `#` is seen.
        while at < token.span.start and (comment := _COMMENT.search(text, at, token.span.start)):
            found.append(Span(*comment.span()))
            at = comment.end()
        at = max(at, token.span.end)
    return found
