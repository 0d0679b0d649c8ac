"""Texts of callers, before they are stored: names, notes, and what merely has to fit."""

from __future__ import annotations

import re
from typing import Final

from namel3ss.gateway.errors import Reason, Refusal

__all__ = ["check_name", "check_note", "fit", "is_name"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_LONGEST_NOTE: Final = 200


def fit(text: str, length: int) -> str:
    """The text as every database takes it: no NUL, no half characters, no more than its column holds."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()[:length]


def is_name(text: str) -> bool:
    """Whether this could be the name of anything that is stored. Other texts are not even asked for."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str, what: str) -> str:
    """The name as given. Raises Refusal for one that could be mistaken for something else in a list or a command."""
    if not is_name(name):
        raise Refusal(
            Reason.invalid,
            f"{name[:80]!r} cannot be the name of {what}.",
            suggestion="Take up to 64 letters, digits and the signs . _ @ + - and begin with a letter or digit.",
        )
    return name


def check_note(note: str) -> str:
    """The note as given. Raises Refusal for a text that is too long or holds what no note needs."""
    if len(note) > _LONGEST_NOTE or not note.isprintable():
        raise Refusal(Reason.invalid, f"A note is one line of at most {_LONGEST_NOTE} characters.")
    return note
