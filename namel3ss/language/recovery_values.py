"""Mistakes where a value should stand: none there, a template without quotes, half a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.language.diagnostics import Fix, Label, TextEdit
from namel3ss.language.findings import replacement
from namel3ss.language.recovery_site import CLOSERS, KEYS, SCALARS, VALUES, Site, shown
from namel3ss.language.source import Span
from namel3ss.language.strings import quote
from namel3ss.language.tree import Key

if TYPE_CHECKING:
    from namel3ss.language.machine import Token

__all__ = [
    "is_unquoted_template",
    "mend_default",
    "mend_fallback",
    "mend_map_value",
    "mend_pair_value",
    "mend_string",
    "mend_template",
]

# Keys whose value is always a map.
_MAPS = frozenset(
    {"config", "deployment_config", "input", "options", "headers", "queue", "priorities", "cache"}
)
_LOOK_AHEAD = 200  # characters of the line that are looked at to guess what was meant


def mend_pair_value(site: Site, key: Key, token: Token) -> None:
    """``key:`` is followed on its line by something that is no value."""
    kind, start, _ = token
    if kind in KEYS and site.on_line_of_last_token(start) and _closes_more_than_it_opens(site, start):
        _insert_brace(site, key)
        return
    if kind in KEYS and site.on_line_of_last_token(start) and key.text in _MAPS:
        _report_map_without_braces(site, key, start)
    else:
        _report_empty(site, key)
    site.machine.supply("value", None)


def mend_map_value(site: Site, key: Key, token: Token) -> None:
    """``key:`` ends its line, and neither a map nor a list follows."""
    kind, start, end = token
    if kind in KEYS and site.indentation(start) > site.indentation(key.span.start):
        _insert_brace(site, key)
        return
    if (
        kind in SCALARS
        and site.indentation(start) > site.indentation(key.span.start)
        and _ends_line(site, end)
    ):
        site.report(
            "N3005",
            key.span.cover(key.colon),
            f"`{key.text}` has no value on its line",
            label="the value belongs here",
            labels=(Label(Span(start, end), "this looks like it"),),
            help="write the value on the line of its key",
            fixes=(replacement("join the lines", key.colon.end, start, " ", safe=False),),
        )
        site.machine.supply("map", site.machine.take(kind, start, end))
        site.go_on_at(end)
        return
    _report_empty(site, key)
    site.machine.supply("map", None)


def is_unquoted_template(site: Site, token: Token) -> bool:
    """Whether a `{` or `%` right behind a map's first brace shows that a template was meant."""
    start = token[1]
    match site.machine.nodes[-3:]:
        case [Key(), Span() as opener, []]:
            return opener.end == start and site.text[opener.start] == "{" and site.text[start] in "{%"
    return False


def mend_template(site: Site) -> None:
    """``key: {{input.text}}`` without quotes: the first brace was taken for a map's."""
    machine = site.machine
    opener = machine.nodes[-2]
    assert isinstance(opener, Span), "is_unquoted_template looked"
    machine.drop_last_node()
    machine.drop_last_node()
    line_end = site.line_end(opener.start)
    closing = max(site.text.rfind(mark, opener.start, line_end) for mark in ("}}", "%}"))
    end = closing + 2 if closing >= 0 else line_end
    phrase = site.text[opener.start : end]
    site.report(
        "N3015",
        Span(opener.start, end),
        "a template needs quotes",
        help="write " + shown(quote(phrase)),
        fixes=(replacement("quote the template", opener.start, end, quote(phrase)),),
    )
    machine.supply("value" if machine.expects("value") else "map", machine.string_of(opener.start, end))
    site.go_on_at(end)


def mend_fallback(site: Site, token: Token) -> None:
    """Nothing that can be a default follows ``??``."""
    if token[0] in VALUES and site.on_line_of_last_token(token[1]):
        message = "bad reference to the environment: a default is a single value"
        end = site.skip_phrase(token[1])
        span = Span(token[1], end)
    else:
        message = "bad reference to the environment: nothing follows the `??`"
        span = Span(site.at - 2, site.at)
    site.report("N3007", span, message, help='write env.NAME ?? "default"')
    site.machine.supply("fallback", None)


def mend_default(site: Site) -> None:
    """Nothing follows the ``=`` of a type."""
    site.report(
        "N3005",
        Span(site.at - 1, site.at),
        "no default follows the `=`",
        help="write the default, or take the `=` away",
    )
    site.machine.supply("literal", None)


def mend_string(site: Site, token: Token) -> None:
    """A choice between strings goes on with something else."""
    kind, start, end = token
    if kind in VALUES and site.on_line_of_last_token(start):
        word = site.text[start:end]
        site.report(
            "N3001",
            Span(start, end),
            f"{shown(word)} needs quotes: a choice is between strings",
            fixes=(replacement("quote it", start, end, quote(word)),),
        )
        site.use_text_as_string(start, end)
        return
    site.report("N3001", Span(site.at - 1, site.at), "a string was expected after this")
    site.machine.feed_node("STRING", site.machine.string_of(site.at, site.at))


def _report_empty(site: Site, key: Key) -> None:
    site.report(
        "N3005",
        key.span.cover(key.colon),
        f"`{key.text}` has no value",
        label="a value was expected after the colon",
        help=f"write a value, or remove the key; `{key.text}: null` unsets it",
        fixes=(replacement("insert `null`", key.colon.end, key.colon.end, " null", safe=False),),
    )


def _insert_brace(site: Site, key: Key) -> None:
    site.report(
        "N3012",
        key.span.cover(key.colon),
        f"the opening brace of `{key.text}` is missing",
        label="`{` was expected after the colon",
        fixes=(replacement("insert `{`", key.colon.end, key.colon.end, " {"),),
    )
    site.insert("LBRACE")


def _report_map_without_braces(site: Site, key: Key, start: int) -> None:
    """``input: name: str, age: int``: the rest of the line is passed over."""
    end = site.line_end(start)
    edits = (TextEdit(Span(start, start), "{ "), TextEdit(Span(end, end), " }"))
    site.report(
        "N3012",
        key.span.cover(key.colon),
        f"the braces of `{key.text}` are missing",
        label="`{` was expected after the colon",
        fixes=(Fix("insert the braces", edits, safe=False),),
    )
    site.go_on_at(end)


def _closes_more_than_it_opens(site: Site, start: int) -> bool:
    line = site.text[start : start + _LOOK_AHEAD].partition("\n")[0]
    return line.count("}") > line.count("{")


def _ends_line(site: Site, end: int) -> bool:
    following = site.any_token(end)
    return following is None or following[0] in CLOSERS or "\n" in site.text[end : following[1]]
