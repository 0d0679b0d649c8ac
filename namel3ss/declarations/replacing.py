"""What was probably meant in the place of what is written: another name, or a value without its quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from namel3ss.language import Fix, TextEdit
from namel3ss.language.strings import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.declarations.places import Location

__all__ = ["is_bare", "plain_meant", "written_instead"]

_BARE: Final = re.compile(r"(?!(?:true|false|null)\Z)[A-Za-z_][A-Za-z0-9_-]*\Z")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")
_BOOLEANS: Final = {
    "true": "true",
    "yes": "true",
    "on": "true",
    "false": "false",
    "no": "false",
    "off": "false",
}


def is_bare(name: str) -> bool:
    """Whether a name can be written without quotes, and is then still text."""
    return _BARE.match(name) is not None


def written_instead(place: Location, near: Sequence[str]) -> tuple[Fix, ...]:
    """Write the nearest name at `place`, where there is one: in quotes if it needs them. Unsafe, because it is a guess."""
    if not near:
        return ()
    text = near[0] if is_bare(near[0]) else quote(near[0])
    return (Fix(f"Write {near[0]}", (TextEdit(place.span, text),), safe=False),)


def plain_meant(written: object) -> str | None:
    """The number, true or false that a text stands for, as the language writes it; None for any other value."""
    if not isinstance(written, str):
        return None
    text = written.strip()
    return text if _NUMBER.fullmatch(text) else _BOOLEANS.get(text.lower())
