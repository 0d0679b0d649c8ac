"""When another model may answer in place of a bridge's own: the rule, and what is said of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from namel3ss.errors import UsageError
from namel3ss.observability.metrics import record_metric
from namel3ss.providers.anthropic import AnthropicUnreachableError
from namel3ss.providers.local.ollama import OllamaServerUnreachableError
from namel3ss.scheduling import NoServerError, QueueFullError

if TYPE_CHECKING:
    from namel3ss.bridge.answers import BridgeResponse
    from namel3ss.bridge.base import Bridge, Call

__all__ = ["BridgeFallback", "FallbackReason"]

logger = logging.getLogger(__name__)

# What says that nobody is there.
_DOWN: Final = (OllamaServerUnreachableError, AnthropicUnreachableError, NoServerError)

FallbackReason: TypeAlias = Literal["wait_over", "server_down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeFallback:
    """The bridge that is asked instead, and for which reasons. Its own fallback is not asked for in turn.

    `wait_over` (seconds): the request would wait, or has waited, longer in the queue; also when the queue is full. None is
    no reason. `server_down`: no server of the model can be reached. Once anything of an answer has come, nothing is asked
    elsewhere.
    """

    bridge: Bridge
    wait_over: float | None = None
    server_down: bool = False

    def __post_init__(self) -> None:
        if self.wait_over is not None and not _is_time(self.wait_over):
            raise UsageError(f"wait_over must be a number of seconds, 0 or more, not {self.wait_over!r:.40}.")
        if self.wait_over is None and not self.server_down:
            raise UsageError(
                "A fallback needs a reason.", suggestion="Give it wait_over, server_down=True, or both."
            )

    def reason_in(self, error: Exception) -> FallbackReason | None:
        """The reason that a failure is, where it is one."""
        if self.server_down and isinstance(error, _DOWN):
            return "server_down"
        if self.wait_over is not None and isinstance(error, QueueFullError):
            return "wait_over"
        return None

    def ask_instead(self, call: Call, reason: FallbackReason, model: str) -> BridgeResponse:
        """The answer of the other bridge, marked with the reason; `model` is the one that was asked."""
        to = self.bridge
        logger.warning("A request for %s goes to %s of %s: %s.", model, to.model, to.provider, reason)
        labels = {"model": model, "reason": reason, "to_model": to.model, "to_provider": to.provider}
        record_metric("namel3ss.bridge.fallbacks", 1, labels)
        response = to.answer(call, None)
        assert not isinstance(response, str)  # there is no rule, and so no reason
        said = {"reason": reason, "from": model, "to": to.model, "provider": to.provider}
        return replace(response, metadata={**response.metadata, "fallback": said})


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
