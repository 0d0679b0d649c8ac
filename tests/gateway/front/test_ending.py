"""Requests that are ended because their key is: with what they were told, and soon."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.front import Front
from namel3ss.gateway.live import LiveRequest, LiveRequests
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.serving.limits import ConnectionLimits
from namel3ss.gateway.store import KeyAdministration, KeyGrant
from tests.gateway.front.door import Handled, Wire, holder, listening, open_door
from tests.gateway.plans import plan_with
from tests.gateway.store.places import CLASSES, keys_of, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from namel3ss.gateway.exchange import Exchange

REVOKED = Refusal(Reason.bad_key, "The key was revoked.")
CLASSED = "priorities: { coding: 0, chat: 5, batch: 9 }"
PATIENCE_S = 10
ME = "tester"


class Held:
    """A handler that answers when it is let go, or is ended before."""

    def __init__(self, *, starts: bool, wanted: int = 1) -> None:
        self._wanted = wanted
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()
        self.cancelled = 0
        self._starts = starts

    async def __call__(self, exchange: Exchange) -> None:
        if self._starts:
            await exchange.start(200, [(b"content-type", b"text/event-stream")])
            await exchange.send_piece(b"data: 1\n\n")
        self._wanted -= 1
        if not self._wanted:
            self.reached.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self._starts:
            await exchange.finish()
        else:
            await exchange.reply(200, b"{}")


@pytest.mark.security(6)
async def test_what_waits_is_answered_with_the_reason_when_its_key_ends() -> None:
    held = Held(starts=False)
    async with open_door(
        keys={"a": holder(), "b": holder(user="bob")}, START_PULL=held, SHOW_MODEL=held
    ) as door:
        asking = asyncio.create_task(door.ask("POST", "/api/show", key="a", body=b"{}"))
        await held.reached.wait()
        door.front.interrupt(REVOKED, key_id="key-bob")
        door.front.interrupt(REVOKED, key_id="key-ann")
        answer = await asking

    assert (answer.status, answer.reason, held.cancelled) == (401, "bad_key", 1)
    assert answer.json == {"error": "The key was revoked."}
    assert door.refusals == [Reason.bad_key]


@pytest.mark.security(6)
async def test_a_stream_that_has_begun_ends_with_its_connection_when_its_key_ends() -> None:
    held = Held(starts=True)
    async with open_door(WATCH_REQUEST=held) as door, door.wire() as wire:
        wire.send(b"GET /requests/x/events HTTP/1.1\r\nHost: localhost\r\nx-api-key: secret\r\n\r\n")
        await held.reached.wait()
        door.front.interrupt(REVOKED, key_id="key-ann")
        rest = await wire.rest()

    assert rest.endswith(b"data: 1\n\n\r\n")
    assert held.cancelled == 1


async def test_the_end_of_its_own_session_does_not_end_a_logout() -> None:
    held = Held(starts=False)
    async with open_door(LOGOUT=held) as door:
        asking = asyncio.create_task(door.ask("POST", "/auth/logout", body=b"{}"))
        await held.reached.wait()
        door.front.interrupt(REVOKED, key_id="key-ann")
        held.let_go.set()

        assert (await asking).status == 200
    assert held.cancelled == 0


async def test_what_is_in_the_queue_is_told_and_not_cancelled() -> None:
    """It has a stream to end in its protocol's way, and a slot to give back."""
    held, told = Held(starts=False), list[Refusal]()
    async with open_door(CHAT=held) as door:
        asking = asyncio.create_task(
            door.ask("POST", "/api/chat", headers=[("X-Request-Id", "mine")], body=b"{}")
        )
        await held.reached.wait()
        live = LiveRequest(
            id="mine", principal=holder(), client="127.0.0.1", model="tiny",
            route="/api/chat", arrived_at=0.0, interrupt=told.append,
        )  # fmt: skip
        door.live.add(live)
        door.front.interrupt(REVOKED, key_id="key-ann")
        door.front.interrupt(REVOKED)
        held.let_go.set()

        assert (await asking).status == 200
    assert told == [REVOKED, REVOKED]
    assert held.cancelled == 0


