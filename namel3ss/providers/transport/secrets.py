"""What of a client's headers no message may repeat, whoever says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from namel3ss.errors import N3Error

__all__ = ["Secrets"]

ErrorT = TypeVar("ErrorT", bound="N3Error")

# Shorter words stand in many a sentence by chance.
_SHORTEST: Final = 6
_MASK: Final = "***"


class Secrets:
    """The values of headers, but for the `public` ones, and what of a value follows its scheme ("Bearer")."""

    __slots__ = ("_words",)

    def __init__(self, headers: Mapping[str, str], *, public: Collection[str] = ()) -> None:
        values = [value.strip() for name, value in headers.items() if name.lower() not in public]
        words = {*values, *(value.partition(" ")[2].strip() for value in values)}
        # The longest first: one may be a part of another.
        self._words = sorted((word for word in words if len(word) >= _SHORTEST), key=len, reverse=True)

    def hide(self, said: bytes) -> bytes:
        """What a server said, without them. To be called before it is cut to be quoted."""
        for word in self._words:
            said = said.replace(word.encode(), _MASK.encode())
        return said

    def hide_in(self, error: ErrorT) -> ErrorT:
        """The same error, without them in its message."""
        for word in self._words:
            if word in error.message:
                error.message = error.message.replace(word, _MASK)
                error.args = (error.message, *error.args[1:])
        return error
