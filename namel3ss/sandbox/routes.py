"""The table of routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from namel3ss.sandbox.chat import chat_body
from namel3ss.sandbox.embedding import embed_body, embeddings_body
from namel3ss.sandbox.generate import generate_body
from namel3ss.sandbox.http import Document, Raw
from namel3ss.sandbox.listing import copy_body, delete_body, processes, show_body, tags
from namel3ss.sandbox.routing import Routes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from namel3ss.sandbox.http import Answer, Request
    from namel3ss.sandbox.service import Service

    Handler: TypeAlias = Callable[[Service, Request], Awaitable[Answer]]

__all__ = ["Route", "all_routes"]


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a request. A route that streams the body reads it by itself."""

    handle: Handler
    streams_body: bool = False


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


def _root(service: Service) -> Answer:
    return Raw(200, b"Ollama is running", "text/plain; charset=utf-8")


def _version(service: Service) -> Answer:
    return Document({"version": service.options.ollama_version})


def _status(service: Service) -> Answer:
    return Document({"cloud": {"disabled": True, "source": "env"}})


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
    routes.add("POST", "/api/generate", _waits(generate_body))
    routes.add("POST", "/api/chat", _waits(chat_body))
    routes.add("POST", "/api/embed", _waits(embed_body))
    routes.add("POST", "/api/embeddings", _waits(embeddings_body))
    return routes