@pytest.mark.security(6)
async def test_what_goes_by_the_id_of_a_request_in_the_queue_is_ended_all_the_same() -> None:
    held = Held(starts=True)
    async with open_door(WATCH_REQUEST=held) as door, door.wire() as wire:
        door.live.add(
            LiveRequest(
                id="mine",
                principal=holder(),
                client="127.0.0.1",
                model="tiny",
                route="/api/chat",
                arrived_at=0.0,
                interrupt=lambda _: None,
            )
        )
        wire.send(
            b"GET /requests/x/events HTTP/1.1\r\nHost: localhost\r\nx-api-key: secret\r\nX-Request-Id: mine\r\n\r\n"
        )
        await held.reached.wait()
        door.front.interrupt(REVOKED, key_id="key-ann")
        await wire.rest()

    assert held.cancelled == 1


async def test_everything_can_be_ended_when_the_gateway_stops() -> None:
    held = Held(starts=False, wanted=3)
    async with open_door(CHAT=held) as door:
        asking = [asyncio.create_task(door.ask("POST", "/api/chat", body=b"{}")) for _ in range(3)]
        await held.reached.wait()
        door.front.interrupt(Refusal(Reason.shutting_down, "Stopped."))
        answers = await asyncio.gather(*asking)
        await door.front.drained()

    assert [answer.status for answer in answers] == [503, 503, 503]
    assert held.cancelled == 3


@contextlib.asynccontextmanager
async def behind_a_keyring(
    folder: Path, held: Held
) -> AsyncIterator[tuple[KeyAdministration, Wire, str, int]]:
    """A front with keys from a database, a connection to it, a key of alice's, and the port."""
    async with keys_of(folder) as (administration, keyring):
        await administration.users.create("alice", actor=ME)
        made = await administration.keys.create("alice", KeyGrant(scopes=frozenset(Scope)), actor=ME)
        handlers = Handled().handlers(WATCH_REQUEST=held)
        front = Front(plan_with(CLASSED), keyring, handlers, live=LiveRequests())
        keyring.on_revoked(lambda key_id: front.interrupt(REVOKED, key_id=key_id))
        async with listening(front, ConnectionLimits()) as port, Wire.to(port) as wire:
            yield administration, wire, made.token, port


@pytest.mark.security(6, 13)
@pytest.mark.parametrize("way", ["revoked", "disabled", "removed"])
async def test_a_key_that_ends_ends_at_once_on_a_connection_that_stays_open(way: str, tmp_path: Path) -> None:
    async with behind_a_keyring(tmp_path, Held(starts=True)) as (administration, wire, token, _):
        before = await wire.ask("GET", "/api/tags", key=token)
        key = (await administration.keys.list("alice"))[0]
        if way == "revoked":
            await administration.keys.revoke(key.id, actor=ME)
        elif way == "disabled":
            await administration.users.disable("alice", actor=ME)
        else:
            await administration.users.remove("alice", actor=ME)
        after = await wire.ask("GET", "/api/tags", key=token)

    assert before.status == 200
    assert (after.status, after.reason) == (401, "bad_key")


@pytest.mark.security(6, 13)
async def test_a_key_that_another_process_revokes_ends_its_streams_as_well(tmp_path: Path) -> None:
    """The other process is another connection to the same database, which tells nobody."""
    held = Held(starts=True)
    async with behind_a_keyring(tmp_path, held) as (administration, wire, token, _):
        wire.send(
            f"GET /requests/x/events HTTP/1.1\r\nHost: localhost\r\nx-api-key: {token}\r\n\r\n".encode()
        )
        async with asyncio.timeout(PATIENCE_S):
            await held.reached.wait()
        key = (await administration.keys.list("alice"))[0]
        async with opened(tmp_path) as other:
            await KeyAdministration(other).keys.revoke(key.id, actor=ME)
        rest = await wire.rest()

    assert rest.endswith(b"data: 1\n\n\r\n")
    assert held.cancelled == 1


@pytest.mark.security(6)
async def test_a_key_that_was_never_good_learns_nothing_of_others(tmp_path: Path) -> None:
    async with keys_of(tmp_path) as (_, keyring):
        front = Front(plan_with(CLASSED), keyring, Handled().handlers(), live=LiveRequests())
        async with listening(front, ConnectionLimits()) as port, Wire.to(port) as wire:
            answers = [
                await wire.ask("GET", "/api/tags", key=key)
                for key in ("x", "n3k_" + "0" * 58, "' OR 1=1 --", "%00", "\xff")
            ]

    assert {(answer.status, answer.reason) for answer in answers} == {(401, "bad_key")}


def test_the_classes_of_these_tests_are_those_of_the_store() -> None:
    assert plan_with(CLASSED).settings.priorities == CLASSES.priorities
