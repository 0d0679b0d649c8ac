"""People sign in with a password, and out again."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.store import KeyAdministration, Keyring
from namel3ss.gateway.store.holders import SESSION_IDLE_S
from namel3ss.gateway.store.passwords import Passwords, check_password_rules
from namel3ss.gateway.store.sessions import SESSION_LONGEST_S
from tests.gateway.store.places import CLASSES, database_file, opened
from tests.support.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ME = "tester"
PASSWORD = "correct horse battery"


@contextlib.asynccontextmanager
async def alice_of(folder: Path, clock: ManualClock) -> AsyncIterator[tuple[KeyAdministration, Keyring]]:
    """A store with one user who may sign in."""
    async with opened(folder) as store, Keyring(store, CLASSES, wall_clock=clock) as keyring:
        administration = KeyAdministration(store, applied=keyring.refresh, clock=clock)
        await administration.users.create(
            "alice", actor=ME, scopes={Scope.ADMIN}, class_name="chat", password=PASSWORD
        )
        yield administration, keyring


def is_refused(keyring: Keyring, token: str) -> bool:
    try:
        keyring.find(token)
    except Refusal as refusal:
        return refusal.reason is Reason.bad_key
    return False


@pytest.mark.security(34)
async def test_every_sign_in_has_a_token_of_its_own_and_sign_out_ends_one(tmp_path: Path) -> None:
    ended: list[str] = []
    async with alice_of(tmp_path, ManualClock()) as (administration, keyring):
        keyring.on_revoked(ended.append)
        first = await administration.sessions.open("alice", PASSWORD)
        second = await administration.sessions.open("alice", PASSWORD)

        assert first.token != second.token
        principal = keyring.find(first.token)
        assert (principal.user, principal.class_name, principal.priority) == ("alice", "chat", 5)
        assert (principal.scopes, principal.key_id) == (frozenset({Scope.ADMIN}), f"session:{first.id}")
        assert first.token not in repr(first)

        await administration.sessions.close(first.token)
        assert is_refused(keyring, first.token)
        keyring.find(second.token)
        await administration.sessions.end(second.id)
        await administration.sessions.end(second.id)
        await administration.sessions.close("no session")
        assert is_refused(keyring, second.token)
        assert ended == [f"session:{first.id}", f"session:{second.id}"]


@pytest.mark.security(34)
async def test_sessions_end_when_nobody_uses_them_and_after_a_day_s_work(tmp_path: Path) -> None:
    clock = ManualClock()
    async with alice_of(tmp_path, clock) as (administration, keyring):
        idle = (await administration.sessions.open("alice", PASSWORD)).token
        clock.advance(SESSION_IDLE_S)
        keyring.find(idle)
        clock.advance(SESSION_IDLE_S + 1)
        assert is_refused(keyring, idle)

        session = await administration.sessions.open("alice", PASSWORD)
        for _ in range(int(SESSION_LONGEST_S / SESSION_IDLE_S) - 1):
            clock.advance(SESSION_IDLE_S)
            keyring.find(session.token)
        clock.advance(SESSION_IDLE_S - 1)
        keyring.find(session.token)
        clock.advance(1)
        assert clock() == session.expires_at
        assert is_refused(keyring, session.token)


@pytest.mark.security(6, 34)
async def test_new_password_and_disabling_end_the_sessions(tmp_path: Path) -> None:
    async with alice_of(tmp_path, ManualClock()) as (administration, keyring):
        users, sessions = administration.users, administration.sessions
        before = (await sessions.open("alice", PASSWORD)).token
        await users.set_password("alice", "another horse battery", actor=ME)
        assert is_refused(keyring, before)
        with pytest.raises(Refusal):
            await sessions.open("alice", PASSWORD)

        after = (await sessions.open("alice", "another horse battery")).token
        await users.set_scopes("alice", {Scope.USE}, actor=ME)
        assert keyring.find(after).scopes == frozenset({Scope.USE})
        await users.disable("alice", actor=ME)
        assert is_refused(keyring, after)
        with pytest.raises(Refusal):
            await sessions.open("alice", "another horse battery")


@pytest.mark.security(8)
async def test_whatever_is_wrong_is_told_in_the_same_words(tmp_path: Path) -> None:
    async with alice_of(tmp_path, ManualClock()) as (administration, _):
        await administration.users.create("bob", actor=ME)
        told = set()
        for user, password in [
            ("alice", "wrong horse battery"),
            ("bob", PASSWORD),
            ("nobody", PASSWORD),
            ("' OR 1=1 --", PASSWORD),
            ("\0", PASSWORD),
            ("alice", ""),
            ("alice", "x" * 100_000),
            ("alice", "\udcff"),
        ]:
            with pytest.raises(Refusal) as caught:
                await administration.sessions.open(user, password)
            told.add((caught.value.reason, str(caught.value)))

    assert told == {(Reason.login_failed, "The user or the password is wrong.")}


@pytest.mark.security(8)
async def test_passwords_are_hashed_by_argon2id_with_a_salt_of_their_own(tmp_path: Path) -> None:
    passwords = Passwords()
    first, second = await passwords.hash(PASSWORD), await passwords.hash(PASSWORD)

    assert first != second
    assert first.startswith("$argon2id$")
    assert await passwords.verify(first, PASSWORD)
    assert not await passwords.verify("no hash", PASSWORD)
    async with alice_of(tmp_path, ManualClock()):
        pass
    assert PASSWORD.encode() not in database_file(tmp_path).read_bytes()


@pytest.mark.security(8)
@pytest.mark.parametrize("password", ["", "short", "x" * 9, "x" * 1025])
def test_password_that_is_none_is_refused(password: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_password_rules(password)

    assert caught.value.reason is Reason.invalid
    assert not password or password not in str(caught.value)


async def test_sessions_of_a_user_are_bounded_and_the_oldest_ends(tmp_path: Path) -> None:
    from namel3ss.gateway.store import sessions
    from namel3ss.gateway.store.tokens import make_token

    clock = ManualClock()
    async with opened(tmp_path) as store, Keyring(store, CLASSES, wall_clock=clock) as keyring:
        administration = KeyAdministration(store, applied=keyring.refresh, clock=clock)
        await administration.users.create("alice", actor=ME, password=PASSWORD)
        first = await administration.sessions.open("alice", PASSWORD)
        stored = await store.read(lambda connection: sessions.stored_password(connection, "alice"))
        assert stored is not None
        for _ in range(sessions.MOST_PER_USER - 1):
            clock.advance(1)
            await store.write(
                lambda connection: sessions.insert_session(
                    connection, make_token("n3s"), "alice", stored, clock()
                )
            )
        await keyring.refresh()
        keyring.find(first.token)

        clock.advance(1)
        await administration.sessions.open("alice", PASSWORD)
        assert is_refused(keyring, first.token)
        assert len(keyring.snapshot.holders) == sessions.MOST_PER_USER
