"""Answers given again: to requests that have one answer only, equal in every byte, of the same key.

Of equal requests one goes to a server. It does so on its own, so that its caller may leave while others read; when nobody
reads any more, it ends as every request does whose caller has left. Whole answers are kept, with the borders of their
pieces, so that a stream is replayed as one.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from namel3ss.caching import Outcome, ResponseCache, cache_key, is_deterministic
from namel3ss.gateway.answering import while_connected
from namel3ss.gateway.dialects.members import read_value
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import DEPARTURE, Exchange
from namel3ss.gateway.routes import Dialect
from namel3ss.gateway.usage import Usage, UsageEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any, TypeAlias

    from namel3ss.caching import AsyncSeat, Flight
    from namel3ss.declarations.gateway_settings import CacheSettings
    from namel3ss.gateway.forwarding.job import Job
    from namel3ss.gateway.forwarding.parts import Figures, Ledger

    Deliver: TypeAlias = Callable[[Exchange], Awaitable[bool]]
    """Answers an exchange; True where the answer is whole and a server's own."""

__all__ = ["AnswerCache"]

# Of a larger body the digest would hold up the others.
_LARGEST_BODY: Final = 1024 * 1024
_HEADER: Final = b"x-namel3ss-cache"
_OF_THE_QUEUE: Final = b"x-queue-"
_NOTHING: Final = Usage(0, 0)

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Head(msgspec.Struct, array_like=True):
    """The first piece of every answer; the others are its body."""

    status: int
    headers: list[tuple[bytes, bytes]]


_HEADS: Final = msgspec.msgpack.Decoder(_Head)


class _NotKeptError(Exception):
    """Ends an answer that is there for those who read it, and for nobody else."""


@dataclass(slots=True, eq=False)
class _Way:
    """One request on its way to a server, for everybody who reads its answer."""

    task: asyncio.Task[None]
    is_over: bool = False


