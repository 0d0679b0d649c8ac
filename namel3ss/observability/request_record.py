"""What is known of a request when it is over. One value; metrics and spans are read from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

import msgspec

__all__ = [
    "EndedRequest",
    "InputModality",
    "Operation",
    "Outcome",
    "ReportedTimings",
    "ReportedUsage",
    "RequestFacts",
]

Operation: TypeAlias = Literal["chat", "text_completion", "embeddings"]
Outcome: TypeAlias = Literal["ok", "error", "cancelled"]
# Ollama counts the tokens of a prompt without saying how many stand for images.
InputModality: TypeAlias = Literal["text", "unknown"]


class ReportedUsage(Protocol):
    """Token counts; None for one that the server did not send (namel3ss.providers.base.Usage)."""

    @property
    def prompt_tokens(self) -> int | None: ...
    @property
    def completion_tokens(self) -> int | None: ...


class ReportedTimings(Protocol):
    """Seconds by the server's own clock; None where it said nothing (namel3ss.providers.base.Timings)."""

    @property
    def total_s(self) -> float | None: ...
    @property
    def load_s(self) -> float | None: ...
    @property
    def prompt_eval_s(self) -> float | None: ...
    @property
    def eval_s(self) -> float | None: ...


class RequestFacts(msgspec.Struct, frozen=True, gc=False):
    """What is known before a request is sent. `parameters` are the options as the server takes them; `labels` are for
    listeners, beside those that every request has.
    """

    operation: Operation
    provider: str
    model: str
    server_address: str | None
    server_port: int | None
    stream: bool
    parameters: Mapping[str, object]
    labels: Mapping[str, str]
    input_modality: InputModality


class EndedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is over. Seconds are the client's unless a name says otherwise; None is "nobody knows".

    `duration_s` is right whoever was slow (see `_Arrivals` in requests.py); `consumer_s` is how long the caller
    kept the pieces before asking for more, whether or not the server worked meanwhile.
    """

    facts: RequestFacts
    outcome: Outcome
    error_type: str | None
    duration_s: float
    consumer_s: float
    first_chunk_s: float | None
    first_token_s: float | None
    mean_chunk_gap_s: float | None
    chunks: int
    response_model: str | None
    finish_reasons: tuple[str, ...]
    prompt_tokens: int | None
    completion_tokens: int | None
    server_load_s: float | None
    server_prompt_eval_s: float | None
    server_eval_s: float | None

    @property
    def tokens_per_second(self) -> float | None:
        """Generated tokens over the server's own generation time: a slow reader does not change it."""
        if self.completion_tokens is None or not self.server_eval_s:
            return None
        return self.completion_tokens / self.server_eval_s
