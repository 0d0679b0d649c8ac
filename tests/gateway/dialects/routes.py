"""Routes by their path, as tests name them."""

from __future__ import annotations

from namel3ss.gateway.routes import Action, Route, find_route

INFERENCE = {Action.CHAT, Action.GENERATE, Action.EMBED}

STREAMED = (
    "/api/chat",
    "/api/generate",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
)
EMBEDDING = ("/api/embed", "/api/embeddings", "/v1/embeddings")


def post(path: str) -> Route:
    return find_route(path).methods["POST"]
