"""How much of its limits one key has used up. Pure: times are given, and nothing waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.store.windows import MovingWindow

if TYPE_CHECKING:
    from namel3ss.gateway.principal import KeyLimits

__all__ = ["Meter"]

_SOON_S = 5.0
_STEP = 256


class Meter:
    """Lives as long as the key is used. A reservation counts in full until it is settled, however long that takes.

    The day's sum has three parts: what others and earlier processes wrote into the books, what was settled here, and what
    is reserved.
    """

    __slots__ = (
        "_others",
        "_requests",
        "_tokens",
        "day",
        "receiving",
        "reserved",
        "settled_today",
        "written_before",
        "written_here",
    )

    def __init__(self) -> None:
        self._requests = MovingWindow()
        self._others = MovingWindow()
        self._tokens = MovingWindow()
        self.reserved = 0
        self.receiving = 0
        self.day = ""
        self.written_before = 0
        self.written_here = 0
        self.settled_today = 0

    @property
    def is_idle(self) -> bool:
        """Whether it remembers nothing that a new one would not."""
        return not (
            self._requests
            or self._others
            or self._tokens
            or self.reserved
            or self.receiving
            or self.settled_today
        )

    @property
    def used_today(self) -> int:
        return self.written_before + self.settled_today + self.reserved

    @property
    def used_this_minute(self) -> int:
        return self._tokens.total + self.reserved

    @property
    def requests_this_minute(self) -> int:
        return self._requests.total

    def begin_day(self, day: str) -> None:
        """Another day of the books has begun."""
        if day != self.day:
            self.day = day
            self.written_before = self.written_here = self.settled_today = 0

    def note_books(self, total: int) -> None:
        """The books' sum of today, everybody's writing included."""
        self.written_before = max(0, total - self.written_here)

    def forget_old(self, now: float) -> None:
        """Let go of what no longer counts."""
        self._requests.forget_old(now)
        self._others.forget_old(now)
        self._tokens.forget_old(now)

    def count(self, limits: KeyLimits, now: float) -> None:
        """Count a request that no model answers: as many may be made as of the others. Raises Refusal."""
        self._others.forget_old(now)
        _check_pace(self._others, limits, now)
        self._others.add(now, 1)

    def check(self, limits: KeyLimits, tokens: int, now: float, day_left_s: float) -> None:
        """Raises Refusal where one more request of that many tokens would go beyond a limit."""
        self.forget_old(now)
        _check_size(limits, tokens)
        _check_pace(self._requests, limits, now)
        self._check_tokens(limits, tokens, now, day_left_s)

    def extend(self, limits: KeyLimits, tokens: int, now: float, day_left_s: float) -> int:
        """Reserve that many more for a request that runs, and some beside them where there are. How many it got.

        Raises Refusal where it would go beyond a limit.
        """
        self.forget_old(now)
        self._check_tokens(limits, tokens, now, day_left_s)
        left = [tokens + _STEP]
        if limits.tokens_per_minute is not None:
            left.append(limits.tokens_per_minute - self.used_this_minute)
        if limits.tokens_per_day is not None:
            left.append(limits.tokens_per_day - self.used_today)
        self.reserved += min(left)
        return min(left)

    def _check_tokens(self, limits: KeyLimits, tokens: int, now: float, day_left_s: float) -> None:
        most = limits.tokens_per_minute
        if most is not None and (beyond := self.used_this_minute + tokens - most) > 0:
            wait_s = self._tokens.until_less_by(beyond, now) if beyond <= self._tokens.total else _SOON_S
            raise _later(
                Reason.rate_limited,
                f"This key may use {most} tokens a minute. {self.used_this_minute} of them are used or reserved, "
                f"and this request may take {tokens}.",
                wait_s,
            )
        most = limits.tokens_per_day
        if most is not None and self.used_today + tokens > most:
            raise _later(
                Reason.over_budget,
                f"This key may use {most} tokens a day. {self.used_today} of them are used or reserved, "
                f"and this request may take {tokens}.",
                day_left_s,
            )

    def reserve(self, tokens: int, now: float) -> int:
        """Count a request that `check` let through. The result is for `settle`."""
        self.reserved += tokens
        return self._requests.add(now, 1)

    def settle(self, reserved: int, used: int, stamp: int, now: float) -> None:
        """Put what was used in the place of what was reserved. A request that used nothing was none."""
        self.forget_old(now)
        self.reserved -= reserved
        if used:
            self._tokens.add(now, used)
            self.settled_today += used
        else:
            self._requests.take_back(stamp, 1)


def _check_pace(made: MovingWindow, limits: KeyLimits, now: float) -> None:
    most = limits.requests_per_minute
    if most is not None and made.total + 1 > most:
        raise _later(
            Reason.rate_limited,
            f"This key may make {most} requests a minute, and has made them.",
            made.until_less_by(made.total + 1 - most, now),
        )


def _check_size(limits: KeyLimits, tokens: int) -> None:
    """A request that is larger than a whole budget would be told to come again for ever."""
    budgets = [
        (most, period)
        for most, period in ((limits.tokens_per_minute, "minute"), (limits.tokens_per_day, "day"))
        if most is not None and tokens > most
    ]
    for most, period in budgets:
        raise Refusal(
            Reason.over_limit,
            f"This request may take {tokens} tokens, and its key has {most} for a whole {period}.",
            suggestion="Ask for a shorter answer: num_predict, or max_tokens.",
        )


def _later(reason: Reason, message: str, wait_s: float) -> Refusal:
    return Refusal(
        reason,
        message,
        suggestion="Come again later, or ask an administrator for more.",
        retry_after_s=max(1.0, wait_s),
    )
