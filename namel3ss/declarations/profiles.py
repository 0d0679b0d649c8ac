"""Profiles: `app.prod.ai` beside `app.ai` lays its own values over those of the program."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from namel3ss.declarations.written import merge_pairs, merge_settings
from namel3ss.errors import UsageError
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.drafts import Draft
    from namel3ss.declarations.findings import Findings
    from namel3ss.declarations.parts import DeclaredPart

__all__ = ["Layer", "Origins", "base_of", "lay_over", "profile_path", "suggest_profile"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*\Z")
_MOST_COMPARED: Final = 1000
_MOST_LAYERS: Final = 200

LayerKind: TypeAlias = Literal["extends", "model", "profile"]


def profile_path(path: str, profile: str) -> str:
    """The file of a profile: `app.prod.ai` for `app.ai` and `prod`. Raises UsageError for what is no name."""
    if not _NAME.match(profile):
        raise UsageError(
            f"{profile!r} is not the name of a profile.",
            suggestion="A profile's name has letters, digits, _ and -, such as prod.",
        )
    stem, ending = os.path.splitext(path)
    return f"{stem}.{profile}{ending or '.ai'}"


def base_of(path: str) -> tuple[str, str] | None:
    """The file that a profile lies over and the profile's name; None for a file that stands for itself."""
    stem, ending = os.path.splitext(path)
    base, dot, name = stem.rpartition(".")
    if not dot or not _NAME.match(name) or not os.path.basename(base) or not os.path.isfile(base + ending):
        return None
    return base + ending, name


def suggest_profile(path: str, profile: str) -> str:
    """What to do about a profile whose file is not there."""
    stem, ending = os.path.splitext(os.path.basename(path))
    ending, names = ending or ".ai", []
    with contextlib.suppress(OSError), os.scandir(os.path.dirname(path) or ".") as entries:
        for _, entry in zip(range(_MOST_COMPARED), entries, strict=False):
            name = entry.name[len(stem) + 1 : -len(ending)]
            if entry.name == f"{stem}.{name}{ending}" and _NAME.match(name):
                names.append(name)
    if near := closest(profile, names):
        return f"Did you mean `{near[0]}`?"
    if names:
        return f"There is {', '.join(f'`{name}`' for name in sorted(names)[:10])}."
    return "Write it, or leave --profile out."


def lay_over(base: dict[str, Draft], profile: Mapping[str, Draft], findings: Findings) -> dict[str, Draft]:
    """The drafts with a profile over them: the profile's value wins, maps merge key by key."""
    laid = dict(base)
    for name, draft in profile.items():
        below = base.get(name)
        if below is None:
            laid[name] = draft
        else:
            work = functools.partial(_merged, below, draft)
            laid[name] = findings.recall("lay over", (below, draft), None, work)
    return laid


def _merged(below: Draft, above: Draft) -> Draft:
    return replace(
        below,
        keys=merge_pairs(below.keys, above.keys),
        settings=merge_settings(below.settings, above.settings),
        is_broken=below.is_broken or above.is_broken,
        has_gaps=below.has_gaps or above.has_gaps,
    )


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place wrote for a model: `name` is the ai model it was written for, by itself or by a profile."""

    kind: LayerKind
    name: str
    draft: Draft


class Origins:
    """What was written for each model, before anything was laid over anything; `parts` are the other declarations."""

    def __init__(
        self, base: Mapping[str, Draft], profile: Mapping[str, Draft], parts: Mapping[str, DeclaredPart]
    ) -> None:
        self._base = base
        self._profile = profile
        self.parts = parts

    def layers(self, name: str) -> tuple[Layer, ...]:
        """Everything written for a model, weakest first: what it extends, itself, the profile."""
        found: list[Layer] = []
        current: str | None = name
        while current is not None and len(found) < _MOST_LAYERS:
            profile, own = self._profile.get(current), self._base.get(current)
            if profile is not None:
                found.append(Layer("profile", current, profile))
            if own is not None:
                found.append(Layer("model" if current == name else "extends", current, own))
            current = _parent(profile, own)
        return tuple(reversed(found))


def _parent(profile: Draft | None, own: Draft | None) -> str | None:
    for draft in (profile, own):
        written = draft.keys.get("extends") if draft is not None else None
        if written is not None:
            return written.content if isinstance(written.content, str) else None
    return None
