"""The OpenAPI document of the main address, made from the route table.

Bodies of inference are Ollama's, OpenAI's and Anthropic's: what is written down here is what the gateway reads of them.
Everything else in them is the server's, so they may have any further member.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from namel3ss._version import __version__
from namel3ss.gateway.administration.main_login import Identity, LoginBody, TokenAnswer
from namel3ss.gateway.answering import send_document
from namel3ss.gateway.routes import ROUTES, Action, Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.gateway.administration.openapi import Document
    from namel3ss.gateway.exchange import Exchange
    from namel3ss.gateway.routes import Route

__all__ = ["OpenApi", "main_document"]

_REFERENCE: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_LINES: Final = "application/x-ndjson"
_EVENTS: Final = "text/event-stream"

_TEXT: Final[Document] = {"type": "string"}
_FLAG: Final[Document] = {"type": "boolean"}
_OBJECT: Final[Document] = {"type": "object"}
_MODEL: Final[Document] = {
    "type": "string",
    "description": "A model's Ollama name, or that of its declaration.",
}
_TOKENS: Final[Document] = {"type": "integer", "description": "Within limits.num_predict of the gateway."}
_KEEP_ALIVE: Final[Document] = {
    "type": ["string", "number"],
    "description": "Within limits.keep_alive of the gateway: 5m, or seconds.",
}
_MESSAGE: Final[Document] = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": _TEXT, "content": {"type": ["string", "array"]}},
}
_MESSAGES: Final[Document] = {"type": "array", "items": _MESSAGE, "minItems": 1}
_INPUT: Final[Document] = {"type": ["string", "array"]}


def _body(*required: str, **properties: Document) -> Document:
    return {"type": "object", "required": list(required), "properties": properties}


_CHAT: Final = _body(
    "model",
    "messages",
    model=_MODEL,
    messages=_MESSAGES,
    stream=_FLAG,
    options=_OBJECT,
    keep_alive=_KEEP_ALIVE,
    tools={"type": "array"},
    format={"type": ["string", "object"]},
)
_SIMPLE_CHAT: Final = _body(
    "message",
    message=_TEXT,
    model=_MODEL,
    provider=_TEXT,
    system_prompt=_TEXT,
    max_tokens=_TOKENS,
    stream=_FLAG,
)
_GENERATE: Final = _body(
    "model", model=_MODEL, prompt=_TEXT, stream=_FLAG, options=_OBJECT, keep_alive=_KEEP_ALIVE
)
_EMBED: Final = _body("model", "input", model=_MODEL, input=_INPUT, keep_alive=_KEEP_ALIVE)
_EMBEDDINGS: Final = _body("model", "prompt", model=_MODEL, prompt=_TEXT, keep_alive=_KEEP_ALIVE)
_OPENAI_CHAT: Final = _body(
    "model", "messages", model=_MODEL, messages=_MESSAGES, stream=_FLAG, max_tokens=_TOKENS
)
_COMPLETION: Final = _body("model", "prompt", model=_MODEL, prompt=_TEXT, stream=_FLAG, max_tokens=_TOKENS)
_RESPONSE: Final = _body(
    "model", "input", model=_MODEL, input=_INPUT, stream=_FLAG, max_output_tokens=_TOKENS
)
_ANTHROPIC: Final = _body(
    "model",
    "messages",
    "max_tokens",
    model=_MODEL,
    messages=_MESSAGES,
    max_tokens=_TOKENS,
    stream=_FLAG,
    system={"type": ["string", "array"]},
)
_NAMED: Final = _body("model", model=_TEXT)
_PULL: Final = _body("model", model=_TEXT, stream=_FLAG)

# By the end of the path, below /api and /api/ollama alike.
_NATIVE_BODIES: Final[Mapping[str, Document]] = {
    "/generate": _GENERATE,
    "/embed": _EMBED,
    "/embeddings": _EMBEDDINGS,
    "/show": _NAMED,
    "/pull": _PULL,
    "/push": _PULL,
    "/create": _body("model", model=_TEXT, stream=_FLAG),
    "/copy": _body("source", "destination", source=_TEXT, destination=_TEXT),
    "/delete": _NAMED,
}
_BODIES: Final[Mapping[str, Document]] = {
    "/api/chat": {"anyOf": [_CHAT, _SIMPLE_CHAT]},
    "/api/ollama/chat": _CHAT,
    "/v1/chat/completions": _OPENAI_CHAT,
    "/v1/completions": _COMPLETION,
    "/v1/responses": _RESPONSE,
    "/v1/embeddings": _body("model", "input", model=_MODEL, input=_INPUT),
    "/v1/messages": _ANTHROPIC,
    "/api/providers/ollama/pull": _body("model", model=_TEXT, stream=_FLAG),
    "/auth/login": {"$ref": _REFERENCE.format(name="LoginBody")},
}
_SUMMARIES: Final[Mapping[Action, str]] = {
    Action.CHAT: "Answer a conversation.",
    Action.GENERATE: "Complete a prompt.",
    Action.EMBED: "Turn texts into vectors.",
    Action.LIST_MODELS: "The models that this key may use.",
    Action.SHOW_MODEL: "One model.",
    Action.LIST_LOADED: "The models that the servers have loaded.",
    Action.VERSION: "The version that clients of Ollama go by.",
    Action.CLOUD_STATUS: "Whether models that run elsewhere may be used.",
    Action.PULL: "Download a model, in Ollama's words.",
    Action.PUSH: "Upload a model.",
    Action.CREATE: "Make a model.",
    Action.COPY: "Give a model another name.",
    Action.DELETE: "Delete a model.",
    Action.BLOB: "Store a file for a model, or ask whether it is there.",
    Action.MANAGED_MODELS: "The models, for people who manage them.",
    Action.MANAGED_MODEL: "One of them.",
    Action.REMOVE_MODEL: "Delete a model from the servers.",
    Action.UPDATE_MODELS: "Download the models of which there is a newer version.",
    Action.START_PULL: "Download a model, and wait for it.",
    Action.LIST_PULLS: "The downloads, under way and lately ended.",
    Action.SHOW_PULL: "One download, as it stands or as events.",
    Action.STOP_PULL: "Stop a download.",
    Action.STATUS: "How the gateway is.",
    Action.QUEUE: "The whole queue.",
    Action.LIST_REQUESTS: "The caller's requests under way.",
    Action.SHOW_REQUEST: "One request: its position, or how far it has come.",
    Action.WATCH_REQUEST: "The same as events, until it has ended.",
    Action.CANCEL_REQUEST: "End a request.",
    Action.BANNER: "That something is here.",
    Action.LIVE: "Whether the process is well.",
    Action.READY: "Whether requests are taken.",
    Action.SERVER_HEALTH: "Whether any server is well.",
    Action.LOGIN: "A token for a user and a password.",
    Action.LOGOUT: "End the session of the token that is sent.",
    Action.WHO_AM_I: "Who the key or token stands for.",
    Action.OPENAPI: "This document.",
}
_STREAMED: Final = frozenset(
    {
        Action.CHAT,
        Action.GENERATE,
        Action.PULL,
        Action.PUSH,
        Action.CREATE,
        Action.START_PULL,
        Action.SHOW_PULL,
    }
)
_ANSWERS: Final[Mapping[Action, str]] = {Action.LOGIN: "TokenAnswer", Action.WHO_AM_I: "Identity"}
_ERRORS: Final[Mapping[Dialect, str]] = {
    Dialect.OLLAMA: "OllamaError",
    Dialect.OPENAI: "OpenAIError",
    Dialect.ANTHROPIC: "AnthropicError",
}
_ERROR_SCHEMAS: Final[Document] = {
    "OllamaError": {"type": "object", "required": ["error"], "properties": {"error": _TEXT}},
    "OpenAIError": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type"],
                "properties": {"message": _TEXT, "type": _TEXT},
            }
        },
    },
    "AnthropicError": {
        "type": "object",
        "required": ["type", "error"],
        "properties": {
            "type": {"const": "error"},
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "properties": {"type": _TEXT, "message": _TEXT},
            },
        },
    },
}


class OpenApi:
    """The handler of OPENAPI."""

    def __init__(self) -> None:
        self._document = main_document()

    async def handle(self, exchange: Exchange) -> None:
        """The document."""
        await send_document(exchange, self._document)


def main_document() -> Document:
    """OpenAPI 3.1."""
    _, schemas = msgspec.json.schema_components([LoginBody, TokenAnswer, Identity], ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path.replace("...}", "}"), {})[route.method.lower()] = _described(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "namel3ss gateway",
            "version": __version__,
            "description": "Many users in front of their Ollama servers. Every refusal has the shape of the protocol"
            " that was called, and names its reason in the header X-Namel3ss-Error.",
        },
        "security": [{"bearer": []}, {"header": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, **_ERROR_SCHEMAS},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _described(route: Route) -> Document:
    described: Document = {
        "summary": _SUMMARIES[route.action],
        "operationId": f"{route.method.lower()} {route.path}",
        "tags": [route.dialect.value],
        "responses": _responses(route),
    }
    if route.scope is None:
        described["security"] = []
    else:
        described["x-scope"] = route.scope.value
    if parameters := [_parameter(part) for part in route.path.split("/") if part.startswith("{")]:
        described["parameters"] = parameters
    if (body := _taken(route)) is not None:
        described["requestBody"] = body
    return described


def _parameter(part: str) -> Document:
    schema: Document = {"type": "string", "minLength": 1}
    if part == "{digest}":
        schema["pattern"] = "^sha256[:-][0-9a-f]{64}$"
    return {"name": part.strip("{.}"), "in": "path", "required": True, "schema": schema}


def _taken(route: Route) -> Document | None:
    if route.action is Action.BLOB and route.method == "POST":
        return {"required": True, "content": {"application/octet-stream": {"schema": {}}}}
    path = route.path
    schema = _BODIES.get(path)
    if schema is None and route.action not in (Action.STATUS, Action.CLOUD_STATUS):
        schema = _NATIVE_BODIES.get(path.removeprefix("/api").removeprefix("/ollama"))
    return None if schema is None else {"required": True, "content": {_JSON: {"schema": schema}}}


def _responses(route: Route) -> Document:
    """What is done is 2xx; whatever is refused has the protocol's one shape, which HEAD leaves out."""
    error: Document = {"description": "Refused."}
    if route.method != "HEAD":
        schema = {"$ref": _REFERENCE.format(name=_ERRORS[route.dialect])}
        error["content"] = {_JSON: {"schema": schema}}
    return {"2XX": {"description": "Done.", **_content(route)}, "4XX": error, "5XX": error}


def _content(route: Route) -> Document:
    if route.method == "HEAD":
        return {}
    if route.action is Action.BANNER:
        return {"content": {"text/plain": {"schema": _TEXT}}}
    if route.action is Action.WATCH_REQUEST:
        return {"content": {_EVENTS: {"schema": _TEXT}}}
    name = _ANSWERS.get(route.action)
    schema = _OBJECT if name is None else {"$ref": _REFERENCE.format(name=name)}
    content: Document = {_JSON: {"schema": schema}}
    if route.action in _STREAMED:
        content[_LINES if route.dialect is Dialect.OLLAMA else _EVENTS] = {"schema": {}}
    if route.action in (Action.START_PULL, Action.SHOW_PULL):
        content[_EVENTS] = {"schema": {}}
    return {"content": content}
