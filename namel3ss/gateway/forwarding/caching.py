"""Answers given again: to requests that have one answer only, equal in every byte, of the same key.

Of equal requests one goes to a server. It does so on its own, so that its caller may leave, or be cancelled by its id, while
others read; when nobody reads any more, it ends as every request does whose caller has left. Whoever joins is a request
of its own: it has its own id, and the place in the queue of the one that was sent. Whole answers are kept, with the
borders of their pieces, so that a stream is replayed as one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from namel3ss.caching import Outcome, ResponseCache, cache_key, is_deterministic
from namel3ss.gateway.answering import while_connected
from namel3ss.gateway.dialects import error_event
from namel3ss.gateway.dialects.members import read_value
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import DEPARTURE, Exchange
from namel3ss.gateway.forwarding.interruption import Interruption
from namel3ss.gateway.live import LiveRequest, Stage
from namel3ss.gateway.routes import Dialect
from namel3ss.gateway.usage import Usage, UsageEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any, TypeAlias

    from namel3ss.caching import AsyncSeat, Flight
    from namel3ss.declarations.gateway_settings import CacheSettings
    from namel3ss.gateway.forwarding.job import Job
    from namel3ss.gateway.forwarding.parts import Figures, Ledger
    from namel3ss.gateway.live import LiveRequests

    Deliver: TypeAlias = Callable[[Exchange], Awaitable[bool]]
    """Answers an exchange; True where the answer is whole and a server's own."""

__all__ = ["AnswerCache"]

# Of a larger body the digest would hold up the others.
_LARGEST_BODY: Final = 1024 * 1024
_HEADER: Final = b"x-namel3ss-cache"
_OF_THE_QUEUE: Final = b"x-queue-"
_LAST_WORDS_S: Final = 1.0
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

    request_id: str
    task: asyncio.Task[None]
    is_over: bool = False


class AnswerCache:
    """The answers of one gateway, on its event loop. It holds nothing that must be closed."""

    def __init__(self, settings: CacheSettings, books: Ledger, metrics: Figures, live: LiveRequests) -> None:
        self._answers = ResponseCache(ttl_s=settings.ttl, max_bytes=settings.max_bytes)
        self._books = books
        self._metrics = metrics
        self._live = live
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
        interruption = Interruption()
        if outcome is Outcome.MISS:
            self._send(exchange, seat.flight, deliver, interruption)
        try:
            if outcome is Outcome.MISS:
                await _read(exchange, seat, outcome, interruption)
            else:
                await self._give_again(exchange, job, seat, outcome, arrived_at, interruption)
        finally:
            interruption.end()
            seat.leave()
            way = self._ways.get(seat.flight)
            if way is not None and way.is_over:
                await asyncio.wait([way.task])

    def _send(self, exchange: Exchange, flight: Flight, deliver: Deliver, interruption: Interruption) -> None:
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
        double.end_reading = interruption.interrupt
        way = _Way(exchange.id, asyncio.create_task(self._fly(flight, double, deliver)))
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
        self,
        exchange: Exchange,
        job: Job,
        seat: AsyncSeat,
        outcome: Outcome,
        arrived_at: float,
        interruption: Interruption,
    ) -> None:
        """An answer that costs no server anything, and its reader nothing."""
        way = self._ways.get(seat.flight)
        live = _live_request(exchange, job, interruption, None if way is None else way.request_id)
        self._live.add(live)
        ending = "interrupted"
        try:
            reserved = self._books.reserve(job.principal, 0)
            try:
                reserved.begin()
                ending = await _read(exchange, seat, outcome, interruption, live)
            except Refusal as refusal:
                ending = refusal.reason.name
                raise
            finally:
                reserved.settle(_NOTHING)
                event = _event(exchange, job, ending, time.monotonic() - arrived_at)
                self._books.record(event)
                self._metrics.record(event)
        finally:
            live.outcome = ending
            self._live.remove(live)


async def _read(
    exchange: Exchange,
    seat: AsyncSeat,
    outcome: Outcome,
    interruption: Interruption,
    live: LiveRequest | None = None,
) -> str:
    """Pass the answer on until it or its reader ends; how that was, in the words of a UsageEvent. Raises Refusal."""
    try:
        whole = await while_connected(exchange, _relay(exchange, seat, outcome, live))
    except asyncio.CancelledError:
        try:
            interruption.explain()
        except Refusal as refusal:
            await _end_with(refusal, exchange)
            return refusal.reason.name
        raise
    return "ok" if whole else Reason.cancelled.name


async def _end_with(refusal: Refusal, exchange: Exchange) -> None:
    """Say it in place of the answer, or at the end of what has been said of it."""
    if not exchange.started or exchange.route is None:
        raise refusal
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_S):
            await exchange.finish(error_event(exchange.route, refusal, exchange.id))


async def _relay(exchange: Exchange, seat: AsyncSeat, outcome: Outcome, live: LiveRequest | None) -> bool:
    """Pass the answer on as it was, or is. Raises the Refusal that came in its place."""
    try:
        async for piece in seat:
            if live is not None and live.started_at is None:
                live.started_at = asyncio.get_running_loop().time()
                live.reach(Stage.STREAMING)
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


def _live_request(
    exchange: Exchange, job: Job, interruption: Interruption, shares_place_of: str | None
) -> LiveRequest:
    return LiveRequest(
        id=exchange.id,
        principal=job.principal,
        client=exchange.client,
        model=job.model,
        route=job.route.path,
        arrived_at=asyncio.get_running_loop().time(),
        interrupt=interruption.interrupt,
        stage=Stage.WAITING if shares_place_of else Stage.STREAMING,
        shares_place_of=shares_place_of,
    )


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
