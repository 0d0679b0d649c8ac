"""Mistakes in the head of a declaration: its name, and the brace behind it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from namel3ss.language.diagnostics import Fix, TextEdit
from namel3ss.language.findings import replacement
from namel3ss.language.recovery_site import KEYS, Site, shown
from namel3ss.language.source import Span
from namel3ss.language.strings import quote
from namel3ss.language.tree import Name

if TYPE_CHECKING:
    from namel3ss.language.machine import Token

__all__ = ["mend_body", "mend_import", "mend_name"]

# `a extends base` or `a : base`, as classes are declared elsewhere.
_EXTENDING = re.compile(
    r"([A-Za-z_][A-Za-z0-9_-]*)(?:[ \t]+(?:extends|inherits|from)|[ \t]*:)[ \t]+([A-Za-z_][A-Za-z0-9_-]*)"
)
# The rest of a head: up to a `{`, a `<` that stands alone, a comment or the line's end.
_OPENER_ALONE = re.compile(r"[ \t]*+[{<]?[ \t]*+(?:#|\r?\n|\Z)")
_REST_OF_HEAD = re.compile(r"[^\s{]++(?:[ \t]++(?![<#])[^\s{]++)*+")


def mend_name(site: Site, token: Token | None) -> None:
    """No name follows a keyword that wants one, or something that cannot be a bare name."""
    keyword = site.last_node
    assert isinstance(keyword, Span), "a name follows its keyword"
    rest = _rest_of_head(site, token)
    if rest is not None:
        _mend_spelling(site, rest, rest.start)
    elif site.machine.accepts("LBRACE"):
        mend_body(site, token)
    else:
        word = site.text[keyword.start : keyword.end]
        site.report(
            "N3016",
            keyword,
            f"`{word}` needs a name",
            label="a name was expected after this",
            help=f"write `{word} NAME {{ … }}`",
        )
        site.machine.supply("name", None)


def mend_body(site: Site, token: Token | None) -> None:
    """Behind the name, or the keyword alone, the opening brace does not come."""
    rest = None if token is not None and token[0] in KEYS else _rest_of_head(site, token)
    name = site.last_node
    if rest is not None and isinstance(name, Name):
        site.machine.drop_last_node()
        _mend_spelling(site, rest, name.span.start)
        return
    start = name.span.start if isinstance(name, Name) else site.at
    start = name.start if isinstance(name, Span) else start
    head = Span(start, site.at)
    site.report(
        "N3012",
        head,
        f"the block of {shown(site.text[start : site.at])} has no opening brace",
        label="`{` was expected after this",
        fixes=(replacement("insert `{`", site.at, site.at, " {"),),
    )
    site.insert("LBRACE")


def mend_import(site: Site, token: Token | None) -> None:
    """`import` is not followed by a quoted path."""
    rest = _rest_of_head(site, token)
    if rest is None:
        keyword = Span(site.at - len("import"), site.at)
        site.report("N3021", keyword, "`import` needs a path", help='write import "./models.ai"')
        site.machine.feed_node("STRING", site.machine.string_of(site.at, site.at))
        return
    text = site.text[rest.start : rest.end]
    site.report(
        "N3021",
        rest,
        f"the path {shown(text)} needs quotes",
        fixes=(replacement("quote the path", rest.start, rest.end, quote(text.strip("\"'"))),),
    )
    site.use_text_as_string(rest.start, rest.end)


def _rest_of_head(site: Site, token: Token | None) -> Span | None:
    start = site.skip_blanks(site.at) if token is None else token[1]
    if not site.on_line_of_last_token(start):
        return None
    found = _REST_OF_HEAD.match(site.text, start, site.limit)
    return None if found is None else Span(start, found.end())


def _mend_spelling(site: Site, rest: Span, name_start: int) -> None:
    """Take everything from `name_start` to the end of `rest` for the name."""
    text = site.text[name_start : rest.end]
    if (extending := _EXTENDING.fullmatch(text)) is not None and _is_model(site):
        _mend_extends(site, extending, name_start)
        return
    name = text.removesuffix(":").rstrip().strip("\"'“”„‘’")
    if text.endswith(":"):
        site.report(
            "N3001",
            Span(rest.end - 1, rest.end),
            "no colon stands between a name and its block",
            # With more on the line, it may be something else that is wrong.
            fixes=(
                replacement(
                    "remove the colon",
                    rest.end - 1,
                    rest.end,
                    "",
                    safe=_OPENER_ALONE.match(site.text, rest.end) is not None,
                ),
            ),
        )
    else:
        site.report(
            "N3016",
            Span(name_start, rest.end),
            f"the name {shown(text)} needs quotes",
            help="a bare name is one word of letters, digits, `_` and `-`",
            fixes=(replacement("quote the name", name_start, rest.end, quote(name)),),
        )
    site.machine.supply("name", Name(name, Span(name_start, rest.end)))
    site.go_on_at(rest.end)


def _is_model(site: Site) -> bool:
    keyword = site.machine.nodes[0]
    return isinstance(keyword, Span) and site.text[keyword.start : keyword.end].startswith(("ai", "llm"))


def _mend_extends(site: Site, found: re.Match[str], start: int) -> None:
    """What a model extends stands behind its name; the name alone is taken."""
    name_end, end = start + found.end(1), start + found.end()
    brace = site.skip_blanks(end)
    written = f"extends: {found[2]}"
    fix = Fix(
        f"write `{written}`",
        (
            TextEdit(Span(name_end, end), ""),
            TextEdit(Span(brace + 1, brace + 1), f" {written}"),
        ),
    )
    site.report(
        "N3001",
        Span(name_end, end),
        "what an ai model extends stands in its block",
        help=f"write `{written}` behind the brace",
        fixes=(fix,) if site.text.startswith("{", brace) else (),
    )
    site.machine.supply("name", Name(found[1], Span(start, name_end)))
    site.go_on_at(end)
