"""What one caller asked and was answered: what is stored where a gateway is told to keep it, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Overheard"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheard:
    """One request and its answer, as they came over the wire. Its repr shows neither."""

    at: float
    """Seconds since the epoch."""
    request_id: str
    user: str
    key_id: str
    class_name: str
    model: str
    """The Ollama name."""
    route: str
    status: int
    """Of the answer; 499 where the caller left before there was any."""
    request: bytes = field(repr=False)
    answer: bytes = field(repr=False)
    is_cut: bool
    """Whether there was more of the answer."""

    @property
    def size(self) -> int:
        return len(self.request) + len(self.answer)
