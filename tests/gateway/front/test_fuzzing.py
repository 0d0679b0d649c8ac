"""Whatever comes over the wire, requests stay apart, nothing hangs, nothing breaks, and others are served."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import pytest

from namel3ss.gateway.principal import Scope
from namel3ss.gateway.routes import Action
from namel3ss.gateway.serving.limits import ConnectionLimits
from tests.gateway.front.door import holder, open_door
from tests.gateway.front.fuzzing import Read, conversation, first_request

if TYPE_CHECKING:
    from namel3ss.gateway.exchange import Exchange
    from tests.gateway.front.door import Door

KEYS = {"secret": holder(*Scope), "other": holder(user="bob")}
LIMITS = ConnectionLimits(
    head_s=0.3, body_pace_s=0.3, body_pace_bytes=1, idle_s=1.0, linger_s=1.0, stuck_s=1.0
)
_CLIENTS: Final = 24
_LONG_SEED: Final = int(os.environ.get("NAMEL3SS_FUZZ_SEED", "20261121"))
"""A check fails for what was changed, not by luck: who wants to find something new names another seed."""
_TAKES_BODY: Final = ("POST", "DELETE")


@pytest.mark.security(19)
@pytest.mark.fault(54, 57)
async def test_some_conversations_by_chance(caplog: pytest.LogCaptureFixture) -> None:
    await fuzz(seed=20_260, conversations=150, seconds=20.0, caplog=caplog)


@pytest.mark.long
@pytest.mark.security(19)
@pytest.mark.fault(54, 57)
async def test_many_conversations_by_chance(caplog: pytest.LogCaptureFixture) -> None:
    await fuzz(seed=_LONG_SEED, conversations=1_000_000, seconds=25.0, caplog=caplog)


class Readings:
    """What the handlers have read to its end, by the port of the client."""

    def __init__(self) -> None:
        self.by_port: defaultdict[int, list[Read]] = defaultdict(list)

    async def echo(self, exchange: Exchange) -> None:
        body = await exchange.read_body(1_000_000) if exchange.method in _TAKES_BODY else b""
        query = exchange.scope["query_string"]
        target = exchange.scope["raw_path"] + (b"?" + query if query else b"")
        self.by_port[exchange.scope["client"][1]].append(Read(exchange.method.encode(), target, body))
        await exchange.reply(200, b"{}")


async def fuzz(seed: int, conversations: int, seconds: float, caplog: pytest.LogCaptureFixture) -> None:
    """Talk for so long, or so often. What fails names its seed, with which it can be had again."""
    caplog.set_level(logging.WARNING)
    numbers, deadline = iter(range(conversations)), time.monotonic() + seconds
    readings = Readings()
    handlers: dict[str, Any] = dict.fromkeys(Action.__members__, readings.echo)
    async with open_door(keys=KEYS, limits=LIMITS, **handlers) as door:

        async def talk_on() -> int:
            count = 0
            for number in numbers:
                if time.monotonic() > deadline:
                    break
                await talk(door, readings, f"{seed}-{number}")
                count += 1
            return count

        async with asyncio.TaskGroup() as clients:
            counts = [clients.create_task(talk_on()) for _ in range(_CLIENTS)]
        async with asyncio.timeout(10):
            await door.front.drained()
        after = await door.ask("GET", "/health/live")

    print(f"seed {seed}: {sum(count.result() for count in counts)} conversations")
    assert after.status == 200
    errors = [
        f"{record.name}: {record.getMessage()} {record.exc_info}"
        for record in caplog.records
        if record.levelno >= logging.ERROR
    ]
    assert errors == [], seed


async def talk(door: Door, readings: Readings, seed: str) -> None:
    """One conversation, and what must be true of it."""
    rng = random.Random(seed)
    pieces, is_patient = conversation(rng), rng.random() < 0.3
    async with door.wire() as wire:
        for piece in pieces:
            wire.send(piece)
            await asyncio.sleep(0)
        if not is_patient:
            wire.half_close()
        answers = await wire.rest()
        read = readings.by_port.pop(wire.port, [])
    statuses = re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", answers)
    done = [status for status in statuses if status == b"200"]

    # As many answers as requests; who leaves, or sends more after its last one, may miss some, and never gets more.
    assert len(done) <= len(read), seed
    assert len(done) == len(read) or wire.was_reset or not is_patient, seed
    other = first_request(b"".join(pieces))
    if statuses[:1] == [b"200"] and other is not None:
        ours = read[0]
        assert ours.method == other.method, seed
        assert ours.body == (other.body if ours.method.decode() in _TAKES_BODY else b""), seed
        assert other.target.removesuffix(b"?").endswith(ours.target), seed
