"""What other languages write, understood well enough to say what this one writes instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from namel3ss.language.findings import replacement
from namel3ss.language.masking import is_secret
from namel3ss.language.recovery_site import shown
from namel3ss.language.source import Span
from namel3ss.language.strings import quote
from namel3ss.language.tree import BareWord, TypeForm

if TYPE_CHECKING:
    from namel3ss.language.diagnostics import Fix
    from namel3ss.language.recovery_site import Site

__all__ = [
    "comment_mark",
    "duration_meant",
    "mend_bracketed_word",
    "mend_comment",
    "mend_union",
    "wanted_default",
]

_TYPES: Final = frozenset({"str", "int", "float", "bool", "object"})
_LISTS: Final = frozenset({"list", "array", "sequence", "tuple", "set"})
_REST_OF_WORD: Final = re.compile(r"[^\s,}]*+")
_GENERIC: Final = re.compile(r"([A-Za-z]+)\[([a-z]*)\](\??)")
_VARIABLE: Final = re.compile(r"(?:os\.|process\.)?env(?:iron)?\[[\"']?([A-Za-z_][A-Za-z0-9_]*)[\"']?\]")
_NULL: Final = re.compile(r"\|[ \t]*(?:null|None|nil|undefined)")
_COMMENT: Final = re.compile(r"//+|/\*|--(?=\s)")
_UNIT: Final = re.compile(r"(s|secs?|seconds?)|(m|mins?|minutes?)|(h|hrs?|hours?)", re.IGNORECASE)
_DEFAULT: Final = re.compile(r"(?:\|\|?|or|\?:?|:-?|default)[ \t]*(\"[^\"\n]*\"|'[^'\n]*'|[\w.+-]+)")


def comment_mark(text: str, at: int) -> str | None:
    """What begins a comment here in another language, and not in this one."""
    found = _COMMENT.match(text, at)
    return None if found is None else found[0]


def mend_comment(site: Site, start: int) -> bool:
    """``// a comment``: the rest of the line is passed over; False where it is something else."""
    mark = comment_mark(site.text, start)
    if mark is None:
        return False
    site.report(
        "N3001",
        Span(start, start + len(mark)),
        f"a comment begins with `#`, not with `{mark}`",
        # Between words without quotes it may be text.
        fixes=(replacement("write `#`", start, start + len(mark), "#", safe=False),),
    )
    site.go_on_at(site.line_end(start))
    return True


def mend_bracketed_word(site: Site, closer: int) -> bool:
    """A `]` right behind a bare word that holds its `[`, as in ``List[str]``; False where it is something else."""
    word = site.last_value()
    if not isinstance(word, BareWord) or word.span.end != closer or "[" not in word.value:
        return False
    rest = _REST_OF_WORD.match(site.text, closer, site.limit)
    end = closer + 1 if rest is None else rest.end()
    start, text = word.span.start, site.text[word.span.start : end]
    span = Span(start, end)
    if (variable := _VARIABLE.fullmatch(text)) is not None:
        meant = f"env.{variable[1]}"
        site.report(
            "N3007",
            span,
            f"bad reference to the environment: {shown(text)} has brackets",
            help=f"write {meant}",
            fixes=(replacement(f"write {meant}", start, end, meant, safe=False),),
        )
    elif (type_meant := _type_meant(text)) is not None:
        site.report(
            "N3505",
            span,
            f"there is no type {shown(text)}",
            label="not a type",
            help=f"did you mean `{type_meant}`?",
            fixes=(replacement(f"Write {type_meant}", start, end, type_meant, safe=False),),
        )
    else:
        site.report(
            "N3001",
            span,
            f"{'the value' if is_secret(site.last_key()) else shown(text)} needs quotes: a bare word ends before `]`",
            fixes=(replacement("quote it", start, end, quote(text)),),
        )
    site.go_on_at(end)
    return True


def _type_meant(text: str) -> str | None:
    found = _GENERIC.fullmatch(text)
    if found is None:
        return None
    outer, inner, mark = found.groups()
    if not inner:
        return f"list[{outer}]{mark}" if outer in _TYPES else None
    if outer.lower() == "optional":
        return f"{inner}?"
    return f"list[{inner}]{mark}" if outer.lower() in _LISTS else None


def mend_union(site: Site, bar: int) -> bool:
    """A type, a `|` and another type; False where what stands before the `|` is no type."""
    first = site.last_value()
    if not isinstance(first, TypeForm) and not (isinstance(first, BareWord) and first.value in _TYPES):
        return False
    end = site.skip_phrase(bar)
    start = first.span.start
    help_text = "write one type; `?` behind it allows null"
    fixes: tuple[Fix, ...] = ()
    if _NULL.fullmatch(site.text, bar, end) is not None:
        meant = f"{site.text[start : first.span.end]}?"
        help_text = f"write `{meant}`"
        fixes = (replacement(f"Write {meant}", start, end, meant, safe=False),)
    site.report(
        "N3505",
        Span(start, end),
        f"{shown(site.text[start:end])} is no type: `|` stands between texts only",
        label="not a type",
        help=help_text,
        fixes=fixes,
    )
    return True


def duration_meant(number: str, unit: str) -> str | None:
    """`10` and `minutes` as this language writes them, `10m`; None for what is no unit of time."""
    found = _UNIT.fullmatch(unit)
    return None if found is None else f"{number}{next(filter(None, found.groups()))[0].lower()}"


def wanted_default(text: str) -> str | None:
    """The value in ``|| 5`` or ``? "x"`` behind a reference to the environment, where a default was meant."""
    found = _DEFAULT.fullmatch(text)
    return None if found is None else found[1]
