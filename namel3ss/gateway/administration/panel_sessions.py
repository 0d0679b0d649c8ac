"""The sessions behind the panel's cookie, in memory: a restart asks people to log in again, and loses nothing else.

A session stands for the key or the login that opened it, and is asked for that at every request: what revokes those, or
lets them expire, ends the session with them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PanelSession", "PanelSessions"]

IDLE_S: Final = 3600.0
LONGEST_S: Final = 12 * 3600.0
_MOST: Final = 1000


@dataclass(slots=True, eq=False, kw_only=True)
class PanelSession:
    """One person's browser. `token` is that of the key or login behind it."""

    digest: bytes = field(repr=False)
    token: str = field(repr=False)
    csrf_token: str = field(repr=False)
    ends_at: float
    """On the sessions' clock, whatever happens."""
    used_at: float


class PanelSessions:
    """By the hash of the cookie. One that nobody used for an hour, or that is twelve hours old, has ended."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: dict[bytes, PanelSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, token: str) -> tuple[str, PanelSession]:
        """A new session, and the secret of its cookie: always a fresh one, never what a browser brought along."""
        self._forget_ended()
        cookie = secrets.token_urlsafe(32)
        now = self._clock()
        session = PanelSession(
            digest=_digest(cookie),
            token=token,
            csrf_token=secrets.token_urlsafe(32),
            ends_at=now + LONGEST_S,
            used_at=now,
        )
        self._sessions[session.digest] = session
        return cookie, session

    def find(self, cookie: str, *, is_background: bool = False) -> PanelSession | None:
        """The session of a cookie; None where it ended or never was. What runs in the background does not prolong it."""
        digest = _digest(cookie)
        session = self._sessions.get(digest)
        if session is None or not hmac.compare_digest(session.digest, digest):
            return None
        if self._has_ended(session):
            self.close(session)
            return None
        if not is_background:
            session.used_at = self._clock()
        return session

    def close(self, session: PanelSession) -> None:
        self._sessions.pop(session.digest, None)

    def remaining_s(self, session: PanelSession) -> float:
        """How long it may still last, if it is used."""
        return max(0.0, session.ends_at - self._clock())

    def _has_ended(self, session: PanelSession) -> bool:
        now = self._clock()
        return now >= session.ends_at or now - session.used_at >= IDLE_S

    def _forget_ended(self) -> None:
        for session in [session for session in self._sessions.values() if self._has_ended(session)]:
            self.close(session)
        # Those who log in again and again push out their own oldest first: dicts keep the order of insertion.
        while len(self._sessions) >= _MOST:
            self.close(next(iter(self._sessions.values())))


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).digest()
