"""Vectors of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.providers.base import EmbeddingResponse
from namel3ss.providers.local.ollama._errors import OllamaBadResponseError, OllamaError
from namel3ss.providers.local.ollama._telemetry import tell_the_server
from namel3ss.providers.local.ollama._wire import Totals, decode_embed_answer
from namel3ss.providers.transport.wording import quote

if TYPE_CHECKING:
    from namel3ss.providers.local.ollama._exchange import Exchange
    from namel3ss.providers.local.ollama._requests import Call
    from namel3ss.providers.transport.secrets import Secrets

__all__ = ["read_embeddings"]


async def read_embeddings(exchange: Exchange, call: Call) -> EmbeddingResponse:
    """Ask for the vectors of a call's texts, and check that each has one."""
    await exchange.load()
    started_at = exchange.clock()
    observation = exchange.observe(call, None, is_streamed=False)
    limits = [
        limit for limit in (call.config.total_timeout, call.config.first_token_timeout) if limit is not None
    ]
    try:
        with observation.activate():
            body, served_by = await exchange.fetch(call, timeout_s=min(limits, default=None))
        secrets = exchange.attempts.host_at(served_by).http.secrets
        response = _read(body, call, exchange.clock() - started_at, served_by, secrets)
    except BaseException as error:
        tell_the_server(observation, None, error)
        observation.end_with(error)
        if not isinstance(error, OllamaError):
            raise
        known = await exchange.explained(error, call)
        if known is error:
            raise
        raise known from error
    tell_the_server(observation, served_by, None)
    observation.finish(response_model=response.model, usage=response.usage, timings=response.timings)
    return response


def _read(body: bytes, call: Call, wall_s: float, base_url: str, secrets: Secrets) -> EmbeddingResponse:
    try:
        answer = decode_embed_answer(body)
    except (ValueError, RecursionError) as error:
        raise OllamaBadResponseError(
            f"The answer holds no vectors: {quote(secrets.hide(body))}", model=call.model, base_url=base_url
        ) from error
    wanted = len(call.body["input"])
    if len(answer.embeddings) != wanted:
        raise OllamaBadResponseError(
            f"The server returned {len(answer.embeddings)} vectors for {wanted} texts.",
            model=call.model,
            base_url=base_url,
            suggestion="It returns none for a text without a token; leave empty and blank texts out.",
        )
    totals = Totals(
        model=answer.model,
        total_duration=answer.total_duration,
        load_duration=answer.load_duration,
        prompt_eval_count=answer.prompt_eval_count,
    )
    return EmbeddingResponse(
        embeddings=answer.embeddings,
        model=totals.text("model") or call.model,
        usage=totals.usage(),
        timings=totals.timings(first_token_s=None, wall_s=wall_s),
        metadata={"provider": "ollama", "base_url": base_url, "served_by": base_url},
    )
