"""The metrics of a request, recorded once at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.observability.metrics import has_metric_listeners, record_metric

if TYPE_CHECKING:
    from namel3ss.providers.base import Usage

__all__ = ["record_request"]


def record_request(
    labels: dict[str, str],
    *,
    duration_s: float,
    usage: Usage | None = None,
    tokens_per_second: float | None = None,
    chunks: int | None = None,
) -> None:
    """Everything that one request has to tell. `chunks` is given for a stream that a caller read piece by piece.

    Counts that the server did not report are not recorded.
    """
    if not has_metric_listeners():
        return
    record_metric("ollama.request.duration", duration_s, labels)
    for kind in ("total", "prompt", "completion"):
        count = usage.get(f"{kind}_tokens") if usage is not None else None
        if count is not None:
            record_metric(f"ollama.tokens.{kind}", count, labels)
    if tokens_per_second is not None:
        record_metric("ollama.throughput.tokens_per_second", tokens_per_second, labels)
    if chunks is None:
        return
    record_metric("ollama.stream.chunks", chunks, labels)
    record_metric("ollama.stream.duration", duration_s, labels)
    if usage is not None and usage.completion_tokens is not None:
        record_metric("ollama.stream.tokens", usage.completion_tokens, labels)
    if tokens_per_second is not None:
        record_metric("ollama.stream.throughput", tokens_per_second, labels)
