"""Ways to fail on purpose, so that programs can be tested against them, and how they are written.

A fault is one of two things: a state of the whole server for as long as it runs (`Fault`), or a rule that hits some
of the requests that want an answer of a model (`FaultRule`). `parse_fault` reads both.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from namel3ss.errors import UsageError
from namel3ss.sandbox.names import ModelName

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FAULT_NAMES", "Fault", "FaultName", "FaultRule", "parse_fault"]


class Fault(StrEnum):
    """A state in which the server fails."""

    QUEUE_FULL = "queue_full"
    """Every request that needs a model is refused: 503, server busy."""
    NO_RUNNER = "no_runner"
    """No model can be loaded: 500 before the first byte."""
    RUNNER_DIES = "runner_dies"
    """The model runner ends part way through an answer: an error line inside a 200."""
    SERVER_DIES = "server_dies"
    """The connection is cut part way through an answer: the body never ends."""
    REGISTRY_DOWN = "registry_down"
    """The registry refuses connections: a pull fails at its first step."""
    REGISTRY_UNRESOLVED = "registry_unresolved"
    """The registry's name cannot be looked up, as on a machine without a network."""
    REGISTRY_PLAIN_HTTP = "registry_plain_http"
    """The registry speaks no TLS: a pull over https fails."""
    CORRUPT_LAYER = "corrupt_layer"
    """The first layer arrives damaged: the pull fails when digests are verified."""


FaultName: TypeAlias = Literal[
    "busy", "cut", "drip", "error-line", "html", "no-done", "oom", "reset", "slow-load", "stall", "wedge"
]

_WITH_AFTER: Final = ("cut", "drip", "error-line", "reset", "stall")
_DEFAULT_SECONDS: Final[Mapping[str, float]] = MappingProxyType({"drip": 0.02, "slow-load": 30.0})
_DEFAULT_AFTER: Final = 2

FAULT_NAMES: Final = (*get_args(FaultName), *(fault.value.replace("_", "-") for fault in Fault))


@dataclass(frozen=True, slots=True)
class FaultRule:
    """A fault that hits requests for an answer of a model: of any, or of `model`.

    every: it hits each such request, or each second, third and so on.
    times: how often in all; None for ever. A `wedge` lasts, so it comes once unless more is said.
    after: how many lines of the answer come first; 2 unless given. For `cut`, `stall`, `reset`, `drip` and
        `error-line`.
    seconds: how long the load of `slow-load` takes (30), and the pause between two bytes of `drip` (0.02).
    """

    name: FaultName
    after: int | None = None
    every: int = 1
    times: int | None = None
    seconds: float | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        if self.name not in get_args(FaultName):
            raise _unknown(self.name)
        if self.after is not None and self.name not in _WITH_AFTER:
            raise self._wrong("has no `after`", f"These have: {', '.join(_WITH_AFTER)}.")
        if self.seconds is not None and self.name not in _DEFAULT_SECONDS:
            raise self._wrong("has no `seconds`", f"These have: {', '.join(_DEFAULT_SECONDS)}.")
        if self.after is not None and self.after < 0:
            raise self._wrong(f"has `after` {self.after}", "Give a number of lines, zero or more.")
        if self.every < 1:
            raise self._wrong(f"has `every` {self.every}", "Give 1 for each request, 2 for each second one.")
        if self.times is not None and self.times < 1:
            raise self._wrong(f"has `times` {self.times}", "Give 1 or more.")
        if self.seconds is not None and not (isfinite(self.seconds) and self.seconds >= 0):
            raise self._wrong(f"has `seconds` {self.seconds}", "Give a number, zero or more.")
        if self.model is not None and not ModelName.parse(self.model).is_valid:
            raise self._wrong(f"has `model` {self.model!r}", "Names look like llama3 or llama3:8b.")

    def _wrong(self, what: str, suggestion: str) -> UsageError:
        return UsageError(f"The fault `{self.name}` {what}.", suggestion=suggestion)

    @property
    def lines_before(self) -> int:
        """How many lines of the answer come before it strikes."""
        return _DEFAULT_AFTER if self.after is None else self.after

    @property
    def pause_s(self) -> float:
        """The seconds of a fault that takes time."""
        return _DEFAULT_SECONDS.get(self.name, 0.0) if self.seconds is None else self.seconds

    @property
    def limit(self) -> int | None:
        """How often it may hit."""
        return 1 if self.times is None and self.name == "wedge" else self.times


def parse_fault(text: str) -> Fault | FaultRule:
    """The fault that ``NAME`` or ``NAME:key=value,key=value`` means, such as ``cut:after=3,model=llama3:8b``.

    Raises UsageError.
    """
    name, _, rest = text.strip().partition(":")
    name = name.strip().lower().replace("_", "-")
    state = next((fault for fault in Fault if fault.value.replace("_", "-") == name), None)
    if state is not None:
        if rest:
            raise UsageError(f"The fault `{name}` takes no keys, but `{rest}` is given.")
        return state
    for known in get_args(FaultName):
        if known == name:
            return _rule(known, rest)
    raise _unknown(name)


def _rule(name: FaultName, text: str) -> FaultRule:
    values: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if key not in _KEYS or not equals:
            raise UsageError(
                f"The fault `{name}` has no key `{key}`."
                if equals
                else f"`{pair}` after the fault `{name}` is no key=value.",
                suggestion=f"The keys are: {', '.join(_KEYS)}.",
            )
        if key in values:
            raise UsageError(f"The fault `{name}` is given `{key}` twice.")
        values[key] = value
    every = _whole(name, "every", values)
    return FaultRule(
        name,
        after=_whole(name, "after", values),
        every=1 if every is None else every,
        times=_whole(name, "times", values),
        seconds=_seconds(name, values),
        model=values.get("model"),
    )


_KEYS: Final = ("after", "every", "times", "seconds", "model")


def _whole(name: str, key: str, values: Mapping[str, str]) -> int | None:
    text = values.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise UsageError(f"The fault `{name}` has `{key}={text}`, which is not a whole number.")
    return int(text)


def _seconds(name: str, values: Mapping[str, str]) -> float | None:
    text = values.get("seconds")
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"The fault `{name}` has `seconds={text}`, which is not a number.") from None


def _unknown(name: str) -> UsageError:
    from namel3ss.language.suggest import did_you_mean  # only for a message

    hint = did_you_mean(name, FAULT_NAMES) or f"there are {', '.join(FAULT_NAMES)}."
    return UsageError(f"There is no fault `{name}`: {hint}")