class AnswerCache:
    """The answers of one gateway, on its event loop. It holds nothing that must be closed."""

    def __init__(self, settings: CacheSettings, books: Ledger, metrics: Figures) -> None:
        self._answers = ResponseCache(ttl_s=settings.ttl, max_bytes=settings.max_bytes)
        self._books = books
        self._metrics = metrics
        self._ways: dict[Flight, _Way] = {}

    def key_of(self, exchange: Exchange, job: Job, digest: str | None) -> bytes | None:
        """What an equal request has too; None where it may have another answer. `digest`: what the model's name means now."""
        if digest is None or len(job.body) > _LARGEST_BODY or not _has_one_answer(job):
            return None
        if b"x-queue-events" in exchange.headers:
            return None  # what is told of one wait is not true of another
        caller = f"{job.principal.user}\n{job.principal.key_id}"
        # The same body may be asked for in two forms: as Ollama's chat, and as a simple chat.
        return cache_key(f"{job.path} {type(job).__name__}", job.body, digest=digest, caller=caller)

    async def answer(self, exchange: Exchange, job: Job, key: bytes, deliver: Deliver) -> None:
        """Answer from memory, with the answer that is on its way, or by sending the request. Raises Refusal."""
        arrived_at = time.monotonic()
        taken = self._answers.take_async(key)
        seat, outcome = taken.seat, taken.outcome
        self._metrics.event("cache", outcome=outcome.value)
        if outcome is Outcome.MISS:
            self._send(exchange, seat.flight, deliver)
        try:
            if outcome is Outcome.MISS:
                await while_connected(exchange, _relay(exchange, seat, outcome))
            else:
                await self._give_again(exchange, job, seat, outcome, arrived_at)
        finally:
            seat.leave()
            way = self._ways.get(seat.flight)
            if way is not None and way.is_over:
                await asyncio.wait([way.task])

    def _send(self, exchange: Exchange, flight: Flight, deliver: Deliver) -> None:
        """Have the request delivered to the flight, which everybody reads, in the place of its caller."""
        nobody_reads = asyncio.Event()

        async def receive() -> MutableMapping[str, Any]:
            await nobody_reads.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                flight.add(msgspec.msgpack.encode(_Head(message["status"], list(message["headers"]))))
            elif body := message.get("body"):
                flight.add(body)

        # Its caller's departure is not the end of it.
        scope = {name: value for name, value in exchange.scope.items() if name != DEPARTURE}
        double = Exchange(scope, receive, send, request_id=exchange.id, client=exchange.client)
        double.principal, double.route = exchange.principal, exchange.route
        double.parameters, double.body_ended = exchange.parameters, True
        way = _Way(asyncio.create_task(self._fly(flight, double, deliver)))
        self._ways[flight] = way

        def leave() -> None:
            way.is_over = True
            nobody_reads.set()

        flight.when_abandoned(leave)

    async def _fly(self, flight: Flight, double: Exchange, deliver: Deliver) -> None:
        try:
            is_whole = await deliver(double)
        except Refusal as refusal:
            flight.fail(refusal)
        except Exception:
            flight.fail(Refusal(Reason.internal, "The gateway failed to answer."))
            raise
        else:
            if is_whole:
                flight.complete()
            else:
                flight.fail(_NotKeptError())
        finally:
            self._ways.pop(flight).is_over = True

    async def _give_again(
        self, exchange: Exchange, job: Job, seat: AsyncSeat, outcome: Outcome, arrived_at: float
    ) -> None:
        """An answer that costs no server anything, and its reader nothing."""
        reserved = self._books.reserve(job.principal, 0)
        ending = "interrupted"
        try:
            reserved.begin()
            whole = await while_connected(exchange, _relay(exchange, seat, outcome))
            ending = "ok" if whole else Reason.cancelled.name
        except Refusal as refusal:
            ending = refusal.reason.name
            raise
        finally:
            reserved.settle(_NOTHING)
            event = _event(exchange, job, ending, time.monotonic() - arrived_at)
            self._books.record(event)
            self._metrics.record(event)


async def _relay(exchange: Exchange, seat: AsyncSeat, outcome: Outcome) -> bool:
    """Pass the answer on as it was, or is. Raises the Refusal that came in its place."""
    try:
        async for piece in seat:
            if exchange.started:
                await exchange.send_piece(piece)
                continue
            head = _HEADS.decode(piece)
            headers = [(_HEADER, outcome.value.encode())]
            # A wait in the queue is told to whoever waited.
            headers += [
                (name, value)
                for name, value in head.headers
                if outcome is Outcome.MISS or not name.startswith(_OF_THE_QUEUE)
            ]
            await exchange.start(head.status, headers)
    except _NotKeptError:
        pass
    await exchange.finish()
    return True


def _has_one_answer(job: Job) -> bool:
    """By what its own protocol reads: to others a seed, and to loads any answer, means nothing."""
    if job.request.is_load:
        return False
    members = _MEMBERS.decode(job.body)
    names = {
        Dialect.OLLAMA: ("options",),
        Dialect.ANTHROPIC: ("temperature",),
        Dialect.OPENAI: ("temperature",) if job.path == "/v1/responses" else ("temperature", "seed"),
    }[job.route.dialect]
    said = {name: read_value(members[name]) for name in names if name in members}
    return is_deterministic(job.path, said)


def _event(exchange: Exchange, job: Job, ending: str, duration_s: float) -> UsageEvent:
    return UsageEvent(
        at=time.time(),
        request_id=exchange.id,
        user=job.principal.user,
        key_id=job.principal.key_id,
        class_name=job.principal.class_name,
        model=job.model,
        server=None,
        route=job.route.path,
        outcome=ending,
        status=200,
        usage=_NOTHING,
        wait_s=0.0,
        first_token_s=None,
        duration_s=duration_s,
    )
