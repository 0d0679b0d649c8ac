"""The page that explains a code: what, why, an example that has exactly this finding, and its fix.

`explanations/N3012.md` and its neighbours are also docs/errors; a test runs every example and every fix.
"""

from __future__ import annotations

from importlib.resources import files

__all__ = ["explanation"]


def explanation(code: str) -> str:
    """The page of a code that `CODES` lists, as Markdown."""
    return (files("namel3ss.language") / "explanations" / f"{code}.md").read_text(encoding="utf-8")
