"""One request's way: into the queue, to a server, and its answer back to the caller.

The rules:

* A slot is held from before the request is sent until its answer has ended or its connection was dropped. It is given
  back however that comes about; nothing on the way back waits.
* The status is committed when the first complete line or event is there. Until then everything that goes wrong
  becomes a refusal, or another attempt where nothing of the request has run.
* Once it is committed, what goes wrong becomes the protocol's error line or event, and nothing follows it.
* What was used is charged once, also for an answer that was cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from namel3ss.gateway.backends.evidence import Blame
from namel3ss.gateway.dialects import clean_error, error_event
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import JSON_TYPE, CallerLeft
from namel3ss.gateway.forwarding.account import INTERRUPTED, NOTHING, Account
from namel3ss.gateway.forwarding.interruption import Interruption
from namel3ss.gateway.forwarding.place import Place
from namel3ss.gateway.forwarding.refusals import (
    LATER_S,
    broken_off,
    error_type_of_server,
    error_words,
    refusal_of_queue,
    refusal_of_server,
)
from namel3ss.gateway.forwarding.waiting import AT_ONCE, NO_WAIT, STREAM_HEADERS, wait_header
from namel3ss.gateway.forwarding.watching import Look
from namel3ss.gateway.live import LiveRequest, Stage
from namel3ss.gateway.routes import Action
from namel3ss.gateway.upstream import UpstreamError
from namel3ss.gateway.usage import Usage
from namel3ss.providers.transport.failure_kinds import Failure
from namel3ss.scheduling.errors import NoServerError, SchedulingError

if TYPE_CHECKING:
    from namel3ss.gateway.backends.attempts import Attempt
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.forwarding.forwarder import Forwarder
    from namel3ss.gateway.forwarding.job import Job, Reader
    from namel3ss.gateway.forwarding.parts import Reserved
    from namel3ss.gateway.upstream import UpstreamAnswer
    from namel3ss.scheduling import HeldLease

__all__ = ["Delivery"]

_LAST_WORDS_S: Final = 1.0
# What a server says of those who may ask it is about the gateway's own key.
_ABOUT_THE_GATEWAY: Final = frozenset({401, 403, 407})
_STREAMED: Final = (b"application/x-ndjson", b"text/event-stream")
# Of these another server may know nothing.
_ELSEWHERE: Final = frozenset({Blame.UNREACHABLE, Blame.BUSY, Blame.MEMORY, Blame.MISSING})


class _SendAgainError(Exception):
    """The attempt came to nothing, and nothing of it has run. `ready`: what to wait for first."""

    def __init__(self, ready: asyncio.Future[bool] | None = None) -> None:
        super().__init__()
        self.ready = ready


class _WholeAnswer(NamedTuple):
    """What is still to be sent when the slot has been given back."""

    status: int
    body: bytes
    content_type: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Delivery:
    """Made for one job, inside its task; `run` once."""

    __slots__ = (
        "_account",
        "_attempts",
        "_exchange",
        "_forwarder",
        "_interruption",
        "_job",
        "_live",
        "_look",
        "_place",
        "trace",
    )

    def __init__(self, forwarder: Forwarder, exchange: Exchange, job: Job, arrived_at: float) -> None:
        self._forwarder = forwarder
        self._exchange = exchange
        self._job = job
        self._interruption = Interruption()
        self._look = Look(exchange, self._interruption)
        self._live = LiveRequest(
            id=exchange.id,
            principal=job.principal,
            client=exchange.client,
            model=job.model,
            route=job.route.path,
            arrived_at=arrived_at,
            interrupt=exchange.end_reading or self._interruption.interrupt,
        )
        self._account = Account(job)
        self._place: Place | None = None
        self.trace = forwarder.trace(exchange, job)
        self._attempts = 0

    async def run(self) -> bool:
        """Deliver the answer, or raise the Refusal that takes its place. False: it was none, or is not whole."""
        forwarder, job, account = self._forwarder, self._job, self._account
        forwarder.live.add(self._live)
        try:
            reserved = forwarder.books.reserve(job.principal, job.most_tokens)
            try:
                try:
                    await self._deliver(reserved)
                finally:
                    self._interruption.end()
                account.outcome = account.outcome or "ok"
            except CallerLeft:
                account.leave(is_answered=self._exchange.started)
            except Refusal as refusal:
                account.end_as(refusal.reason, is_answered=self._exchange.started)
                await self._refuse(refusal)
            finally:
                usage = account.usage()
                reserved.settle(usage)
                event = account.event(self._live, usage, forwarder.now())
                if self.trace is not None:
                    self.trace.end(event)
                forwarder.record(event)
        finally:
            self._look.end()
            self._live.outcome = account.outcome or INTERRUPTED
            forwarder.live.remove(self._live)
        return account.is_whole

    # -- attempts -----------------------------------------------------------------------------------------------

    async def _deliver(self, reserved: Reserved) -> None:
        """Attempts, until one comes to an end; every failure of queue and servers as the Refusal that it means."""
        ready: asyncio.Future[bool] | None = None
        try:
            while True:
                try:
                    return await self._attempt(reserved, ready)
                except _SendAgainError as again:
                    ready = again.ready
        except NoServerError as error:
            raise self._forwarder.backends.why_nowhere(self._job.model) from error
        except SchedulingError as error:
            expected_s = LATER_S if self._place is None else self._place.expected_s
            raise refusal_of_queue(error, retry_after_s=expected_s) from error
        except UpstreamError as error:
            if self._account.first_token_s is None:
                raise refusal_of_server(error) from error
            self._account.outcome = INTERRUPTED
            raise broken_off(is_silent=error.kind is Failure.TIMEOUT) from error
        finally:
            self._interruption.end()

    async def _attempt(self, reserved: Reserved, ready: asyncio.Future[bool] | None) -> None:
        """One time through the queue. Whoever interrupts it is heard here."""
        try:
            if ready is not None:
                await asyncio.wait([ready])
            self._attempts += 1
            try:
                rest = await self._hold_slot(reserved)
            finally:
                if self._place is not None:
                    await self._place.leave()
            await self._send_rest(rest)
        except asyncio.CancelledError:
            self._interruption.explain()
            raise

    async def _hold_slot(self, reserved: Reserved) -> _WholeAnswer | bytes:
        """What is to be sent once the slot has been given back: a whole answer, or a stream's last bytes."""
        forwarder, principal = self._forwarder, self._job.principal
        admission = forwarder.scheduler.admit(
            model=forwarder.backends.model_key(self._job.model),
            user=principal.user,
            priority=principal.priority,
            cost=self._job.cost,
            max_wait_s=self._job.max_wait_s,
            request_id=self._exchange.id,
            on_wait=self._wait,
        )
        async with admission as lease:
            self._account.waited_s += lease.waited_s
            if self._place is not None:
                await self._place.leave()
            reserved.begin()
            return await self._use(lease, reserved)

    async def _wait(self) -> None:
        """There is no slot yet."""
        self._look.listen()
        if self._place is None:
            self._place = Place(self._forwarder, self._exchange, self._job)
        await self._place.look()

    async def _use(self, lease: HeldLease, reserved: Reserved) -> _WholeAnswer | bytes:
        forwarder, job, look, live = self._forwarder, self._job, self._look, self._live
        account = self._account
        attempt = forwarder.backends.note_sent(
            lease.server,
            job.model,
            spelling=job.spelling,
            cold=lease.cold,
            whole=not job.request.stream and job.route.action is not Action.EMBED,
            prompt_tokens=job.request.prompt_tokens,
            loader=job.loader,
            on_wedged=self._send_when_cured,
        )
        live.started_at = now = forwarder.now()
        account.send(now)
        live.server = lease.server
        live.reach(Stage.SENT)
        look.expect(lease.server, job.first_piece_s(forwarder.limits))
        forwarder.watch.add(look)
        answer: UpstreamAnswer | None = None
        try:
            upstream = forwarder.backends.upstream(lease.server)
            trace = None if self.trace is None else self.trace.sent(lease.server)
            answer = await upstream.send("POST", job.path, job.body, content_type=JSON_TYPE, trace=trace)
            if answer.status != 200:
                return await self._take_refusal(answer, attempt)
            if answer.content_type.startswith(_STREAMED):
                return await self._relay(answer, attempt, reserved)
            return await self._take_whole(answer, attempt)
        except UpstreamError as error:
            if self.trace is not None:
                self.trace.failed(error_type_of_server(error))
            blame = await attempt.failed(error)
            if not error.may_have_run:
                account.used = NOTHING
                self._look_elsewhere(blame, attempt.server)
            raise
        finally:
            forwarder.watch.remove(look)
            if answer is not None:
                answer.close()
            if account.has_last_word:
                attempt.ok()
            lease.drain(attempt.left())
            account.used = account.usage()
            if self.trace is not None:
                self.trace.left(account.status)
            lease.settle(account.used.total_tokens)

    def _look_elsewhere(self, blame: Blame, server: str) -> None:
        """Leave for another attempt, if there may be one and another server may do better."""
        forwarder = self._forwarder
        if (
            blame in _ELSEWHERE
            and self._attempts < forwarder.limits.attempts
            and forwarder.has_choice(server)
            and forwarder.budget.take()
        ):
            self._account.reader = None
            forwarder.metrics.event("retry", reason=blame.value)
            raise _SendAgainError

    def _send_when_cured(self, cured: asyncio.Future[bool]) -> None:
        """The model hangs on that server."""
        if self._account.first_token_s is None and self._attempts < self._forwarder.limits.attempts:
            self._forwarder.metrics.event("retry", reason="wedged")
            self._interruption.interrupt(_SendAgainError(cured))

    # -- answers ------------------------------------------------------------------------------------------------

    async def _relay(self, answer: UpstreamAnswer, attempt: Attempt, reserved: Reserved) -> bytes:
        """Pass a stream on, read by read. What it returns is the rest, after the server's last word."""
        look, live, account, read = self._look, self._live, self._account, answer.read_piece
        reader = account.reader = self._job.reader()
        idle_s = self._job.idle_s(self._forwarder.limits)
        prompt_tokens = self._job.request.prompt_tokens
        most = self._job.most_tokens - prompt_tokens if self._job.longest_answer is None else sys.maxsize
        out = b""
        while not out and (piece := await read()):
            out = reader.feed(piece)
        out = out or reader.finish()
        if not out:
            raise UpstreamError(attempt.server, Failure.DISCONNECTED, "an empty answer", is_answering=True)
        if reader.error is not None and out.startswith(reader.error):
            await self._fail_at_once(reader.error, attempt)
        attempt.first_token()
        account.first_token_s = self._forwarder.now() - (account.sent_at or 0.0)
        live.reach(Stage.STREAMING)
        if not self._exchange.started:
            headers = (*STREAM_HEADERS, *self._queue_headers())
            await self._exchange.start(200, [(b"content-type", answer.content_type), *headers])
        send = self._exchange.send_piece
        while True:
            if out:
                look.limit_s = None
                await send(out)
                look.limit_s = idle_s
                look.steps += 1
            try:
                piece = await read()
            except UpstreamError:
                if not reader.ended_well:
                    raise
                break
            if not piece:
                break
            out = reader.feed(piece)
            live.pieces = pieces = reader.content_events
            if pieces > most and not reader.ended_well:
                most = reserved.cover(prompt_tokens + pieces) - prompt_tokens
        return await self._end_stream(reader, attempt)

    async def _end_stream(self, reader: Reader, attempt: Attempt) -> bytes:
        rest = reader.finish()
        if reader.error is not None:
            # Said in the server's own last line or event, which has gone out or is the rest.
            self._account.outcome = INTERRUPTED
            await attempt.broke_off(reader.error.decode("utf-8", "replace"))
        elif not reader.ended_well:
            raise UpstreamError(attempt.server, Failure.DISCONNECTED, "the end is missing", is_answering=True)
        return rest

    async def _fail_at_once(self, error: bytes, attempt: Attempt) -> NoReturn:
        """The first thing that the server said in a stream is an error: it can still become a status."""
        words = error_words(error)
        blame = await attempt.broke_off(words)
        self._account.used = NOTHING
        self._look_elsewhere(blame, attempt.server)
        raise Refusal(Reason.bad_upstream, words)

    async def _take_whole(self, answer: UpstreamAnswer, attempt: Attempt) -> _WholeAnswer:
        body = await answer.read(self._forwarder.limits.answer_bytes)
        attempt.ok()
        body, usage = self._job.whole_answer(body)
        self._account.used = usage or Usage(self._job.request.prompt_tokens, 0, estimated=True)
        return _WholeAnswer(200, body, answer.content_type, self._queue_headers())

    async def _take_refusal(self, answer: UpstreamAnswer, attempt: Attempt) -> _WholeAnswer:
        """The server's own refusal, in its own words: the dialect is the caller's."""
        body = await answer.read(self._forwarder.limits.error_bytes)
        status = answer.status
        blame = await attempt.refused(status, body)
        self._account.used, self._account.status = NOTHING, status
        self._look_elsewhere(blame, attempt.server)
        if not 400 <= status < 600 or status in _ABOUT_THE_GATEWAY or b"json" not in answer.content_type:
            raise Refusal(
                Reason.bad_upstream,
                f"The server answered with HTTP {status}, which is no answer to the request.",
                suggestion="Ask an administrator to look at the server.",
            )
        headers = self._queue_headers()
        if blame is Blame.BUSY:
            headers = (*headers, (b"retry-after", b"%d" % LATER_S))
        return _WholeAnswer(status, clean_error(body), answer.content_type, headers)

    def _queue_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        waited_s = self._account.waited_s
        if self._place is not None and self._place.headers is not None:
            return (*self._place.headers, wait_header(waited_s))
        return (*AT_ONCE, wait_header(waited_s)) if waited_s else NO_WAIT

    async def _send_rest(self, rest: _WholeAnswer | bytes) -> None:
        """The server has done its part, and others have its slot."""
        if isinstance(rest, bytes):
            await self._exchange.finish(rest)
        elif self._exchange.started:
            # It asked for news of its wait, so that the status is out already.
            await self._exchange.finish(rest.body)
        else:
            await self._exchange.reply(rest.status, rest.body, rest.content_type, rest.headers)

    # -- ends ---------------------------------------------------------------------------------------------------

    async def _refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal: the front's business, unless the status is out already."""
        if not self._exchange.started:
            raise refusal
        reader = self._account.reader
        events = reader.content_events if reader is not None else 0
        last = error_event(self._job.route, refusal, self._exchange.id, events=events)
        # A caller who does not read is not waited for.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._exchange.finish(last)
