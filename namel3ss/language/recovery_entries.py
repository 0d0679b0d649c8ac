"""Mistakes between the values: two words, a missing colon or comma, a closer of the wrong kind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from namel3ss.language.diagnostics import Label
from namel3ss.language.findings import replacement
from namel3ss.language.masking import is_secret
from namel3ss.language.recovery_elsewhere import (
    duration_meant,
    mend_bracketed_word,
    mend_comment,
    mend_union,
    wanted_default,
)
from namel3ss.language.recovery_site import CLOSER_OF, CLOSERS, IDENTIFIER, KEYS, VALUES, Site, shown
from namel3ss.language.recovery_texts import escaped
from namel3ss.language.source import Span
from namel3ss.language.strings import quote, without_printed_quotes
from namel3ss.language.tree import BareWord, EnvReference, Key, Number, String

if TYPE_CHECKING:
    from namel3ss.language.machine import Token

__all__ = ["mend_entry", "mend_first_item", "mend_item", "report_unclosed"]

_EQUALS = re.compile(r"[ \t]*(?::=|=>?)[ \t]*")
# `step` before a brace, with no name between, or with one that cannot be bare or has a colon behind it.
_CHAIN_MAPS = frozenset({"input", "output"})
_STEP_HEAD = re.compile(r"step(?=[ \t]*+\{|[ \t]++[^\s{:][^\n{:]*+(?::[ \t]*+)?\{)")


def mend_entry(site: Site, token: Token) -> None:
    """Where a pair, a step or the block's end should come."""
    kind, start, end = token
    if kind == "COMMA":
        _drop_comma(site, start, end)
    elif kind in CLOSERS:
        _mend_closer(site, token)
    elif kind == "OTHERWISE" and site.follows_value(start):
        phrase_end = site.skip_phrase(start)
        site.report(
            "N3007",
            Span(start, phrase_end),
            "bad reference to the environment: `??` can only follow env.NAME",
            help='write env.NAME ?? "default"',
        )
    elif site.follows_value(start):
        _mend_second_value(site, start)
    elif site.findings.has_error_on_line_of(start):
        site.skip_phrase(start)
    elif mend_comment(site, start):
        return
    elif kind == "WORD" and _STEP_HEAD.match(site.text, start, site.limit):
        site.use_as(
            "STEP", start, start + len("step")
        )  # what its name lacks is said where the name is missed
    elif kind == "WORD" and _is_step_without_keyword(site, token):
        site.report(
            "N3001",
            Span(start, end),
            f"the word `step` is missing before {shown(site.text[start:end])}",
            fixes=(replacement("insert `step`", start, start, "step "),),
        )
        site.machine.feed("STEP", start, start)
    elif kind in ("WORD", "STRING"):
        _mend_colon(site, token)
    elif kind in ("LBRACE", "LBRACKET"):
        site.report(
            "N3001",
            Span(start, end),
            f"a key was expected before this `{site.text[start]}`",
            help="write `key: " + site.text[start] + "`",
        )
        nowhere = Span(start, start)
        site.machine.feed_node("KEY", Key("", nowhere, nowhere))
    else:
        phrase_end = site.skip_phrase(start)
        site.report(
            "N3001",
            Span(start, phrase_end),
            f"expected `key: value`, found {shown(site.text[start:phrase_end])}",
        )


def _is_step_without_keyword(site: Site, token: Token) -> bool:
    """Whether a name with a brace behind it stands among the entries of a chain."""
    _, start, end = token
    keyword = site.machine.nodes[0]
    return (
        isinstance(keyword, Span)
        and site.text[keyword.start : keyword.end] == "chain"
        and len(site.openers()) == 1
        and IDENTIFIER.fullmatch(site.text, start, end) is not None
        and site.text[start:end] not in _CHAIN_MAPS
        and site.text.startswith("{", site.skip_blanks(end))
    )


