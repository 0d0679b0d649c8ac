"""One operation of the administration interface: its address, what it takes, what it answers; and one call of it.

The same table makes the routes and the OpenAPI document. What is taken is a msgspec struct: from the query for GET, from
the body for the rest, and never a field more than it has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from namel3ss.gateway.errors import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from namel3ss.gateway.administration.access import Caller

__all__ = [
    "AnyDescription",
    "AnyOperation",
    "Call",
    "Description",
    "Nothing",
    "Operation",
    "read_body",
    "read_query",
]

TakenT = TypeVar("TakenT", bound=msgspec.Struct)


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters, no body, no answer."""


@dataclass(slots=True, kw_only=True)
class Call(Generic[TakenT]):
    """One call by somebody who may make it."""

    caller: Caller
    taken: TakenT
    parameters: Mapping[str, str]

    @property
    def actor(self) -> str:
        """Who did it, for the audit log."""
        return self.caller.principal.user


@dataclass(frozen=True, slots=True, kw_only=True)
class Description(Generic[TakenT]):
    """One method on one path, as the OpenAPI document tells of it."""

    method: str
    path: str
    """With `{name}` for one segment."""
    takes: type[TakenT]
    answers: type[msgspec.Struct]
    summary: str
    status: int = 200
    refusals: tuple[Reason, ...] = ()
    """Those that not every operation has."""
    is_open: bool = False
    """Nobody need be logged in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Description[TakenT]):
    """`do` is given what `takes` says, and returns what `answers` says."""

    do: Callable[[Call[TakenT]], Awaitable[msgspec.Struct]]


AnyDescription: TypeAlias = Description[Any]
AnyOperation: TypeAlias = Operation[Any]

_PLACE: Final = re.compile(r" - at `\$\.?(.*)`$")


def read_body(body: bytes, kind: type[TakenT]) -> TakenT:
    """Raises Refusal for what is not JSON, not of that shape, or has more fields."""
    try:
        # An operation that takes nothing is also called with no body at all.
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise Refusal(Reason.invalid, _in_words(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Reason.bad_request, f"The body is not JSON: {error}.") from error


def read_query(pairs: list[tuple[str, str]], kind: type[TakenT]) -> TakenT:
    """Raises Refusal for a parameter that is unknown, given twice, or not of its type."""
    given = dict(pairs)
    if len(given) != len(pairs):
        raise Refusal(Reason.invalid, "A parameter is given twice.", suggestion="Give each once.")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Refusal(Reason.invalid, _in_words(error)) from error


def _in_words(error: msgspec.ValidationError) -> str:
    text = str(error)
    place = _PLACE.search(text)
    if place is None or not place[1]:
        return text.split(" - at ")[0] + "."
    return f"`{place[1]}`: {text[: place.start()]}."
