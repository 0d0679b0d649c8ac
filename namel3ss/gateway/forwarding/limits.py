"""How long the data path waits, and how much it holds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ForwardingLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingLimits:
    """Times are seconds. Where a model's declaration has times of its own, those hold."""

    first_token_s: float = 300.0
    """The first piece of a stream, loading the model included."""
    idle_s: float = 60.0
    """Between two pieces of a stream."""
    whole_answer_s: float = 3600.0
    """An answer that comes in one piece: nothing tells a slow server from a hanging one."""
    answer_bytes: int = 256 * 1024 * 1024
    """An answer that comes in one piece."""
    error_bytes: int = 256 * 1024
    """The text of a server's refusal."""
    attempts: int = 3
    """How often one request may be sent, each time to where nothing of it has run."""
