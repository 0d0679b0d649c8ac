"""What may be put into a `RequestQueue`: a typed request, or a dict with `base_url` and `body`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import native_body, resolve_address

__all__ = ["ChatRequest", "Outgoing", "is_foreign", "model_key", "nothing", "outgoing"]

# The field that tells what a body asks for → where it is sent.
_PATHS: Final = {"messages": "/api/chat", "prompt": "/api/generate", "input": "/api/embed"}
_KEYS: Final = frozenset({"base_url", "body", "headers", "stream"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One turn of a conversation, in the words of Ollama's `/api/chat`. Empty fields are not sent.

    `base_url`: the server; None takes the address that the environment names. `stream`: the answer is read in pieces.
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    base_url: str | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    format: str | Mapping[str, Any] | None = None
    think: bool | str | None = None
    keep_alive: float | str | None = None
    stream: bool = False

    def body(self) -> dict[str, Any]:
        """The request's body without `stream`."""
        fields: dict[str, Any] = {"model": self.model, "messages": list(self.messages)}
        if self.tools:
            fields["tools"] = list(self.tools)
        if self.options:
            fields["options"] = dict(self.options)
        optional = {"format": self.format, "think": self.think, "keep_alive": self.keep_alive}
        return fields | {name: value for name, value in optional.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request ready to be sent. `content` is its body as JSON, so that nobody can change it while it waits.

    `server` is the address in its usual form, by which requests are counted; `base_url` as it was given, which may
    hold a user and password and is shown nowhere, as `headers` are not.
    """

    server: str
    base_url: str | None = field(repr=False)
    path: str
    model: str
    content: bytes = field(repr=False)
    is_streamed: bool
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def model_key(self) -> str:
        """The model's name in the form by which slots are counted."""
        return model_key(self.model)

    def at(self, server: str, base_url: str | None) -> Outgoing:
        """The same request to another server."""
        return replace(self, server=server, base_url=base_url)

    def without_body(self) -> Outgoing:
        """All but what was to be sent."""
        return replace(self, content=b"")


def model_key(name: str) -> str:
    """A model's name in one form: `LLAMA3` and `llama3:latest` are one."""
    name = name.strip().lower()
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def outgoing(request: Mapping[str, Any] | ChatRequest, *, stream: bool) -> Outgoing:
    """What will be sent for a request. `stream` makes it a streamed one, whatever it says itself.

    Raises UsageError for what no server should see.
    """
    if isinstance(request, ChatRequest):
        request = {"base_url": request.base_url, "body": request.body(), "stream": request.stream}
    if not isinstance(request, Mapping):
        raise UsageError(
            f"A request is a dict or a ChatRequest, not a value of type {type(request).__name__}."
        )
    if unknown := sorted(map(str, request.keys() - _KEYS)):
        raise UsageError(
            f"A request has no `{unknown[0]}`.", suggestion=f"It may have: {', '.join(sorted(_KEYS))}."
        )
    body = request.get("body")
    if not isinstance(body, Mapping):
        raise UsageError(
            "A request needs a `body`, the dict that Ollama gets.",
            suggestion='For example {"base_url": "http://localhost:11434", "body": {"model": "llama3:8b", "messages": […]}}.',
        )
    model = body.get("model")
    if not isinstance(model, str) or not model.strip():
        raise UsageError(f"body.model must be the name of a model, not {model!r:.40}.")
    path = next((path for name, path in _PATHS.items() if name in body), None)
    if path is None:
        raise UsageError("The body has none of `messages`, `prompt` and `input`.")
    is_streamed = stream or request.get("stream") is True or body.get("stream") is True
    if is_streamed and path == "/api/embed":
        raise UsageError("Embeddings cannot be streamed.")
    base_url = request.get("base_url")
    if base_url is not None and not isinstance(base_url, str):
        raise UsageError(f"base_url must be a URL, not a value of type {type(base_url).__name__}.")
    return Outgoing(
        resolve_address(base_url).url,
        base_url,
        path,
        model.strip(),
        _encoded(native_body(body, stream=is_streamed)),
        is_streamed,
        _headers(request.get("headers")),
    )


def is_foreign(request: object) -> bool:
    """Whether it is a dict in which nothing of a request stands: no request with a mistake in it, but something else."""
    return isinstance(request, Mapping) and not request.keys() & _KEYS


def nothing() -> Outgoing:
    """What stands for a request that cannot be sent."""
    return Outgoing(resolve_address(None).url, None, "", "", b"", False)


def _headers(given: object) -> tuple[tuple[str, str], ...]:
    if given is None:
        return ()
    if not isinstance(given, Mapping) or not all(
        isinstance(name, str) and isinstance(value, str) for name, value in given.items()
    ):
        raise UsageError("headers must be a dict of texts.")
    return tuple(given.items())


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise UsageError(f"The body cannot be written as JSON: {error}") from error
