"""The order of decisions: what is wrong first is what the answer says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from namel3ss.gateway.errors import Reason
from namel3ss.gateway.principal import Scope
from tests.gateway.front.door import holder, open_door


async def test_a_request_that_may_do_what_it_wants_reaches_its_handler() -> None:
    async with open_door() as door:
        answer = await door.ask("POST", "/api/chat", body=b"{}")

    assert answer.status == 200
    assert answer.json["action"] == "chat"
    assert answer.json["user"] == "ann"
    assert door.handled.bodies == [b"{}"]
    assert door.refusals == []


@dataclass(frozen=True)
class Wrong:
    """A request that is wrong in one way or in many."""

    method: str = "POST"
    target: str = "/api/push"
    host: str = "localhost"
    key: str | None = "secret"
    headers: tuple[tuple[str, str], ...] = ()
    settings: str = ""
    scopes: tuple[Scope, ...] = tuple(Scope)


TWICE = (("X-Request-Id", "a"), ("X-Request-Id", "a"))
PACKED = (("Content-Encoding", "gzip"),)
FOREIGN = 'allow_addresses: ["10.0.0.0/8"] '
LISTED = 'whitelist: { default: ["10.0.0.0/8"] } '

ORDER = {
    Reason.bad_framing: Wrong(
        "PATCH", "/nothing", "else.where", None, (*PACKED, *TWICE), LISTED + FOREIGN, ()
    ),
    Reason.wrong_host: Wrong("PATCH", "/nothing", "else.where", None, PACKED, LISTED + FOREIGN, ()),
    Reason.address_not_allowed: Wrong(
        "PATCH", "/nothing", key=None, headers=PACKED, settings=LISTED + FOREIGN
    ),
    Reason.no_key: Wrong("PATCH", "/nothing", key=None, headers=PACKED, settings=LISTED, scopes=()),
    Reason.bad_key: Wrong("PATCH", "/nothing", key="wrong", headers=PACKED, settings=LISTED, scopes=()),
    Reason.not_found: Wrong("PATCH", "/nothing", headers=PACKED, settings=LISTED, scopes=()),
    Reason.method_not_allowed: Wrong("PATCH", headers=PACKED, settings=LISTED, scopes=()),
    Reason.forbidden: Wrong(headers=PACKED, settings=LISTED, scopes=(Scope.USE,)),
    Reason.not_whitelisted: Wrong(headers=PACKED, settings=LISTED),
    Reason.unsupported_media: Wrong(headers=PACKED),
}


@pytest.mark.parametrize("reason", ORDER, ids=lambda reason: reason.name)
async def test_of_all_that_is_wrong_the_first_in_order_is_the_answer(reason: Reason) -> None:
    wrong = ORDER[reason]

    async with open_door(wrong.settings, keys={"secret": holder(*wrong.scopes)}) as door:
        answer = await door.ask(
            wrong.method, wrong.target, host=wrong.host, key=wrong.key, headers=wrong.headers, body=b"{}"
        )

    assert answer.reason == reason.name
    assert answer.status == reason.status
    assert door.refusals == [reason]
    assert door.handled.exchanges == []


async def test_nothing_is_looked_up_of_a_key_before_host_and_address_are_right() -> None:
    async with open_door('allow_addresses: ["10.0.0.0/8"]') as door:
        await door.ask("GET", "/api/tags", host="elsewhere.example")
        await door.ask("GET", "/api/tags")

    assert door.keys.asked == []


async def test_what_asks_for_no_key_looks_at_none() -> None:
    async with open_door() as door:
        answers = [
            await door.ask(method, path, key="wrong")
            for method, path in [("GET", "/"), ("GET", "/health/live"), ("POST", "/auth/login")]
        ]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert door.keys.asked == []


async def test_new_requests_are_turned_away_while_the_gateway_stops_and_health_is_still_told() -> None:
    async with open_door() as door:
        door.front.begin_shutdown()
        turned_away = await door.ask("POST", "/api/chat", body=b"{}")
        health = await door.ask("GET", "/health/live", key=None)

    assert (turned_away.status, turned_away.reason) == (503, "shutting_down")
    assert turned_away.header("retry-after") == "5"
    assert health.status == 200


async def test_a_front_is_drained_once_its_last_request_has_ended() -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(exchange) -> None:
        reached.set()
        await go_on.wait()
        await exchange.reply(200, b"{}")

    async with open_door(CHAT=slow) as door:
        asking = asyncio.create_task(door.ask("POST", "/api/chat", body=b"{}"))
        await reached.wait()
        draining = asyncio.create_task(door.front.drained())
        await asyncio.sleep(0)
        assert (door.front.running, draining.done()) == (1, False)
        go_on.set()
        assert (await asking).status == 200
        await draining
