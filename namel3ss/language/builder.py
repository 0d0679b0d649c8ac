"""Makes the tree's nodes: `take_…` from a terminal, `build_…` for a rule of the grammar.

The parser calls them by these names. Recovery hands in what is missing as a zero-width Span (a brace) or None (a value).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, cast

from namel3ss.language.block_text import prose_end, read_block_text
from namel3ss.language.findings import replacement
from namel3ss.language.source import Span
from namel3ss.language.strings import quote, unquote, without_printed_quotes
from namel3ss.language.tree import (
    BareWord,
    Block,
    BlockText,
    Boolean,
    Declaration,
    EnvReference,
    Import,
    Key,
    List,
    Name,
    Null,
    Number,
    Pair,
    Step,
    String,
    TypeForm,
    Value,
)

if TYPE_CHECKING:
    from namel3ss.language.findings import Findings
    from namel3ss.language.tree import Scalar

__all__ = ["MAX_NESTING", "MAX_PAIRS", "TreeBuilder"]

MAX_NESTING = 64
MAX_PAIRS = 10_000
_MAX_DIGITS = 400

_INTEGER = re.compile(r"[+-]?[0-9]+")


class TreeBuilder:
    """Builds the nodes of one text and reports what is wrong inside a single token.

    `word` is the keyword of the declaration in hand, as it should be spelt. `text_end` is where the last block text
    ended: the one token whose end the grammar does not tell.
    """

    def __init__(self, text: str, findings: Findings) -> None:
        self._text = text
        self._findings = findings
        self.word = ""
        self.text_end = 0

    # --- terminals -----------------------------------------------------------------------------------------------

    def take_key(self, start: int, end: int) -> Key:
        """`end` is behind the colon."""
        text = self._text
        colon = Span(end - 1, end)
        end -= 1
        if text[end - 1] in " \t":
            end = start + len(text[start:end].rstrip(" \t"))
        if text[start] in "\"'":
            return Key(self._unquoted(start, end), Span(start, end), colon, True)
        return Key(text[start:end], Span(start, end), colon)

    take_open_key = take_key
    take_tight_key = take_key

    def take_word(self, start: int, end: int) -> BareWord:
        word = self._text[start:end]
        if word.startswith("env."):
            self._report_bad_reference(start, end)
        elif word[-1] in "\"'”“’‘»«":
            self._report_quote_at_end(start, end)
        return BareWord(word, Span(start, end))

    def take_type(self, start: int, end: int) -> BareWord:
        return BareWord(self._text[start:end], Span(start, end))

    def take_string(self, start: int, end: int) -> String:
        return String(self._unquoted(start, end), Span(start, end))

    def take_number(self, start: int, end: int) -> Number | None:
        spelling = self._text[start:end]
        if len(spelling) <= _MAX_DIGITS:
            value = int(spelling) if _INTEGER.fullmatch(spelling) else float(spelling)
            if abs(value) != float("inf"):
                return Number(value, Span(start, end), spelling)
        self._findings.report(
            "N3014",
            Span(start, end),
            "this number is too large to use",
            help="put it in quotes if it is meant as text",
            fixes=(replacement("quote it", start, end, quote(spelling), safe=False),),
        )
        return None

    def take_boolean(self, start: int, end: int) -> Boolean:
        return Boolean(self._text[start] == "t", Span(start, end))

    def take_null(self, start: int, end: int) -> Null:
        return Null(Span(start, end))

    def take_env(self, start: int, end: int) -> EnvReference:
        name = Name(self._text[start + len("env.") : end], Span(start + len("env."), end))
        return EnvReference(name, Span(start, end))

    def take_name(self, start: int, end: int) -> Name:
        return Name(self._text[start:end], Span(start, end))

    def take_text(self, start: int, end: int) -> BlockText | None:
        value, text_end = read_block_text(self._text, start)
        if text_end is None:
            prose = prose_end(self._text, start)
            self.text_end = end if prose is None else prose
            self._findings.report(
                "N3017",
                Span(start, start + 1),
                "no text follows the `|`" if prose is None else "the text below the `|` is not indented",
                help='indent the text deeper than the line of its key, or write "" for an empty text'
                if prose is None
                else "indent the text deeper than the line of its key",
            )
            return None
        self.text_end = text_end
        return BlockText(value, Span(start, text_end))

    def take_other(self, start: int, end: int) -> Span:
        """Keywords, braces and other punctuation: their place is all there is to know."""
        return Span(start, end)

    # --- declarations --------------------------------------------------------------------------------------------

    def build_declaration(self, keyword: Span, name: Name | None, body: Block) -> Declaration:
        kind = self.word if self.word in ("prompt", "chain", "server", "gateway") else "ai model"
        return Declaration(
            cast("Literal['ai model', 'prompt', 'chain', 'server', 'gateway']", kind),
            keyword,
            name,
            body,
            Span(keyword.start, body.span.end),
        )

    def build_unnamed_declaration(self, keyword: Span, body: Block) -> Declaration:
        return self.build_declaration(keyword, None, body)

    def build_import_file(self, keyword: Span, path: String) -> Import:
        return Import(path, Span(keyword.start, path.span.end))

    def build_quoted_name(self, string: String) -> Name:
        return Name(string.value, string.span, quoted=True)

    # --- blocks --------------------------------------------------------------------------------------------------

    def build_body(self, opening: Span, entries: list[Pair | Step], closing: Span) -> Block:
        if len(entries) > MAX_PAIRS:
            self._findings.report(
                "N3905",
                opening,
                f"{len(entries):,} entries in one block; at most {MAX_PAIRS:,} are read",
                help="split it over several declarations",
            )
            entries = []
        close = closing if closing.start < closing.end else None
        return Block(tuple(entries), Span(opening.start, closing.end), opening, close)

    build_map = build_body

    def build_no_entries(self) -> list[Pair | Step]:
        return []

    def build_more_entries(
        self, entries: list[Pair | Step], entry: Pair | Step, comma: Span | None = None
    ) -> list[Pair | Step]:
        entries.append(entry)
        return entries

    def build_pair(self, key: Key, value: Value | None) -> Pair:
        end = key.colon.end if value is None else value.span.end
        return Pair(key, value, Span(key.span.start, end))

    def build_step(self, keyword: Span, name: Name | None, block: Block) -> Step:
        if name is None:
            name = Name("", Span(keyword.end, keyword.end))
        return Step(keyword, name, block, Span(keyword.start, block.span.end))

    # --- lists and references ------------------------------------------------------------------------------------

    def build_empty_list(self, opening: Span, closing: Span) -> List:
        return self.build_list(opening, [], closing)

    def build_list(self, opening: Span, items: list[Value | None], *closing: Span) -> List:
        """`closing` is the bracket, perhaps with a comma before it."""
        bracket = closing[-1]
        close = bracket if bracket.start < bracket.end else None
        present = tuple(item for item in items if item is not None)
        return List(present, Span(opening.start, bracket.end), opening, close)

    def build_first_item(self, value: Value | None) -> list[Value | None]:
        return [value]

    def build_more_items(
        self, items: list[Value | None], comma: Span, value: Value | None
    ) -> list[Value | None]:
        items.append(value)
        return items

    def build_first_reference(self, reference: EnvReference) -> list[Scalar | EnvReference | None]:
        return [reference]

    def build_more_references(
        self,
        references: list[Scalar | EnvReference | None],
        mark: Span,
        fallback: Scalar | EnvReference | None,
    ) -> list[Scalar | EnvReference | None]:
        references.append(fallback)
        return references

    def build_env(self, references: list[Scalar | EnvReference | None]) -> EnvReference:
        """``env.A ?? env.B ?? "x"`` asks A first, and nests to the right."""
        *earlier, fallback = references
        if len(earlier) >= MAX_NESTING:
            self._findings.report(
                "N3904",
                Span(_span_of(references[0]).start, _span_of(references[-1]).end),
                f"{len(references)} references in one value; at most {MAX_NESTING} are read",
            )
            earlier = earlier[:1]
        for reference in reversed(earlier):
            if not isinstance(reference, EnvReference):
                self._report_early_default(reference)
                fallback = reference
                continue
            end = reference.span.end if fallback is None else fallback.span.end
            fallback = EnvReference(reference.name, Span(reference.span.start, end), fallback)
        return cast("EnvReference", fallback)

    # --- types ---------------------------------------------------------------------------------------------------

    def build_type_list(self, opening: Span, argument: Value | None, closing: Span) -> TypeForm:
        word = Span(opening.start, opening.end - 1)
        base = BareWord(self._text[word.start : word.end], word)
        return TypeForm(base, Span(opening.start, closing.end), argument)

    def build_first_strings(self, first: String, bar: Span, second: String) -> list[String]:
        return [first, second]

    def build_more_strings(self, strings: list[String], bar: Span, another: String) -> list[String]:
        strings.append(another)
        return strings

    def build_choice(self, strings: list[String]) -> TypeForm:
        return TypeForm(tuple(strings), strings[0].span.cover(strings[-1].span))

    def build_optional(self, base: BareWord | String | Block | TypeForm, mark: Span) -> TypeForm:
        return replace(_as_type(base), optional=True, span=base.span.cover(mark))

    def build_defaulted(
        self, base: BareWord | String | Block | TypeForm, equals: Span, default: Value | None
    ) -> TypeForm:
        end = equals if default is None else default.span
        return replace(_as_type(base), default=default, span=base.span.cover(end))

    # --- inside a token ------------------------------------------------------------------------------------------

    def _unquoted(self, start: int, end: int) -> str:
        value, bad = unquote(self._text[start + 1 : end - 1])
        for offset, escape in bad:
            at = start + 1 + offset
            self._findings.report(
                "N3008",
                Span(at, at + len(escape)),
                f"`{escape}` is not an escape",
                help="write `\\\\` for a backslash",
                fixes=(replacement("double the backslash", at, at + 1, "\\\\", safe=False),),
            )
        return value

    def _report_bad_reference(self, start: int, end: int) -> None:
        word = self._text[start:end]
        name = word.removeprefix("env.")
        what = "needs a name after the dot" if not name else f"`{name}` cannot be the name of a variable"
        self._findings.report(
            "N3007",
            Span(start, end),
            f"bad reference to the environment: {what}",
            help="write env.NAME, where NAME has letters, digits and `_` only; quote it if it is meant as text",
            fixes=(replacement("quote it", start, end, quote(word), safe=False),),
        )

    def _report_early_default(self, default: Scalar | None) -> None:
        if default is not None:
            self._findings.report(
                "N3007",
                default.span,
                "bad reference to the environment: `??` can only follow env.NAME",
                help="the first value that is not a reference ends the chain",
            )

    def _report_quote_at_end(self, start: int, end: int) -> None:
        word = self._text[start:end]
        inner = without_printed_quotes(word)
        if inner != word:
            self._findings.report(
                "N3019",
                Span(start, end),
                f'`{word[0]}` and `{word[-1]}` are part of the value: text stands between `"`',
                help="write the quotes of a keyboard, or none",
                fixes=(replacement("write the other quotes", start, end, quote(inner), safe=False),),
            )
            return
        if word[-1] in word[:-1] or word[-1] not in "\"'":
            return
        self._findings.report(
            "N3019",
            Span(start, end),
            "this word ends in a quote that was never opened; the quote is part of the value",
            help="put a quote in front as well, or take this one away",
            fixes=(replacement("quote the word", start, end, quote(word[:-1]), safe=False),),
        )


def _span_of(value: Scalar | EnvReference | None) -> Span:
    return Span(0, 0) if value is None else value.span


def _as_type(base: BareWord | String | Block | TypeForm) -> TypeForm:
    if isinstance(base, TypeForm):
        return base
    if isinstance(base, String):
        return TypeForm((base,), base.span)
    return TypeForm(base, base.span)