def mend_item(site: Site, token: Token) -> None:
    """Behind an item of a list, where a comma or the bracket should come."""
    kind, start, end = token
    if kind in KEYS and site.on_line_of_last_token(start):
        _report_pair_in_list(site, start)
    elif kind in KEYS or kind in CLOSERS:
        report_unclosed(site, site.openers()[-1:], Span(start, end))
        site.insert("RBRACKET")
    elif kind not in VALUES or not site.machine.accepts("COMMA"):
        phrase_end = site.skip_phrase(start)
        wanted = "`,` or `]`" if site.machine.accepts("COMMA") else "the `]` of `list[…]`"
        site.report("N3001", Span(start, phrase_end), f"expected {wanted}")
    elif kind != "STRING" and site.follows_value(start) and isinstance(site.last_value(), BareWord):
        _mend_second_value(site, start)
    else:
        site.report(
            "N3013",
            Span(start, end),
            "a comma is missing before this",
            fixes=(replacement("insert `,`", site.at, site.at, ","),),
        )
        site.insert("COMMA")


def mend_first_item(site: Site, token: Token) -> None:
    """Behind the bracket or a comma of a list, where an item should come."""
    kind, start, end = token
    if kind == "COMMA":
        _drop_comma(site, start, end)
    elif kind in KEYS and site.on_line_of_last_token(start):
        _report_pair_in_list(site, start)
        if not site.machine.accepts("RBRACKET"):
            site.machine.supply("value", None)
    elif site.machine.accepts("RBRACKET"):
        report_unclosed(site, site.openers()[-1:], Span(start, end))
        site.insert("RBRACKET")
    else:
        site.report("N3001", Span(site.at - 1, site.at), "a type was expected inside `list[…]`")
        site.machine.supply("value", None)


def report_unclosed(site: Site, openers: list[Span], before: Span | None) -> None:
    """The last of `openers` is never closed, nor are those around it; the closer was missed at `before` at the latest."""
    innermost = openers[-1]
    character = site.opener_text(innermost)
    closer = CLOSER_OF[character]
    labels = [Label(outer, "this is not closed either") for outer in openers[:-1]]
    if before is not None:
        labels.append(Label(before, f"`{closer}` was expected before this"))
    closers = "".join(_closer_of(site, opener) for opener in reversed(openers))
    site.report(
        "N3003",
        innermost,
        f"this `{character}` is never closed",
        label="opened here",
        labels=tuple(labels),
        help=f"insert the missing `{closer}`",
        fixes=(replacement(f"insert `{''.join(closers.split())}`", site.at, site.at, closers, safe=False),),
    )


def _closer_of(site: Site, opener: Span) -> str:
    """How the closer is written: on the line of its opener if nothing else stands between, else on a line of its own."""
    closer = CLOSER_OF[site.opener_text(opener)]
    if "\n" not in site.text[opener.end : site.at]:
        return closer if closer == "]" else f" {closer}"
    return "\n" + " " * site.indentation(opener.start) + closer


def _mend_second_value(site: Site, start: int) -> None:
    first = site.last_value()
    if mend_comment(site, start) or (site.text[start] == "|" and mend_union(site, start)):
        return
    secret = is_secret(site.last_key())
    end = site.skip_phrase(start)
    if isinstance(first, BareWord):
        phrase = site.text[first.span.start : end]
        quoted = quote(without_printed_quotes(phrase))
        site.report(
            "N3002",
            Span(start, end),
            f"two words on one line: {'the value' if secret else shown(phrase)} needs quotes",
            label="a bare word ended before this",
            help="write it in quotes" if secret else "write " + shown(quoted),
            fixes=(replacement("quote the words", first.span.start, end, quoted),),
        )
    else:
        if isinstance(first, String) and (meant := escaped(site, first.span, end)) is not None:
            site.report(
                "N3002",
                Span(start, end),
                "this text ended at the quote before this",
                help='a quote inside of a text is written `\\"`',
                fixes=(replacement("escape the quotes", first.span.start, end, meant, safe=False),),
            )
            return
        duration = duration_meant(first.spelling, site.text[start:end]) if isinstance(first, Number) else None
        if isinstance(first, Number) and duration is not None:
            site.report(
                "N3002",
                Span(start, end),
                "a unit of time stands behind its number, without a blank",
                help=f"write `{duration}`",
                fixes=(replacement(f"write {duration}", first.span.start, end, duration),),
            )
            return
        is_default = isinstance(first, EnvReference) and not secret
        default = wanted_default(site.text[start:end]) if is_default else None
        site.report(
            "N3002",
            Span(start, end),
            f"{'something' if secret else shown(site.text[start:end])} follows a value on the same line",
            help="write each `key: value` on a line of its own; text of several words needs quotes"
            if default is None
            else f"write `?? {default}`: a default stands behind `??`",
            fixes=(replacement(f"write ?? {default}", start, end, f"?? {default}", safe=False),)
            if default
            else (),
        )


