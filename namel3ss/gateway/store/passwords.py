"""Passwords of people, by argon2id, slowly and off the event loop."""

from __future__ import annotations

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.store.threads import in_thread

__all__ = ["Passwords", "check_password_rules"]

_SHORTEST: Final = 10
_LONGEST_BYTES: Final = 1024
_AT_A_TIME: Final = 2


def check_password_rules(password: str) -> None:
    """Raises Refusal for a password that is too short to be one, or longer than anybody types."""
    if len(password) < _SHORTEST:
        raise Refusal(
            Reason.invalid,
            f"The password has {len(password)} characters, and needs at least {_SHORTEST}.",
            suggestion="Several words in a row are long and easy to remember.",
        )
    if len(password.encode("utf-8", "surrogatepass")) > _LONGEST_BYTES:
        raise Refusal(Reason.invalid, f"The password is longer than {_LONGEST_BYTES} bytes.")


class Passwords:
    """Makes and compares hashes, a few at a time: each takes memory and time on purpose."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._room = asyncio.Semaphore(_AT_A_TIME)

    async def hash(self, password: str) -> str:
        """What is stored of a password. Raises Refusal for one that breaks the rules."""
        check_password_rules(password)
        async with self._room:
            return await in_thread(lambda: self._hasher.hash(_plain(password)), "password")

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the one. Takes as long where there is none to compare with, so that time tells no names."""
        if len(password.encode("utf-8", "surrogatepass")) > _LONGEST_BYTES:
            return False
        async with self._room:
            return await in_thread(lambda: self._compare(stored, password), "password")

    def _compare(self, stored: str | None, password: str) -> bool:
        if stored is None:
            self._hasher.hash(_plain(password))
            return False
        try:
            return self._hasher.verify(stored, _plain(password))
        except (VerificationError, InvalidHashError):
            return False


def _plain(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
