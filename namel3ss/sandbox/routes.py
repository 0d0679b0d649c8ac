"""The table of routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from namel3ss.sandbox.anthropic import messages
from namel3ss.sandbox.chat import chat_body
from namel3ss.sandbox.creating import create_body, head_blob, post_blob
from namel3ss.sandbox.embedding import embed_body, embeddings_body
from namel3ss.sandbox.generate import generate_body
from namel3ss.sandbox.http import Document, Failure, Raw
from namel3ss.sandbox.listing import copy_body, delete_body, processes, show_body, tags
from namel3ss.sandbox.openai import chat_completions, completions, embeddings, model, models
from namel3ss.sandbox.pulling import pull_body, push_body
from namel3ss.sandbox.responses import responses
from namel3ss.sandbox.routing import Routes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack

    from namel3ss.sandbox.http import Answer, Request
    from namel3ss.sandbox.service import Service

    Handler: TypeAlias = Callable[[Service, Request], Awaitable[Answer]]

__all__ = ["Route", "all_routes"]


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a request. A route that streams the body reads it by itself."""

    handle: Handler
    streams_body: bool = False


def _holds(handler: Callable[[Service, bytes, AsyncExitStack], Awaitable[Answer]]) -> Route:
    async def handle(service: Service, request: Request) -> Answer:
        return await handler(service, request.body, request.resources)

    return Route(handle)


def _waits(handler: Callable[[Service, bytes], Awaitable[Answer]]) -> Route:
    async def handle(service: Service, request: Request) -> Answer:
        return await handler(service, request.body)

    return Route(handle)


def _at_once(handler: Callable[[Service, bytes], Answer]) -> Route:
    async def handle(service: Service, request: Request) -> Answer:
        return handler(service, request.body)

    return Route(handle)


def _bodiless(handler: Callable[[Service], Answer]) -> Route:
    async def handle(service: Service, request: Request) -> Answer:
        return handler(service)

    return Route(handle)


def _named(handler: Callable[[Service, str], Answer]) -> Route:
    async def handle(service: Service, request: Request) -> Answer:
        return handler(service, request.parameter)

    return Route(handle)


def _root(service: Service) -> Answer:
    return Raw(200, b"Ollama is running", "text/plain; charset=utf-8")


def _version(service: Service) -> Answer:
    return Document({"version": service.options.ollama_version})


def _status(service: Service) -> Answer:
    return Document({"cloud": {"disabled": True, "source": "env"}})


def _recommendations(service: Service) -> Answer:
    return Document({"recommendations": []})


def _refuses(status: int, message: str) -> Route:
    """A route that needs an account, which nobody has here."""

    async def handle(service: Service, request: Request) -> Answer:
        raise Failure(status, message)

    return Route(handle)


def _no_web(what: str) -> Callable[[Service, bytes], Answer]:
    def handle(service: Service, body: bytes) -> Answer:
        if not body.strip():
            raise Failure(400, "missing request body")
        raise Failure(403, f"ollama cloud is disabled: {what} is unavailable")

    return handle


def all_routes() -> Routes[Route]:
    """Every route of the server."""
    routes: Routes[Route] = Routes()
    routes.add("HEAD GET", "/", _bodiless(_root))
    routes.add("HEAD GET", "/api/version", _bodiless(_version))
    routes.add("GET", "/api/status", _bodiless(_status))
    routes.add("HEAD GET", "/api/tags", _bodiless(tags))
    routes.add("GET", "/api/ps", _bodiless(processes))
    routes.add("POST", "/api/show", _at_once(show_body))
    routes.add("POST", "/api/copy", _at_once(copy_body))
    routes.add("DELETE", "/api/delete", _at_once(delete_body))
    routes.add("POST", "/api/pull", _holds(pull_body))
    routes.add("POST", "/api/push", _waits(push_body))
    routes.add("POST", "/api/create", _holds(create_body))
    routes.add("HEAD", "/api/blobs/:digest", Route(head_blob))
    routes.add("POST", "/api/blobs/:digest", Route(post_blob, streams_body=True))
    routes.add("POST", "/api/me", _refuses(503, "account unavailable"))
    routes.add("POST", "/api/signout", _refuses(500, "there was an error signing out"))
    routes.add("DELETE", "/api/user/keys/:key", _refuses(500, "there was an error signing out"))
    routes.add("POST", "/api/experimental/web_search", _at_once(_no_web("web search")))
    routes.add("POST", "/api/experimental/web_fetch", _at_once(_no_web("web fetch")))
    routes.add("GET", "/api/experimental/model-recommendations", _bodiless(_recommendations))
    routes.add("POST", "/api/generate", _holds(generate_body))
    routes.add("POST", "/api/chat", _holds(chat_body))
    routes.add("POST", "/api/embed", _waits(embed_body))
    routes.add("POST", "/api/embeddings", _waits(embeddings_body))
    routes.add("POST", "/v1/chat/completions", _holds(chat_completions))
    routes.add("POST", "/v1/completions", _holds(completions))
    routes.add("POST", "/v1/responses", _holds(responses))
    routes.add("POST", "/v1/messages", _holds(messages))
    routes.add("POST", "/v1/embeddings", _waits(embeddings))
    routes.add("GET", "/v1/models", _bodiless(models))
    routes.add("GET", "/v1/models/:model", _named(model))
    return routes
