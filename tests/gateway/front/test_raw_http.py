"""What goes over the wire is read in one way or not at all, and as many requests are answered as were accepted."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

import pytest

from namel3ss.gateway.principal import Scope
from namel3ss.gateway.serving.limits import ConnectionLimits
from tests.gateway.front.door import PATIENCE_S, Door, holder, open_door, request
from tests.gateway.front.raw_requests import AMBIGUOUS, HIDDEN, SENSIBLE, chunked, post

if TYPE_CHECKING:
    from namel3ss.gateway.exchange import Exchange

TWO_KEYS = {"secret": holder(*Scope), "other": holder(user="bob")}
# Long enough for whoever hurries on a busy machine.
IMPATIENT = ConnectionLimits(head_s=1.0, body_pace_s=1.0, body_pace_bytes=1000, linger_s=5.0)


def statuses(data: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def paths(door: Door) -> list[str]:
    return [exchange.path for exchange in door.handled.exchanges]


async def converse(door: Door, data: bytes) -> bytes:
    """Send the bytes and nothing more, and read to the end."""
    async with door.wire() as wire:
        wire.send(data)
        wire.half_close()
        return await wire.rest()


@pytest.mark.security(19)
@pytest.mark.fault(54)
@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_what_could_be_read_in_two_ways_is_refused_and_its_connection_ends(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_door(keys=TWO_KEYS) as door, door.wire() as wire:
        wire.send(data + HIDDEN)
        answers = await wire.rest()

    assert statuses(answers) == [400]
    assert b"x-namel3ss-error: bad_framing" in answers
    # A handler may have begun; none has had a whole body, and none was ever shown the hidden request.
    assert door.handled.bodies == []
    assert "/api/push" not in paths(door)
    assert caplog.records == []


@pytest.mark.security(19)
@pytest.mark.parametrize(("data", "bodies"), SENSIBLE.values(), ids=SENSIBLE)
async def test_what_is_only_unusual_is_read_as_it_is_defined(data: bytes, bodies: list[bytes]) -> None:
    async with open_door(keys=TWO_KEYS) as door:
        answers = await converse(door, data)

    assert door.handled.bodies == bodies
    assert paths(door) == ["/api/chat"] * len(bodies)
    assert {exchange.headers[b"x-api-key"] for exchange in door.handled.exchanges} == {b"secret"}
    assert statuses(answers) in ([200] * len(bodies), [])


@pytest.mark.security(19)
@pytest.mark.parametrize("place", range(1, len(post(b"Content-Length: 3", body=b"abc")), 7))
async def test_a_request_may_come_in_any_two_pieces(place: int) -> None:
    data = post(b"Content-Length: 3", body=b"abc")
    async with open_door() as door, door.wire() as wire:
        wire.send(data[:place])
        await asyncio.sleep(0)
        wire.send(data[place:])
        answer = await wire.answer()

    assert answer is not None
    assert (answer.status, door.handled.bodies) == (200, [b"abc"])


@pytest.mark.fault(57)
@pytest.mark.parametrize("count", [2, 3, 20])
async def test_requests_sent_ahead_are_never_mixed_up(count: int) -> None:
    """Only the first is answered, with the end of the connection: whoever sent the others may send them again."""
    data = b"".join(
        post(b"Content-Length: 1", b"X-Request-Id: r%d" % number, body=b"x") for number in range(count)
    )
    async with open_door() as door, door.wire() as wire:
        wire.send(data)
        answers = await wire.rest()

    assert statuses(answers) == [200]
    assert b"x-request-id: r0\r\n" in answers
    assert b"connection: close\r\n" in answers
    assert [exchange.id for exchange in door.handled.exchanges] == ["r0"]


@pytest.mark.fault(57)
async def test_after_an_answer_that_broke_off_the_connection_carries_no_other() -> None:
    async def break_off(exchange: Exchange) -> None:
        await exchange.read_body(100)
        await exchange.start(200, [(b"content-type", b"application/x-ndjson")])
        await exchange.send_piece(b'{"done":false}\n')
        raise RuntimeError("a mistake of ours")

    async with open_door(CHAT=break_off) as door, door.wire() as wire:
        wire.send(post(b"Content-Length: 1", body=b"x"))
        wire.send(post(b"Content-Length: 0", path=b"/api/show"))
        answers = await wire.rest()

    assert statuses(answers) == [200]
    assert paths(door) == []
    # Nobody can take what came for a whole answer: the last chunk is missing.
    assert answers.endswith(b'{"done":false}\n\r\n')


@pytest.mark.fault(57)
async def test_after_a_refusal_in_the_middle_of_a_body_its_rest_is_no_request() -> None:
    async def refuse_early(exchange: Exchange) -> None:
        await exchange.read_body(10)

    async with open_door(CHAT=refuse_early) as door, door.wire() as wire:
        wire.send(post(b"Transfer-Encoding: chunked", body=chunked(b"x" * 20, HIDDEN)))
        wire.send(HIDDEN)
        answers = await wire.rest()

    assert statuses(answers) == [413]
    assert paths(door) == []


@pytest.mark.fault(56)
async def test_the_same_id_twice_makes_two_requests_that_know_nothing_of_each_other() -> None:
    """Who waits in the queue under an id is another matter: there a second one is refused."""
    first, second = asyncio.Event(), asyncio.Event()

    async def one_after_the_other(exchange: Exchange) -> None:
        body = await exchange.read_body(100)
        if body == b"first":
            first.set()
            await second.wait()
        second.set()
        await exchange.reply(200, b'"%b"' % body)

    named = [("X-Request-Id", "same")]
    async with open_door(CHAT=one_after_the_other) as door:
        asking = asyncio.create_task(door.ask("POST", "/api/chat", headers=named, body=b"first"))
        await first.wait()
        late = await door.ask("POST", "/api/chat", headers=named, body=b"second")
        early = await asking

    assert (early.json, late.json) == ("first", "second")
    assert early.header("x-request-id") == late.header("x-request-id") == "same"


def _late(method: str, target: str) -> bytes:
    return request(method, target, headers=[("Content-Length", "5")]) + b"ab"


SLOW: dict[str, tuple[bytes, str | None]] = {
    "nothing": (b"", None),
    "a byte": (b"P", "header_timeout"),
    "half a head": (b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nX-A: ", "header_timeout"),
    "half a body": (post(b"Content-Length: 1000", body=b"x"), "body_timeout"),
    "half a chunk": (post(b"Transfer-Encoding: chunked", body=b"3\r\nab"), "body_timeout"),
    "half a size": (post(b"Transfer-Encoding: chunked", body=b"0" * 20), "body_timeout"),
    "half a body that nobody reads": (_late("GET", "/api/tags"), "body_timeout"),
    "half a body of a refused request": (_late("PUT", "/api/tags"), "body_timeout"),
}


@pytest.mark.fault(52)
async def test_who_draws_out_a_request_is_given_up_and_others_are_served_meanwhile() -> None:
    async with open_door(limits=IMPATIENT) as door, contextlib.AsyncExitStack() as open_wires:
        slow = {name: await open_wires.enter_async_context(door.wire()) for name in SLOW}
        for name, wire in slow.items():
            wire.send(SLOW[name][0])
        others = [(await door.ask("POST", "/api/chat", body=b"{}")).status for _ in range(3)]
        answers = {name: await wire.rest() for name, wire in slow.items()}
        async with asyncio.timeout(PATIENCE_S):
            await door.front.drained()

    assert others == [200, 200, 200]
    for name, (_, reason) in SLOW.items():
        assert statuses(answers[name]) == ([] if reason is None else [408]), name
        assert reason is None or f"x-namel3ss-error: {reason}\r\n".encode() in answers[name]
    assert door.handled.bodies == [b"{}"] * 3


@pytest.mark.fault(52)
async def test_one_byte_now_and_then_does_not_count_as_a_body() -> None:
    async with open_door(limits=IMPATIENT) as door, door.wire() as slow:
        slow.send(post(b"Content-Length: 100000"))
        reading = asyncio.create_task(slow.rest())
        while not reading.done():
            slow.send(b"x")
            await asyncio.wait([reading], timeout=0.02)
        answers = await reading

    assert statuses(answers) == [408]


@pytest.mark.fault(54)
@pytest.mark.parametrize(
    "data", [post(b"Content-Length: 9", body=b"half"), b"POST /api/chat HTT", b"\x16\x03\x01"]
)
async def test_who_leaves_in_the_middle_of_a_request_leaves_nothing_behind(data: bytes) -> None:
    async with open_door() as door:
        for ending in ("half-close", "reset", "close"):
            async with door.wire() as wire:
                wire.send(data)
                if ending == "half-close":
                    wire.half_close()
                    await wire.rest()
                elif ending == "reset":
                    wire.reset()
        async with asyncio.timeout(PATIENCE_S):
            await door.front.drained()
        after = await door.ask("GET", "/health/live")

    assert after.status == 200
    assert door.handled.bodies == [b""]
