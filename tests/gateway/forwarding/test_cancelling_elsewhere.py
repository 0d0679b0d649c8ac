"""Ends at every step of an answer that the fallback gives, or that several callers share, leave nothing behind."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

import pytest

from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.live import Stage
from namel3ss.gateway.principal import Scope
from namel3ss.providers.transport.client import import_libraries
from tests.gateway.forwarding.play import eventually, key_of, open_gateway
from tests.gateway.forwarding.sayings import DONE, END_OF_CHAT, STOP, delta, pieces, stream, token
from tests.gateway.forwarding.test_cancelling import MOST_STEPS, Caller, deliver
from tests.support.scripted_server import LAST_CHUNK, Gate, ScriptedServer, Send, chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tests.gateway.forwarding.play import Gateway

    Disturb: TypeAlias = Callable[[Gateway, Caller, asyncio.Task[None]], object]

NOWHERE = "http://127.0.0.1:9"
"""No server listens at the port of `discard`."""


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    """What the providers import at their first request they import on a thread, which outlives the test."""
    import_libraries()


def allowed(body: bytes) -> Caller:
    """Somebody whose requests may go to the fallback."""
    caller = Caller("/api/generate", body)
    caller.exchange.principal = key_of("ann", Scope.USE, allows_fallback=True)
    return caller


def streamed() -> Caller:
    return allowed(b'{"model":"local","prompt":"hi"}')


def whole() -> Caller:
    return allowed(b'{"model":"local","prompt":"hi","stream":false}')


def models(url: str) -> str:
    return (
        'ai model local { provider: ollama  model: "tiny" }\n'
        f'ai model cloud {{ provider: openai_compatible  model: "big"  config: {{ base_url: "{url}/v1" }} }}\n'
    )


def leave(gateway: Gateway, caller: Caller, task: asyncio.Task[None]) -> None:
    caller.left.set()


def cancel(gateway: Gateway, caller: Caller, task: asyncio.Task[None]) -> None:
    task.cancel()


def revoke(gateway: Gateway, caller: Caller, task: asyncio.Task[None]) -> None:
    gateway.live.interrupt_key("key-ann", Refusal(Reason.bad_key, "The key was revoked."))


@asynccontextmanager
async def before_fallback(first: Caller) -> AsyncIterator[tuple[Gateway, ScriptedServer, int]]:
    """A gateway whose own server is down, the server of its fallback, and how many tasks there are after a first request."""
    with ScriptedServer() as other:
        other.on("/v1/chat/completions", stream(delta("a"), delta("b"), STOP, END_OF_CHAT, sse=True))
        async with open_gateway(NOWHERE, settings="fallback: cloud", models=models(other.url)) as gateway:
            await deliver(gateway, first)
            yield gateway, other, len(asyncio.all_tasks())


async def nothing_is_left(gateway: Gateway, server: ScriptedServer, tasks: int) -> None:
    """Neither of the request nor of the one that it made: at most a connection that may be used again."""
    await eventually(gateway.is_at_rest)
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    await eventually(lambda: server.open_connections() <= 1)


@pytest.mark.fault(44, 45)
@pytest.mark.parametrize("repeated", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("caller", [streamed, whole])
async def test_cancellation_at_every_step_of_a_fallbacks_answer_leaves_nothing_behind(
    caller: Callable[[], Caller], repeated: bool
) -> None:
    async with before_fallback(caller()) as (gateway, other, tasks):
        for step in range(1, MOST_STEPS):
            said = caller()
            ended, steps = await deliver(gateway, said, step, *([step + 1] if repeated else []))

            await nothing_is_left(gateway, other, tasks)
            if steps < step:
                break
        else:
            raise AssertionError("it never came to its end")
        assert ended
        assert said.sent[0]["status"] == 200


@pytest.mark.fault(44, 50)
@pytest.mark.parametrize("disturb", [leave, cancel, revoke])
@pytest.mark.parametrize("caller", [streamed, whole])
async def test_end_at_every_turn_of_the_loop_of_a_fallbacks_answer_leaves_nothing_behind(
    caller: Callable[[], Caller], disturb: Disturb
) -> None:
    """A turn is a step of anybody's: of the request, of who listens to its caller, of the other provider's connection."""
    async with before_fallback(caller()) as (gateway, other, tasks):
        for turns in itertools.count():
            said = caller()
            task = asyncio.ensure_future(gateway.forwarder(said.exchange))
            for _ in range(turns):
                await asyncio.sleep(0)
            was_done = task.done()
            disturb(gateway, said, task)
            with suppress(asyncio.CancelledError, Refusal):
                await task

            await nothing_is_left(gateway, other, tasks)
            if was_done:
                break


def same(name: str, number: int = 0) -> Caller:
    """Requests that are equal where the number is."""
    body = b'{"model":"tiny","prompt":"%d","options":{"temperature":0}}' % number
    return Caller("/api/generate", body, request_id=name)


def text_of(caller: Caller) -> bytes:
    return b"".join(message.get("body", b"") for message in caller.sent)


NAMES = ("first", "second", "third")
ORDERS = [order for count in (1, 2, 3) for order in itertools.permutations(range(3), count)]


@pytest.mark.long
@pytest.mark.fault(44, 50)
@pytest.mark.parametrize("disturb", [leave, cancel])
@pytest.mark.parametrize("order", ORDERS)
async def test_callers_who_share_an_answer_leave_in_any_order_and_whoever_stays_reads_all_of_it(
    order: Sequence[int], disturb: Disturb
) -> None:
    staying = set(range(3)) - set(order)
    with ScriptedServer() as server:
        async with open_gateway(server, settings="cache: { ttl: 10m }") as gateway:
            await eventually(lambda: gateway.backends.digest("tiny") is not None)
            for turns in (0, 1, 5, 20):
                gate, before = Gate(), server.paths().count("/api/generate")
                rest = [Send(chunk(token("b") + DONE)), Send(LAST_CHUNK)]
                server.on("/api/generate", [*pieces(token("a")), gate, *rest])
                callers = [same(name, turns) for name in NAMES]
                tasks = [asyncio.ensure_future(gateway.forwarder(caller.exchange)) for caller in callers]
                for number in order:
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    disturb(gateway, callers[number], tasks[number])
                if staying:
                    gate.open()
                ended = await asyncio.gather(*tasks, return_exceptions=True)

                await eventually(gateway.is_at_rest)
                gate.open()
                for number in staying:
                    assert ended[number] is None
                    assert text_of(callers[number]) == token("a") + token("b") + DONE
                assert server.paths().count("/api/generate") - before == 1 or not staying


CANCELLED = Refusal(Reason.cancelled, "The request was cancelled by its user.")


@pytest.mark.parametrize("order", ORDERS)
async def test_callers_who_share_an_answer_are_cancelled_by_their_ids_in_any_order(
    order: Sequence[int],
) -> None:
    gate, staying = Gate(), set(range(3)) - set(order)
    with ScriptedServer() as server:
        rest = [Send(chunk(token("b") + DONE)), Send(LAST_CHUNK)]
        server.on("/api/generate", [*pieces(token("a")), gate, *rest])
        async with open_gateway(server, settings="cache: { ttl: 10m }") as gateway:
            await eventually(lambda: gateway.backends.digest("tiny") is not None)
            callers = [same(name) for name in NAMES]
            tasks = [asyncio.ensure_future(gateway.forwarder(caller.exchange)) for caller in callers]
            await eventually(lambda: all(map(text_of, callers)))
            assert set(gateway.live.by_id) == set(NAMES)
            for number in order:
                gateway.live.by_id[NAMES[number]].interrupt(CANCELLED)
                await tasks[number]
                assert (
                    text_of(callers[number]) == token("a") + b'{"error":"%s"}\n' % CANCELLED.message.encode()
                )
            if staying:
                gate.open()
            await asyncio.gather(*tasks)

            await eventually(gateway.is_at_rest)
            for number in staying:
                assert text_of(callers[number]) == token("a") + token("b") + DONE
            assert server.paths().count("/api/generate") == 1
            gate.open()


async def test_who_joins_has_the_place_of_the_first_in_the_queue_and_can_leave_it_alone() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("a"), DONE))
        async with open_gateway(server, settings="cache: { ttl: 10m }") as gateway:
            await eventually(lambda: gateway.backends.digest("tiny") is not None)
            async with gateway.scheduler.admit(model=gateway.backends.model_key("tiny"), request_id="runs"):
                callers = [same(name) for name in NAMES]
                tasks = [asyncio.ensure_future(gateway.forwarder(caller.exchange)) for caller in callers]
                await eventually(lambda: set(gateway.live.by_id) == set(NAMES))
                joined = gateway.live.by_id["second"]
                assert (joined.stage, joined.place_id) == (Stage.WAITING, "first")

                joined.interrupt(CANCELLED)
                with pytest.raises(Refusal) as refused:
                    await tasks[1]
                gateway.live.by_id["first"].interrupt(CANCELLED)
                with pytest.raises(Refusal):
                    await tasks[0]
            await tasks[2]

            assert refused.value.reason is Reason.cancelled
            assert text_of(callers[2]) == token("a") + DONE
            await eventually(gateway.is_at_rest)
