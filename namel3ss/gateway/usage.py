"""What one request used: what the books are kept in."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Usage", "UsageEvent"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `estimated` where the server did not say, or not to the end."""

    prompt_tokens: int
    completion_tokens: int
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEvent:
    """One request that has ended, for the books and the metrics. Without prompt and answer."""

    at: float
    """Seconds since the epoch."""
    request_id: str
    user: str
    key_id: str
    class_name: str
    model: str
    """The Ollama name."""
    server: str | None
    """None where it never got to one."""
    route: str
    outcome: str
    """`ok`, or the name of a Reason, or `interrupted` for an answer that broke off."""
    status: int
    usage: Usage
    wait_s: float
    first_token_s: float | None
    """From being sent to the first content."""
    duration_s: float
    """From arrival to the end."""
