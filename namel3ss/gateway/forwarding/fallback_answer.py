"""One answer of the fallback's model, from its provider to the caller: live, charged and interruptible as any other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec

from namel3ss.errors import N3Error
from namel3ss.gateway.dialects import error_event
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.exchange import JSON_TYPE, CallerLeft
from namel3ss.gateway.forwarding.interruption import Interruption
from namel3ss.gateway.forwarding.refusals import broken_off
from namel3ss.gateway.forwarding.waiting import STREAM_HEADERS
from namel3ss.gateway.forwarding.watching import Look
from namel3ss.gateway.live import LiveRequest, Stage
from namel3ss.gateway.usage import Usage, UsageEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations import ModelDeclaration
    from namel3ss.gateway.dialects.speaking import Speaker
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.forwarding.forwarder import Forwarder
    from namel3ss.gateway.forwarding.job import Job
    from namel3ss.gateway.forwarding.parts import Reserved
    from namel3ss.observability.gateway_spans import GatewayTrace
    from namel3ss.providers.base import ProviderStream

__all__ = ["FallbackAnswer"]

logger = logging.getLogger(__name__)

_HEADER: Final = b"x-namel3ss-fallback"
_BYTES_PER_TOKEN: Final = 4
_LAST_WORDS_S: Final = 1.0


class FallbackAnswer:
    """One answer of the other model, on its way to the caller. `give` it once."""

    def __init__(
        self,
        forwarder: Forwarder,
        exchange: Exchange,
        job: Job,
        speaker: Speaker,
        stream: ProviderStream,
        declaration: ModelDeclaration,
    ) -> None:
        self._forwarder = forwarder
        self._exchange = exchange
        self._job = job
        self._speaker = speaker
        self._stream = stream
        self._declaration = declaration
        self._said_bytes = 0
        self._usage: Usage | None = None

    async def give(self, refusal: Refusal, reason: str, trace: GatewayTrace | None) -> None:
        """Answer in the place of `refusal`, which is raised after all where the other model fails at once."""
        forwarder, job, exchange = self._forwarder, self._job, self._exchange
        arrived_at = forwarder.now()
        interruption = Interruption()
        look = Look(exchange, interruption)
        live = self._live_request(interruption, arrived_at)
        forwarder.live.add(live)
        outcome = "interrupted"
        try:
            reserved = forwarder.books.reserve(job.principal, job.most_tokens)
            try:
                reserved.begin()
                look.listen()
                with contextlib.nullcontext() if trace is None else trace.around():
                    await self._speak(interruption, refusal, reserved)
                outcome = "ok"
                forwarder.metrics.event("fallback", reason=reason)
            except CallerLeft:
                outcome = Reason.cancelled.name
            except Refusal as refused:
                outcome = refused.reason.name
                await self._refuse(refused)
            finally:
                usage = self._used()
                reserved.settle(usage)
                event = self._event(outcome, usage, forwarder.now() - arrived_at)
                if trace is not None:
                    trace.end(event)
                forwarder.record(event)
        finally:
            interruption.end()
            look.end()
            forwarder.live.remove(live)
            await self._stream.cancel()

    async def _speak(self, interruption: Interruption, refusal: Refusal, reserved: Reserved) -> None:
        try:
            if self._job.request.stream:
                await self._speak_in_pieces(reserved)
            else:
                response = await self._stream.result()
                self._usage = _usage_of(response.usage)
                body = msgspec.json.encode(self._speaker.whole(response, self._used()))
                await self._exchange.reply(200, body, JSON_TYPE, self._headers())
        except asyncio.CancelledError:
            interruption.explain()
            raise
        except N3Error as error:
            if isinstance(error, Refusal):
                raise
            logger.warning("The fallback %s failed: %s.", self._declaration.name, type(error).__name__)
            if self._exchange.started:
                raise broken_off(is_silent=isinstance(error, TimeoutError)) from error
            raise refusal from error

    async def _speak_in_pieces(self, reserved: Reserved) -> None:
        exchange, speaker = self._exchange, self._speaker
        most = self._job.most_tokens if self._job.longest_answer is None else sys.maxsize
        async for chunk in self._stream:
            if not exchange.started:
                headers = (*STREAM_HEADERS, *self._headers())
                await exchange.start(200, [(b"content-type", speaker.content_type), *headers])
            if chunk.output_text or chunk.thinking or chunk.tool_calls:
                self._said_bytes += len(chunk.output_text) + len(chunk.thinking)
                await exchange.send_piece(speaker.piece(chunk))
                if (used := self._used().total_tokens) > most:
                    most = reserved.cover(used)
        response = await self._stream.result()
        self._usage = _usage_of(response.usage)
        await exchange.finish(speaker.end(response, self._used()))

    async def _refuse(self, refusal: Refusal) -> None:
        if not self._exchange.started:
            raise refusal
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._exchange.finish(error_event(self._job.route, refusal, self._exchange.id))

    def _headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((_HEADER, self._declaration.name.encode()),)

    def _used(self) -> Usage:
        if self._usage is not None:
            return self._usage
        if not self._exchange.started:
            return Usage(0, 0)
        return Usage(self._job.request.prompt_tokens, self._said_bytes // _BYTES_PER_TOKEN, estimated=True)

    def _live_request(self, interruption: Interruption, arrived_at: float) -> LiveRequest:
        return LiveRequest(
            id=self._exchange.id,
            principal=self._job.principal,
            client=self._exchange.client,
            model=self._declaration.model,
            route=self._job.route.path,
            arrived_at=arrived_at,
            interrupt=self._exchange.end_reading or interruption.interrupt,
            stage=Stage.SENT,
            started_at=arrived_at,
        )

    def _event(self, outcome: str, usage: Usage, duration_s: float) -> UsageEvent:
        principal = self._job.principal
        return UsageEvent(
            at=time.time(),
            request_id=self._exchange.id,
            user=principal.user,
            key_id=principal.key_id,
            class_name=principal.class_name,
            model=self._declaration.model,
            server=None,
            route=self._job.route.path,
            outcome=outcome,
            status=200 if self._exchange.started else Reason.bad_upstream.status,
            usage=usage,
            wait_s=0.0,
            first_token_s=None,
            duration_s=duration_s,
        )


def _usage_of(said: Mapping[str, int]) -> Usage | None:
    if "prompt_tokens" not in said or "completion_tokens" not in said:
        return None
    return Usage(said["prompt_tokens"], said["completion_tokens"])
