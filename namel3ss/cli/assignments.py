"""``key=value`` from ``--set`` and ``/set``: read by the type that the provider's config model gives the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.errors import UsageError
from namel3ss.providers.setting_problems import problems_of, read_text
from namel3ss.providers.settings import setting_infos

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel

__all__ = ["read_assignment", "read_assignments"]


def read_assignments(texts: Iterable[str], model: type[BaseModel]) -> dict[str, object]:
    """The settings that all these texts make; the last one of a key holds. Raises UsageError."""
    return dict(read_assignment(text, model) for text in texts)


def read_assignment(text: str, model: type[BaseModel]) -> tuple[str, object]:
    """One setting and its value. Raises UsageError that names the key and what may be written."""
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageError(f"{text!r} is not a setting.", suggestion="Write key=value, such as temperature=0.2")
    info = setting_infos(model).get(key)
    if info is not None and info.secret:
        raise UsageError(
            f"{key} cannot be set on the command line, where other users of this machine can read it.",
            suggestion=f"Write `{key}: env.NAME` in the file and set that variable.",
        )
    typed = None if value == "null" else read_text(model, (key,), value)
    for problem in problems_of(model, key, typed):
        raise UsageError(problem.message, suggestion=problem.suggestion)
    return key, typed
