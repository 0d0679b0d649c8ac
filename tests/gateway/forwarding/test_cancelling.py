"""A cancellation at every await of a request's way leaves no slot, no connection and no open account behind."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.gateway.errors import Refusal
from namel3ss.gateway.exchange import Exchange
from namel3ss.gateway.routes import find_route
from tests.faults.stepping import CancelledAt
from tests.gateway.forwarding.play import Gateway, eventually, key_of, open_gateway
from tests.gateway.forwarding.sayings import CHAT, DONE, END_OF_CHAT, PROMPT, STOP, delta, stream, token
from tests.support.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

MOST_STEPS = 200


class Caller:
    """The server's side of one request, without a socket: every call suspends, as a busy connection's may."""

    def __init__(
        self, path: str, body: bytes, *headers: tuple[bytes, bytes], request_id: str = "stepped"
    ) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        self._messages = [{"type": "http.request", "body": body, "more_body": False}]
        self.left = asyncio.Event()
        scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers)}
        self.exchange = Exchange(scope, self._receive, self._send, request_id=request_id, client="127.0.0.1")
        self.exchange.principal = key_of()
        self.exchange.route = find_route(path).methods["POST"]

    async def _receive(self) -> MutableMapping[str, Any]:
        if not self._messages:
            await self.left.wait()
            return {"type": "http.disconnect"}
        await asyncio.sleep(0)
        return self._messages.pop()

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        await asyncio.sleep(0)
        self.sent.append(message)


async def deliver(gateway: Gateway, caller: Caller, *at_steps: int) -> tuple[bool, int]:
    """Whether it came to its end, and how often it was suspended."""
    stepped = CancelledAt(gateway.forwarder(caller.exchange), *at_steps)
    task = asyncio.ensure_future(_run(stepped))
    with suppress(asyncio.CancelledError, Refusal):
        await task
    return not task.cancelled(), stepped.steps


async def _run(stepped: CancelledAt[None]) -> None:
    await stepped


def generation() -> Caller:
    return Caller("/api/generate", b'{"model":"tiny","prompt":"hi"}')


def whole() -> Caller:
    return Caller("/api/generate", b'{"model":"tiny","prompt":"hi","stream":false}')


def chat_with_news() -> Caller:
    body = b'{"model":"tiny","messages":[{"role":"user","content":"hi"}],"stream":true}'
    return Caller("/v1/chat/completions", body, (b"x-queue-events", b"1"))


async def learn(gateway: Gateway) -> None:
    """Have the gateway know that the model answers at once, so that no slot drains for long."""
    for _ in range(2):
        assert (await gateway.ask("/v1/chat/completions", CHAT)).status == 200
        assert (await gateway.ask("/api/generate", {**PROMPT, "stream": False})).status == 200


@pytest.mark.fault(44, 45)
@pytest.mark.parametrize("repeated", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("caller", [generation, whole, chat_with_news])
async def test_cancellation_at_every_step_leaves_nothing_behind(
    caller: Callable[[], Caller], repeated: bool
) -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("a"), token("b"), DONE))
        server.on("/v1/chat/completions", stream(delta("a"), STOP, END_OF_CHAT, sse=True))
        async with open_gateway(server) as gateway:
            await learn(gateway)
            for step in range(1, MOST_STEPS):
                ended, steps = await deliver(gateway, caller(), step, *([step + 1] if repeated else []))

                assert gateway.live.by_id == {}
                await eventually(gateway.is_at_rest)
                if steps < step:
                    assert ended
                    break
            else:
                raise AssertionError("it never came to its end")


@pytest.mark.fault(44)
async def test_cancellation_at_every_step_of_a_wait_leaves_nothing_behind() -> None:
    with ScriptedServer() as server:
        server.on("/api/generate", stream(token("a"), DONE))
        server.on("/v1/chat/completions", stream(delta("a"), STOP, END_OF_CHAT, sse=True))
        async with open_gateway(server) as gateway:
            await learn(gateway)
            for step in range(1, MOST_STEPS):
                async with gateway.scheduler.admit(
                    model=gateway.backends.model_key("tiny"), request_id="first"
                ):
                    caller = chat_with_news()
                    stepped = CancelledAt(gateway.forwarder(caller.exchange), step)
                    task = asyncio.ensure_future(_run(stepped))
                    for _ in range(20):
                        await asyncio.sleep(0)
                with suppress(asyncio.CancelledError, Refusal):
                    await task
                assert gateway.live.by_id == {}
                await eventually(gateway.is_at_rest)
                if stepped.steps < step:
                    break
            else:
                raise AssertionError("it never came to its end")
            assert caller.sent[-1] == {"type": "http.response.body", "body": b""}
