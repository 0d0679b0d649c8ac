"""`POST /api/embed` and its older sister `/api/embeddings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from namel3ss.sandbox.engine import TOO_LONG
from namel3ss.sandbox.gojson import float32, number, quote
from namel3ss.sandbox.http import Document, Failure
from namel3ss.sandbox.inference import installed, read_body, reference
from namel3ss.sandbox.requests import EMBED, EMBEDDINGS, EmbedRequest
from namel3ss.sandbox.settings import read_options
from namel3ss.sandbox.vectors import normalised

if TYPE_CHECKING:
    from namel3ss.sandbox.memory import Runner
    from namel3ss.sandbox.service import Service

__all__ = ["embed", "embed_body", "embeddings_body"]

_MARKS: Final = 2


async def embed_body(service: Service, body: bytes) -> Document:
    """The route itself."""
    return await embed(service, read_body(EMBED, body))


async def embed(service: Service, request: EmbedRequest) -> Document:
    """Vectors for every input. Raises Failure."""
    started = service.clock.ticks_ns()
    found = reference(request.model, missing=Failure(404, f"model '{request.model}' not found"))
    texts = _texts(request.input)
    model = installed(service, found, _not_found(request.model))
    options = read_options(service.options.context, model.parameters, request.options)
    async with service.memory.use(model, options, request.keep_alive) as runner:
        loaded_ns = max(service.clock.ticks_ns() - started, 1)
        if not texts:
            return Document({"model": request.model, "embeddings": []})
        tokens = 0
        vectors = []
        for text in texts:
            window = None if request.truncate is False else min(options.num_ctx, runner.context)
            used, vector = _embedded(runner, text, window)
            tokens += used
            if 0 < request.dimensions < len(vector):
                vector = normalised(vector[: request.dimensions])
            vectors.append([float32(value) for value in vector])
        answer = {
            "model": request.model,
            "embeddings": vectors,
            "total_duration": service.clock.ticks_ns() - started,
            "load_duration": loaded_ns,
            "prompt_eval_count": tokens,
        }
        return Document(answer)


async def embeddings_body(service: Service, body: bytes) -> Document:
    """The older route: one text, one vector."""
    request = read_body(EMBEDDINGS, body)
    found = reference(request.model, missing=Failure(400, "model is required"))
    model = installed(service, found, _not_found(request.model))
    options = read_options(service.options.context, model.parameters, request.options)
    async with service.memory.use(model, options, request.keep_alive) as runner:
        if not request.prompt:
            return Document({"embedding": []})
        try:
            _, vector = _embedded(runner, request.prompt, None)
        except Failure as failure:
            raise Failure(500, failure.message) from None
        return Document({"embedding": [number(value) for value in vector]})


def _not_found(name: str) -> Failure:
    return Failure(404, f"model {quote(name)} not found, try pulling it first")


def _texts(value: object) -> list[str]:
    if value is None or value == "":
        return []
    found: list[str] = []
    for text in value if isinstance(value, list) else [value]:
        if not isinstance(text, str):
            raise Failure(400, "invalid input type")
        found.append(text)
    return found


def _embedded(runner: Runner, text: str, window: int | None) -> tuple[int, list[float]]:
    """How many tokens were used, and the vector. A text that is too long is cut to `window`, or refused where there is none.

    The window that was asked for may be smaller than the smallest that a model is loaded with. Two of its tokens mark the
    beginning and the end. Raises Failure.
    """
    weights = runner.model.weights
    tokens = weights.tokenizer.encode(text)
    if len(tokens) >= runner.context:
        if window is None:
            raise Failure(400, TOO_LONG)
        if window <= _MARKS:
            raise Failure(400, "input after truncation exceeds maximum context length")
        tokens = tokens[: window - 1]
        text = weights.tokenizer.decode(tokens)
    return len(tokens) + 1, weights.brain.embed(text, weights.embedding_length)
