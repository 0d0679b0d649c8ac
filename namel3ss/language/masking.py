"""Secrets that stand in a file do not get from there into a log: source lines are shown without them."""

from __future__ import annotations

import re
from typing import Final

from namel3ss.language.source import Span

__all__ = ["is_secret", "masked", "secrets_in"]

_SECRET = r"(?<![\w-])[\w-]*(?:api[-_]?key|token(?!s)|secret|passw|credential|authorization|cookie)[\w-]*+"
_KEY = re.compile(_SECRET, re.IGNORECASE)
# A colon may be what is missing. The value runs to a blank and `#`, a closer or comma outside of quotes, or the
# line's end. References are no secrets.
_VALUE = re.compile(
    rf"""({_SECRET}["']?[ \t]*+[:=][ \t]*+|^[ \t]*+{_SECRET}["']?[ \t]++)(?!env\.)"""
    r"""((?:"(?:[^"\\]|\\.)*+(?:"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z)|(?![ \t]\#)[^,}\]{\["'])++)""",
    re.IGNORECASE,
)
# What gives itself away without a key: tokens of known services, private keys, and passwords in URLs. The repetitions give
# nothing back, so that no text takes longer than its length.
_LOOKS = re.compile(
    r"""(?<![\w-])(?:sk-(?=[\w-]*\d)[\w-]{20,}+|gh[oprsu]_[A-Za-z0-9]{30,}+|github_pat_\w{30,}+|glpat-[\w-]{20,}+"""
    r"""|hf_[A-Za-z0-9]{30,}+|AKIA[0-9A-Z]{16}(?!\w)|AIza[\w-]{35}(?![\w-])|xox[abprs]-[\w-]{20,}+"""
    r"""|Bearer[ ](?=[^\s"']*\d)[\w.~+/=-]{20,}+)"""
    r"""|-----BEGIN[ ][A-Z ]{0,40}PRIVATE[ ]KEY-----"""
    r"""|(?<=://)[^/?#@\s"':{]*+:[^/?#@\s"'{]++(?=@)""",
    re.ASCII,
)
_MOST_SECRETS: Final = 100


def secrets_in(text: str) -> tuple[Span, ...]:
    """Where something stands that looks like a secret by itself; the first hundred places."""
    found = (Span(*match.span()) for match in _LOOKS.finditer(text))
    return tuple(span for span, _ in zip(found, range(_MOST_SECRETS), strict=False))


def is_secret(key: str) -> bool:
    """Whether a key's name says that its value is nobody's business."""
    return _KEY.fullmatch(key) is not None


def masked(line: str) -> str:
    """The line, as long as it was, with ``*`` for the characters of secrets: by the names of their keys, or by their looks."""
    line = _VALUE.sub(lambda found: found[1] + _stars(found[2]), line)
    return _LOOKS.sub(lambda found: _stars(found[0]), line)


def _stars(text: str) -> str:
    return re.sub(r"[^\s\"']", "*", text)
