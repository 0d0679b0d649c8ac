"""The values that commands about gateways take: scopes, addresses, days, and how long from now."""

from __future__ import annotations

import ipaddress
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from namel3ss.errors import UsageError
from namel3ss.providers.settings import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

__all__ = ["DAY", "EXPIRY", "SCOPE", "read_network", "read_networks"]

_DAY_S: Final = 86_400.0
_WEEK_S: Final = 7 * _DAY_S


class _Expiry(click.ParamType[float]):
    """A moment to come: after a duration from now, or at the beginning of a day of UTC."""

    name = "when"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        now = time.time()
        try:
            at: float | None = now + _span(value)
        except ValueError:
            at = _beginning(value)
        if at is None:
            self.fail(
                f"{value!r} is neither a duration such as 90d or 12h nor a day such as 2027-06-30.",
                param,
                ctx,
            )
        if at <= now:
            self.fail(f"{value!r} has passed already.", param, ctx)
        return at


class _Day(click.ParamType[date]):
    """A day of UTC: 2026-11-21, or 7d for the day a week ago."""

    name = "day"

    def convert(self, value: str | date, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
        try:
            return (datetime.now(UTC) - timedelta(seconds=_span(value))).date()
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is neither a day such as 2026-11-21 nor a time back from now such as 7d.",
                param,
                ctx,
            )


EXPIRY: Final = _Expiry()
DAY: Final = _Day()
# As `Scope` has them; written out, so that help is shown without loading the gateway. A test compares.
SCOPE: Final = click.Choice(["use", "operator", "models:write", "admin"])


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks of these texts. Raises UsageError."""
    return tuple(map(read_network, texts))


def read_network(text: str) -> Network:
    """An address or a range. Raises UsageError."""
    try:
        return ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no address and no range of addresses: {error}.",
            suggestion="Write an address or a range, such as 10.0.0.7 or 10.1.0.0/16.",
        ) from None


def _span(text: str) -> float:
    """Seconds of a duration, in which days and weeks count as well. Raises ValueError."""
    for unit, seconds in (("d", _DAY_S), ("w", _WEEK_S)):
        number = text.removesuffix(unit)
        if number != text and number.isascii() and number.isdigit() and len(number) <= 6:
            return int(number) * seconds
    return parse_duration(text)


def _beginning(day: str) -> float | None:
    try:
        return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp()
    except ValueError:
        return None
