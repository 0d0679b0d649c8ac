"""``key=value`` from ``--set`` and ``/set``: read by the type that the provider's config model gives the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.errors import UsageError
from namel3ss.providers.setting_problems import problems_of, read_text
from namel3ss.providers.settings import setting_infos

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pydantic import BaseModel

__all__ = ["read_assignment", "read_assignments"]


def read_assignments(
    texts: Iterable[str], model: type[BaseModel], *, chosen: str = "", declared: Collection[str] = ()
) -> dict[str, object]:
    """The settings that these texts give the chosen model; the last one of a key holds.

    ``name.key=value`` is for the model of that name alone, one of `declared`. Raises UsageError.
    """
    settings: dict[str, object] = {}
    for text in texts:
        name, dot, rest = text.partition(".")
        if not dot or "=" in name or name not in declared:
            name, rest = chosen, text
        if name == chosen:
            key, value = read_assignment(rest, model)
            settings[key] = value
    if settings.get("base_url") is not None and "hosts" in setting_infos(model):
        settings.setdefault("hosts", None)  # the file's list of servers would be asked instead
    return settings


def read_assignment(text: str, model: type[BaseModel]) -> tuple[str, object]:
    """One setting and its value, None where ``null`` takes away what the file says.

    Raises UsageError that names the key and what may be written.
    """
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
    takes_away = value == "null"
    typed = None if takes_away else read_text(model, (key,), value)
    for problem in problems_of(model, key, typed):
        if problem.kind == "unknown" or not takes_away:
            raise UsageError(problem.message, suggestion=problem.suggestion)
    return key, typed
