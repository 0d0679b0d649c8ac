"""The fix that writes the name that was probably meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from namel3ss.language import Fix, TextEdit
from namel3ss.language.strings import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.declarations.places import Location

__all__ = ["is_bare", "written_instead"]

_BARE: Final = re.compile(r"(?!(?:true|false|null)\Z)[A-Za-z_][A-Za-z0-9_-]*\Z")


def is_bare(name: str) -> bool:
    """Whether a name can be written without quotes, and is then still text."""
    return _BARE.match(name) is not None


def written_instead(place: Location, near: Sequence[str]) -> tuple[Fix, ...]:
    """Write the nearest name at `place`, where there is one: in quotes if it needs them. Unsafe, because it is a guess."""
    if not near:
        return ()
    text = near[0] if is_bare(near[0]) else quote(near[0])
    return (Fix(f"Write {near[0]}", (TextEdit(place.span, text),), safe=False),)
