"""Vectors of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from namel3ss.providers.base import EmbeddingResponse, Timings
from namel3ss.providers.local.openai_compatible._errors import OpenAICompatibleBadResponseError
from namel3ss.providers.local.openai_compatible._wire import decode_embed_answer, usage_of

if TYPE_CHECKING:
    from namel3ss.providers.local.openai_compatible._exchange import Exchange
    from namel3ss.providers.local.openai_compatible._requests import Call

__all__ = ["read_embeddings"]


async def read_embeddings(exchange: Exchange, call: Call) -> EmbeddingResponse:
    """Ask for the vectors of a call's texts, and check that each has one."""
    exchange.check_open()
    await exchange.http.load()
    started_at = exchange.clock()
    observation = exchange.observe(call, None, is_streamed=False)
    limits = [
        limit for limit in (call.config.total_timeout, call.config.first_token_timeout) if limit is not None
    ]
    try:
        with observation.activate():
            body = await exchange.fetch(call, timeout_s=min(limits, default=None))
        response = _read(body, call, exchange, exchange.clock() - started_at)
    except BaseException as error:
        observation.end_with(error)
        raise
    observation.finish(response_model=response.model, usage=response.usage, timings=response.timings)
    return response


def _read(body: bytes, call: Call, exchange: Exchange, wall_s: float) -> EmbeddingResponse:
    http = exchange.http
    wanted = len(call.fields["input"])
    try:
        answer = decode_embed_answer(body)
    except (ValueError, RecursionError) as problem:
        raise http.bad_response("The answer holds no vectors", body, model=call.model) from problem
    # Each vector says to which text it belongs; a server that leaves that out sends them in order.
    places = [place if each.index is None else each.index for place, each in enumerate(answer.data)]
    if sorted(places) != list(range(wanted)):
        raise OpenAICompatibleBadResponseError(
            f"The server returned {len(answer.data)} vectors for {wanted} texts, or numbered them wrongly.",
            model=call.model,
            base_url=http.base_url,
            suggestion="Is it an embedding model?",
        )
    in_order = sorted(zip(places, answer.data, strict=True), key=lambda pair: pair[0])
    return EmbeddingResponse(
        embeddings=[each.embedding for _, each in in_order],
        model=answer.model if isinstance(answer.model, str) and answer.model else call.model,
        usage=usage_of(answer.usage),
        timings=Timings(wall_s=wall_s),
        metadata={"provider": http.kind.name, "base_url": http.base_url, "served_by": http.base_url},
    )
