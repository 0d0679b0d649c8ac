"""The classes of the gateway, as far as keys need them: their priorities, and the one of keys that name none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.language.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Classes"]

_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Classes:
    """Class to priority. A lower number is served first."""

    priorities: Mapping[str, int]
    default: str

    @classmethod
    def of(cls, priorities: Mapping[str, int]) -> Self:
        """Keys without a class have the class `default`, or else the one that is served last."""
        if _DEFAULT in priorities:
            return cls(priorities, _DEFAULT)
        return cls(priorities, max(priorities, key=lambda name: priorities[name]))

    def check(self, name: str | None) -> None:
        """Raises Refusal for a class that the gateway does not have."""
        if name is not None and name not in self.priorities:
            raise Refusal(
                Reason.invalid,
                f"The gateway has no class {name[:80]!r}.",
                suggestion=did_you_mean(name, self.priorities) or f"It has {', '.join(self.priorities)}.",
            )
