"""What a request is aimed at: the one spelling of a path, and the key that some clients can only put into it.

A path is looked up as it was sent. Percent signs mean something only inside a parameter, which is decoded once; an
encoded slash only where a model's name goes into a path of OpenAI's. No path is mended, and nobody is sent elsewhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from namel3ss.gateway.routes import Action, Dialect, find_route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.gateway.routes import Route

__all__ = ["KEY_PREFIX", "Aim", "aim_at", "dialect_of", "split_key"]

KEY_PREFIX: Final = "/k/"

# What a parameter may not hold once it is decoded: controls, and what a log or a terminal takes for one.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")


class Aim(NamedTuple):
    """Where a path leads. Without methods it leads nowhere."""

    methods: Mapping[str, Route]
    parameters: dict[str, str]


_NOWHERE: Final = Aim({}, {})


def split_key(path: str) -> tuple[str | None, str]:
    """The key of `/k/KEY/…`, and the path behind it; None where there is none. `/k/KEY` alone leads nowhere."""
    if not path.startswith(KEY_PREFIX):
        return None, path
    key, slash, rest = path[len(KEY_PREFIX) :].partition("/")
    return key, f"/{rest}" if slash else ""


def aim_at(path: str) -> Aim:
    """Look up a path as it was sent, without its query."""
    methods, parameters = find_route(path)
    if not parameters:
        return Aim(methods, parameters)
    takes_slash = any(
        route.action is Action.SHOW_MODEL and route.dialect is Dialect.OPENAI for route in methods.values()
    )
    decoded: dict[str, str] = {}
    for name, written in parameters.items():
        value = _decode(written, takes_slash=takes_slash)
        if value is None:
            return _NOWHERE
        decoded[name] = value
    return Aim(methods, decoded)


def _decode(written: str, *, takes_slash: bool) -> str | None:
    """The parameter's value; None for one that is misspelt."""
    value = written
    if "%" in written:
        if _ESCAPE.search(written):
            return None
        try:
            value = unquote_to_bytes(written).decode()
        except UnicodeDecodeError:
            return None
        if value.count("/") != written.count("/") and not takes_slash:
            return None
    if _CONTROL.search(value) or "\\" in value:
        return None
    if any(part in ("", ".", "..") for part in value.split("/")):
        return None
    return value


def dialect_of(path: str) -> Dialect:
    """Whose words a refusal is put in where the path leads nowhere, or it is not known yet whether it leads anywhere."""
    if not path.startswith("/v1/"):
        return Dialect.OLLAMA
    return Dialect.ANTHROPIC if path.startswith("/v1/messages") else Dialect.OPENAI
