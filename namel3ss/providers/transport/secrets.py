"""What of a client's headers no message may repeat, whoever says it.

What is said is first rid of secrets and then cut to be quoted: of a secret that a cut has halved, nobody can tell that it
is one.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from namel3ss.errors import N3Error

__all__ = ["NO_SECRETS", "Secrets"]

ErrorT = TypeVar("ErrorT", bound="N3Error")

# Shorter words stand in many a sentence by chance.
_SHORTEST: Final = 6
_MASK: Final = "***"


class Secrets:
    """The values of headers, but for the `public` ones, and what of a value follows its scheme ("Bearer")."""

    def __init__(self, headers: Mapping[str, str], *, public: Collection[str] = ()) -> None:
        values = [value.strip() for name, value in headers.items() if name.lower() not in public]
        words = {*values, *(value.partition(" ")[2].strip() for value in values)}
        # The longest first: one may be a part of another.
        self._words = sorted((word for word in words if len(word) >= _SHORTEST), key=len, reverse=True)

    @functools.cached_property
    def _in_bytes(self) -> list[re.Pattern[bytes]]:
        return [re.compile(_spellings(word).encode()) for word in self._words]

    @functools.cached_property
    def _in_text(self) -> list[re.Pattern[str]]:
        return [re.compile(_spellings(word)) for word in self._words]

    def hide(self, said: bytes) -> bytes:
        """What a server said, without them. To be called before it is cut to be quoted."""
        for pattern in self._in_bytes:
            said = pattern.sub(_MASK.encode(), said)
        return said

    def hide_in_text(self, said: str) -> str:
        """The same for what has been decoded."""
        for pattern in self._in_text:
            said = pattern.sub(_MASK, said)
        return said

    def hide_in_beginning(self, said: bytes) -> bytes:
        """The same for the beginning of what a server said: the first part of a secret may be how it ends."""
        said = self.hide(said)
        for word in self._words:
            start = word.encode()
            for length in range(min(len(start) - 1, len(said)), 0, -1):
                if said.endswith(start[:length]):
                    return said[:-length] + _MASK.encode()
        return said

    def hide_in(self, error: ErrorT) -> ErrorT:
        """The same error, without them in its message."""
        hidden = self.hide_in_text(error.message)
        if hidden != error.message:
            error.message = hidden
            error.args = (hidden, *error.args[1:])
        return error


NO_SECRETS: Final = Secrets({})


def _spellings(word: str) -> str:
    r"""A pattern for the word as it is and as JSON may write it, also inside of other JSON: ``\/``, ``\u0026``, ``\\\"``."""
    return "".join(
        character
        if character.isascii() and character.isalnum()
        else rf"(?:\\{{0,7}}{re.escape(character)}|\\{{1,7}}u{_hex(character)})"
        for character in word
    )


def _hex(character: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" for digit in f"{ord(character):04x}")
