"""Which version of Ollama a server is, and whether that one is known to be unsafe."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["version_warning"]

_SAFE_SINCE: Final = (0, 17, 1)
_NUMBERS: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


def version_warning(version: str) -> str | None:
    """What to tell the operator about a server of this version; None where nothing speaks against it.

    Builds without a number (development ones say `0.0.0`) are not judged.
    """
    found = _NUMBERS.match(version)
    if found is None:
        return None
    numbers = (int(found[1]), int(found[2]), int(found[3]))
    if numbers == (0, 0, 0) or numbers >= _SAFE_SINCE:
        return None
    wanted = ".".join(map(str, _SAFE_SINCE))
    return (
        f"Ollama {version} has known holes: whoever may create models there can read the server's memory."
        f" Update it to {wanted} or later."
    )
