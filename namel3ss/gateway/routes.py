"""The route table: everything that can be called on the main address, and the right it takes. Nothing else exists.

A path is served in its one spelling; any other is unknown. `{name}` stands for one segment, `{name...}` for the rest of
the path, slashes included.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from namel3ss.gateway.principal import Scope

__all__ = ["ROUTES", "Action", "Dialect", "Route", "find_route"]


class Dialect(enum.Enum):
    """Whose protocol is spoken: the shape of requests, answers, streams and refusals."""

    OLLAMA = "ollama"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Action(enum.Enum):
    """What is done. Each has one handler."""

    # Requests that wait for a slot
    CHAT = "chat"
    GENERATE = "generate"
    EMBED = "embed"
    # What there is
    LIST_MODELS = "list models"
    SHOW_MODEL = "show model"
    LIST_LOADED = "list loaded"
    VERSION = "version"
    CLOUD_STATUS = "cloud status"
    # Changes of a server's models
    PULL = "pull"
    PUSH = "push"
    CREATE = "create"
    COPY = "copy"
    DELETE = "delete"
    BLOB = "blob"
    # Model management
    MANAGED_MODELS = "managed models"
    MANAGED_MODEL = "managed model"
    REMOVE_MODEL = "remove model"
    UPDATE_MODELS = "update models"
    START_PULL = "start pull"
    LIST_PULLS = "list pulls"
    SHOW_PULL = "show pull"
    STOP_PULL = "stop pull"
    # The queue
    STATUS = "status"
    QUEUE = "queue"
    LIST_REQUESTS = "list requests"
    SHOW_REQUEST = "show request"
    WATCH_REQUEST = "watch request"
    CANCEL_REQUEST = "cancel request"
    # The gateway itself
    BANNER = "banner"
    LIVE = "live"
    READY = "ready"
    SERVER_HEALTH = "server health"
    LOGIN = "login"
    LOGOUT = "logout"
    WHO_AM_I = "who am i"
    OPENAPI = "openapi"


class Route(NamedTuple):
    """One method on one path. Without a `scope` no key is asked for."""

    method: str
    path: str
    action: Action
    scope: Scope | None
    dialect: Dialect = Dialect.OLLAMA


def _ollama(prefix: str) -> list[Route]:
    """Ollama's own routes, which are there twice."""
    use, operator, write = Scope.USE, Scope.OPERATOR, Scope.MODELS_WRITE
    return [
        Route("POST", f"{prefix}/chat", Action.CHAT, use),
        Route("POST", f"{prefix}/generate", Action.GENERATE, use),
        Route("POST", f"{prefix}/embed", Action.EMBED, use),
        Route("POST", f"{prefix}/embeddings", Action.EMBED, use),
        Route("GET", f"{prefix}/tags", Action.LIST_MODELS, use),
        Route("HEAD", f"{prefix}/tags", Action.LIST_MODELS, use),
        Route("POST", f"{prefix}/show", Action.SHOW_MODEL, use),
        Route("GET", f"{prefix}/version", Action.VERSION, use),
        Route("HEAD", f"{prefix}/version", Action.VERSION, use),
        Route("GET", f"{prefix}/ps", Action.LIST_LOADED, operator),
        Route("POST", f"{prefix}/pull", Action.PULL, operator),
        Route("POST", f"{prefix}/push", Action.PUSH, write),
        Route("POST", f"{prefix}/create", Action.CREATE, write),
        Route("POST", f"{prefix}/copy", Action.COPY, write),
        Route("DELETE", f"{prefix}/delete", Action.DELETE, write),
        Route("HEAD", f"{prefix}/blobs/{{digest}}", Action.BLOB, write),
        Route("POST", f"{prefix}/blobs/{{digest}}", Action.BLOB, write),
    ]


_MANAGEMENT: Final = "/api/providers/ollama"