def _mend_colon(site: Site, token: Token) -> None:
    kind, start, end = token
    if kind == "WORD":
        identifier = IDENTIFIER.match(site.text, start, end)
        if identifier is None or (identifier.end() < end and site.text[identifier.end()].isalpha()):
            phrase_end = site.skip_phrase(start)
            site.report(
                "N3001",
                Span(start, phrase_end),
                f"expected `key: value`, found {shown(site.text[start:phrase_end])}",
                help="a key of other characters than letters, digits, `_` and `-` needs quotes",
            )
            return
        end = identifier.end()
    _insert_colon(site, start, end, quoted=kind == "STRING")


def _insert_colon(site: Site, start: int, end: int, *, quoted: bool) -> None:
    """What stands from `start` to `end` is a key without its colon."""
    text = site.text[start:end]
    name = text[1:-1] if quoted else text
    equals = _EQUALS.match(site.text, end, site.limit)
    behind = equals.end() if equals is not None else end
    following = site.any_token(behind)
    has_value = (
        following is not None
        and following[0] in VALUES | {"TEXT"}
        and "\n" not in site.text[behind : following[1]]
    )
    if equals is not None:
        fix = replacement("replace it by `:`", end, behind, ": ")
        message = f"`{name}` is set with `:`, not with `{equals[0].strip()}`"
    else:
        fix = replacement("insert `:`", end, end, ":")
        message = f"a colon is missing after {shown(text)}"
    if not has_value:
        message = f"{shown(text)} has neither colon nor value"
    site.report(
        "N3006",
        Span(start, end),
        message,
        help=f"write `{text}: …`",
        fixes=(fix,) if has_value else (),
    )
    site.machine.feed_node("KEY", Key(name, Span(start, end), Span(end, end), quoted))
    site.go_on_at(behind)
    if not has_value:
        site.machine.supply("value", None)


def _drop_comma(site: Site, start: int, end: int) -> None:
    site.report(
        "N3022",
        Span(start, end),
        "this comma separates nothing",
        fixes=(replacement("remove the comma", start, end, ""),),
    )
    site.go_on_at(end)


def _mend_closer(site: Site, token: Token) -> None:
    """A closer that is not the one of the innermost block."""
    kind, start, end = token
    if kind == "RBRACKET" and mend_bracketed_word(site, start):
        return
    opener = site.openers()[-1]
    wanted = {"{": "RBRACE", "<": "GREATER"}[site.opener_text(opener)]
    if site.machine.closes_outer(kind):
        report_unclosed(site, [opener], Span(start, end))
        site.insert(wanted)
    elif kind == "RBRACKET" and site.follows_value(start) and "\n" in site.text[opener.end : start]:
        site.report(
            "N3011",
            Span(start, end),
            "this `]` closes nothing",
            fixes=(replacement("remove it", start, end, ""),),
        )
        site.go_on_at(end)
    elif kind == "GREATER" and site.follows_value(start):
        _mend_second_value(site, start)
    else:
        closer = "}" if wanted == "RBRACE" else ">"
        site.report(
            "N3020",
            Span(start, end),
            f"`{site.opener_text(opener)}` is closed by `{site.text[start]}`",
            label=f"`{closer}` was expected",
            labels=(Label(opener, "opened here"),),
            fixes=(replacement(f"replace it by `{closer}`", start, end, closer),),
        )
        site.use_as(wanted, start, end)


def _report_pair_in_list(site: Site, start: int) -> None:
    token = site.any_token(start)
    end = start if token is None else token[2]
    site.go_on_at(end)
    phrase_end = site.skip_phrase(end) if _more_on_line(site, end) else end
    site.report(
        "N3001",
        Span(start, phrase_end),
        "a list holds values, not pairs",
        help="write the pair in braces: `[{ key: value }]`",
    )


def _more_on_line(site: Site, at: int) -> bool:
    following = site.any_token(at)
    return (
        following is not None
        and following[0] not in CLOSERS | {"COMMA"}
        and "\n" not in site.text[at : following[1]]
    )
