"""What checking a declaration gave, remembered for the next check of nearly the same program: an editor's keystroke.

Only who gives `check_program` a memory has one. The outcome of a step is used again while what it was made from is the
very same object, so nothing is compared; what the last check did not use is forgotten. A step may consist of steps: while
the whole is used again, they are kept for the time when it is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from namel3ss.language import Diagnostic

__all__ = ["CheckMemory", "Claim", "Noted", "Outcome"]

_Key: TypeAlias = "tuple[Hashable, ...]"


class Noted(NamedTuple):
    """A finding as it was made; `is_adopted` where it came from a check of its own."""

    found: Diagnostic
    is_adopted: bool


class Claim(NamedTuple):
    """What a step asked for, and whether it was the first."""

    thing: Hashable
    owner: Hashable
    was_first: bool


class Outcome(NamedTuple):
    """What a step gave.

    `looked_for_names`: it suggested names, which a check with many findings would not have done. `asked_if_full`: it would
    have stopped if there had been too many. `made_from` keeps alive the objects whose identity the key holds; `inner` are
    the steps that it consists of. `is_silent`: it found nothing, claimed nothing and looked for no names.
    """

    value: object
    findings: tuple[Noted, ...]
    claims: tuple[Claim, ...]
    looked_for_names: bool
    asked_if_full: bool
    made_from: tuple[object, ...]
    inner: Mapping[_Key, Outcome]
    is_silent: bool


class CheckMemory:
    """The outcomes of the last check. For checks of one program with one environment and the same providers."""

    def __init__(self) -> None:
        self._last: dict[_Key, Outcome] = {}
        self._now: dict[_Key, Outcome] = {}
        self._last_details: dict[Hashable, Hashable] = {}
        self._details: dict[Hashable, Hashable] = {}

    def begin(self) -> None:
        """A new check begins."""
        self._last, self._now = self._now, {}
        self._last_details, self._details = self._details, {}

    def same(self, detail: Hashable) -> Hashable:
        """The object that was equal to `detail` in the last check, so that its identity tells that it is."""
        known = self._last_details.get(detail, detail)
        return self._details.setdefault(known, known)

    def get(self, key: _Key) -> Outcome | None:
        """What a step gave in the last check."""
        return self._last.get(key) or self._now.get(key)

    def get_silent(self, keys: Sequence[_Key]) -> list[Outcome | None]:
        """What steps gave that are silent; they are kept.

        None stands for any other step.
        """
        found = [
            known if known is not None and known.is_silent else None for known in map(self._last.get, keys)
        ]
        for key, known in zip(keys, found, strict=True):
            if known is not None:
                self._now[key] = known
                if known.inner:
                    self._now.update(known.inner)
        return found

    def keep(self, key: _Key, outcome: Outcome) -> None:
        self._now.update(outcome.inner)
        self._now[key] = outcome

    def begin_step(self) -> dict[_Key, Outcome]:
        """A step is being done. What is kept until `end_step` belongs to it; that gets what is given here."""
        outer, self._now = self._now, {}
        return outer

    def end_step(self, outer: dict[_Key, Outcome]) -> Mapping[_Key, Outcome]:
        """The steps that it consisted of, which are kept in any case."""
        inner, self._now = self._now, outer
        self._now.update(inner)
        return inner