ROUTES: Final[tuple[Route, ...]] = (
    *_ollama("/api"),
    *_ollama("/api/ollama"),
    Route("GET", "/api/ollama/status", Action.CLOUD_STATUS, Scope.USE),
    Route("GET", "/api/ollama/health", Action.SERVER_HEALTH, None),
    Route("HEAD", "/api/ollama/health", Action.SERVER_HEALTH, None),
    Route("POST", "/v1/chat/completions", Action.CHAT, Scope.USE, Dialect.OPENAI),
    Route("POST", "/v1/completions", Action.GENERATE, Scope.USE, Dialect.OPENAI),
    Route("POST", "/v1/responses", Action.CHAT, Scope.USE, Dialect.OPENAI),
    Route("POST", "/v1/embeddings", Action.EMBED, Scope.USE, Dialect.OPENAI),
    Route("GET", "/v1/models", Action.LIST_MODELS, Scope.USE, Dialect.OPENAI),
    Route("GET", "/v1/models/{model...}", Action.SHOW_MODEL, Scope.USE, Dialect.OPENAI),
    Route("POST", "/v1/messages", Action.CHAT, Scope.USE, Dialect.ANTHROPIC),
    Route("GET", f"{_MANAGEMENT}/models", Action.MANAGED_MODELS, Scope.USE),
    Route("POST", f"{_MANAGEMENT}/models/update", Action.UPDATE_MODELS, Scope.OPERATOR),
    Route("GET", f"{_MANAGEMENT}/models/{{name...}}", Action.MANAGED_MODEL, Scope.USE),
    Route("DELETE", f"{_MANAGEMENT}/models/{{name...}}", Action.REMOVE_MODEL, Scope.MODELS_WRITE),
    Route("POST", f"{_MANAGEMENT}/pull", Action.START_PULL, Scope.OPERATOR),
    Route("GET", f"{_MANAGEMENT}/pulls", Action.LIST_PULLS, Scope.OPERATOR),
    Route("GET", f"{_MANAGEMENT}/pulls/{{id}}", Action.SHOW_PULL, Scope.OPERATOR),
    Route("DELETE", f"{_MANAGEMENT}/pulls/{{id}}", Action.STOP_PULL, Scope.OPERATOR),
    Route("GET", "/api/status", Action.STATUS, Scope.USE),
    Route("GET", "/api/admin/queue", Action.QUEUE, Scope.ADMIN),
    Route("GET", "/requests", Action.LIST_REQUESTS, Scope.USE),
    Route("GET", "/requests/{id}", Action.SHOW_REQUEST, Scope.USE),
    Route("DELETE", "/requests/{id}", Action.CANCEL_REQUEST, Scope.USE),
    Route("GET", "/requests/{id}/events", Action.WATCH_REQUEST, Scope.USE),
    Route("GET", "/", Action.BANNER, None),
    Route("HEAD", "/", Action.BANNER, None),
    Route("GET", "/health/live", Action.LIVE, None),
    Route("HEAD", "/health/live", Action.LIVE, None),
    Route("GET", "/health/ready", Action.READY, None),
    Route("HEAD", "/health/ready", Action.READY, None),
    Route("POST", "/auth/login", Action.LOGIN, None),
    Route("POST", "/auth/logout", Action.LOGOUT, Scope.USE),
    Route("GET", "/auth/me", Action.WHO_AM_I, Scope.USE),
    Route("GET", "/openapi.json", Action.OPENAPI, Scope.USE),
)


class _Node:
    """One segment of the paths."""

    __slots__ = ("children", "methods", "parameter", "rest")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.methods: dict[str, Route] = {}
        self.parameter: tuple[str, _Node] | None = None
        self.rest: tuple[str, _Node] | None = None


def _grow(routes: tuple[Route, ...]) -> _Node:
    root = _Node()
    for route in routes:
        node = root
        for part in route.path[1:].split("/"):
            if part.endswith("...}"):
                node.rest = node.rest or (part[1:-4], _Node())
                node = node.rest[1]
            elif part.startswith("{"):
                node.parameter = node.parameter or (part[1:-1], _Node())
                node = node.parameter[1]
            else:
                node = node.children.setdefault(part, _Node())
        node.methods[route.method] = route
    return root


_ROOT: Final = _grow(ROUTES)
_PLAIN: Final = {
    path: {route.method: route for route in ROUTES if route.path == path}
    for path in {route.path for route in ROUTES if "{" not in route.path}
}


class Found(NamedTuple):
    """What a path leads to: its methods, and what stands in the places of its parameters. No methods: unknown."""

    methods: dict[str, Route]
    parameters: dict[str, str]


def find_route(path: str) -> Found:
    """Look a decoded path up, as it is: nothing is normalised. An empty segment is never a parameter's value."""
    plain = _PLAIN.get(path)
    if plain is not None:
        return Found(plain, {})
    if not path.startswith("/"):
        return Found({}, {})
    return _walk(_ROOT, path[1:].split("/"), {})


def _walk(node: _Node, parts: list[str], parameters: dict[str, str]) -> Found:
    if not parts:
        return Found(node.methods, parameters)
    head, *tail = parts
    child = node.children.get(head)
    if child is not None and (found := _walk(child, tail, parameters)).methods:
        return found
    if node.parameter is not None and head:
        name, inner = node.parameter
        if (found := _walk(inner, tail, {**parameters, name: head})).methods:
            return found
    if node.rest is not None and all(parts):
        name, inner = node.rest
        return Found(inner.methods, {**parameters, name: "/".join(parts)})
    return Found({}, {})
