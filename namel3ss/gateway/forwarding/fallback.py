"""The ai model that answers when the servers cannot: for keys that allow it, and for the reasons that the gateway declares.

Its answer is said in the caller's own protocol and marked by a header. Once anything of a server's answer has gone out,
nothing is asked elsewhere. What the other provider has no word for (embeddings, the Responses API, raw prompts) stays
refused.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Self

from namel3ss.errors import N3Error
from namel3ss.gateway.dialects.conversations import conversation_of
from namel3ss.gateway.dialects.speaking import speaker_of
from namel3ss.gateway.errors import Reason
from namel3ss.gateway.forwarding.fallback_answer import FallbackAnswer
from namel3ss.gateway.forwarding.simple_chat import SimpleChat, SimpleSpeaker
from namel3ss.providers.base import ProviderMessage
from namel3ss.providers.registry import PluginError, installed_providers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from namel3ss.declarations import ModelDeclaration
    from namel3ss.declarations.fallbacks import FallbackWhen
    from namel3ss.gateway.dialects.conversations import Conversation
    from namel3ss.gateway.dialects.speaking import Speaker
    from namel3ss.gateway.errors import Refusal
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.forwarding.forwarder import Forwarder
    from namel3ss.gateway.forwarding.job import Job
    from namel3ss.gateway.plan import GatewayPlan

__all__ = ["Fallback", "open_fallback"]

logger = logging.getLogger(__name__)

_NOBODY_IS_THERE: Final = frozenset({Reason.server_down, Reason.no_server})
_NO_PLACE: Final = frozenset({Reason.queue_full, Reason.user_queue_full})


class Fallback:
    """Lives as long as the gateway; closes the provider that it opened."""

    def __init__(
        self,
        declaration: ModelDeclaration,
        when: FallbackWhen,
        environ: Mapping[str, str],
        *,
        max_wait_s: float | None,
    ) -> None:
        """Contacts nobody. `max_wait_s` is everybody's. Raises ProgramError for a variable that is not set."""
        plugin = installed_providers().get(declaration.provider)
        if plugin is None:
            raise PluginError(f"The provider {declaration.provider!r} is not installed any more.")
        settings = declaration.settings(environ)
        self._provider = plugin.create(declaration.name, declaration.model, settings, environ=environ)
        self._declaration = declaration
        self._server_down = when.server_down
        self._queue_full = when.wait_over is not None
        self._wait_over_s = when.wait_over
        if max_wait_s is not None and when.wait_over is not None and when.wait_over >= max_wait_s:
            self._wait_over_s = None  # nobody waits that long

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._provider.aclose()

    def allow(self, job: Job) -> None:
        """Have the request leave the queue when it would be asked elsewhere."""
        if self._wait_over_s is not None and job.principal.allows_fallback:
            job.max_wait_s = self._wait_over_s
            job.leaves_long_queues = True

    def reason_in(self, refusal: Refusal, job: Job) -> str | None:
        """The declared reason that a refusal is, where it is one for this key."""
        if not job.principal.allows_fallback:
            return None
        if self._server_down and refusal.reason in _NOBODY_IS_THERE:
            return "server_down"
        if self._queue_full and refusal.reason in _NO_PLACE:
            return "wait_over"
        if job.leaves_long_queues and refusal.reason is Reason.wait_timeout:
            return "wait_over"
        return None

    def answer_for(self, forwarder: Forwarder, exchange: Exchange, job: Job) -> FallbackAnswer | None:
        """The answer to be given; None where this request cannot be put to another provider."""
        tells_usage = _asks_for_usage(job)
        if isinstance(job, SimpleChat):
            speaker: Speaker | None = SimpleSpeaker(self._declaration.model, self._declaration.provider)
        else:
            speaker = speaker_of(job.route, self._declaration.model, tells_usage=tells_usage)
        if speaker is None:
            return None
        try:
            conversation = conversation_of(job.route, job.request)
            if conversation is None:
                return None
            stream = self._provider.stream(self._messages(conversation, job), **conversation.overrides)
        except N3Error as error:
            # Not the words: they quote the caller's.
            kind = type(error).__name__
            logger.warning("The fallback %s cannot take a request: %s.", self._declaration.name, kind)
            return None
        return FallbackAnswer(forwarder, exchange, job, speaker, stream, self._declaration)

    def _messages(self, conversation: Conversation, job: Job) -> list[Any]:
        """With an instruction: the caller's own, else that of the fallback, else that of the model that was called."""
        called = job.called
        declared = called.served.system if called.by_declared_name else None
        system = self._declaration.system or declared
        if system is None or conversation.has_system:
            return list(conversation.messages)
        return [ProviderMessage("system", system), *conversation.messages]


def open_fallback(plan: GatewayPlan, environ: Mapping[str, str]) -> Fallback | None:
    """That of a plan, to be entered; None where none is declared. Raises ProgramError for a variable that is not set."""
    rule = plan.settings.fallback
    if plan.fallback is None or rule is None:
        return None
    return Fallback(plan.fallback, rule.when, environ, max_wait_s=plan.settings.queue.max_wait)


def _asks_for_usage(job: Job) -> bool:
    raw = job.request.members.get("stream_options")
    return raw is not None and b"true" in bytes(raw)
