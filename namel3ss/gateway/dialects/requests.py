"""A body, read once: what the gateway decides by. Everything else of it is the server's business.

What the server would refuse in its own words is left to it, except where nothing could be decided: no JSON, no model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeGuard

import msgspec

from namel3ss.gateway.dialects.durations import read_keep_alive
from namel3ss.gateway.dialects.members import read_members, read_value, refuse_depth
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.routes import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.gateway.routes import Route

__all__ = ["InferenceRequest", "body_kind", "read_request"]

SIMPLE_CHAT_PATH: Final = "/api/chat"

# A guess that needs no tokenizer: English has about four bytes to a token, and an image as much as a page of text.
_BYTES_PER_TOKEN: Final = 4
_TOKENS_PER_IMAGE: Final = 768


class _BodyKind(NamedTuple):
    """How one route's body is called and read."""

    go_type: str
    text: str
    """The member with what the model reads."""
    streams: bool | None
    """Whether it is answered as a stream where it does not say; None: never."""
    limits: tuple[str, ...] = ()
    """Members that bound the answer; Ollama's own routes have it among the options."""
    wants_model: bool = True
    """Whether a missing model is missed; else it is one that is not there."""
    loads: bool = True
    """Whether nothing to read is taken for a wish to load the model; else it is refused, or answered with nothing."""


_KINDS: Final[Mapping[str, _BodyKind]] = {
    "/generate": _BodyKind("api.GenerateRequest", "prompt", True, wants_model=False),
    "/chat": _BodyKind("api.ChatRequest", "messages", True),
    "/embed": _BodyKind("api.EmbedRequest", "input", None, wants_model=False, loads=False),
    "/embeddings": _BodyKind("api.EmbeddingRequest", "prompt", None, loads=False),
    "/v1/chat/completions": _BodyKind(
        "openai.ChatCompletionRequest",
        "messages",
        False,
        ("max_tokens", "max_completion_tokens"),
        loads=False,
    ),
    "/v1/completions": _BodyKind(
        "openai.CompletionRequest",
        "prompt",
        False,
        ("max_tokens", "max_completion_tokens"),
        wants_model=False,
    ),
    "/v1/responses": _BodyKind("openai.ResponsesRequest", "input", False, ("max_output_tokens",)),
    "/v1/embeddings": _BodyKind("openai.EmbedRequest", "input", None, wants_model=False, loads=False),
    "/v1/messages": _BodyKind("anthropic.MessagesRequest", "messages", False, ("max_tokens",), loads=False),
}


class InferenceRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one request asks for. `members` are its own, by name, unread."""

    model: str
    """As the caller wrote it; empty only in a simple chat."""
    stream: bool
    body: bytes
    """What is to be sent on: the caller's bytes, wherever these can be read in one way only."""
    members: dict[str, msgspec.Raw]
    options: dict[str, object]
    """Ollama's options; empty in the other dialects."""
    max_tokens: int | float | None
    """The longest answer that it asks for, and what names it; negative for no bound."""
    max_tokens_name: str
    keep_alive_s: float | None
    """How long the model shall stay loaded: infinite for ever, None where it does not say."""
    prompt_tokens: int
    """An estimate, from the length of the text."""
    message_count: int
    image_count: int
    is_load: bool
    """It has nothing for the model to read: it only loads the model, or unloads it."""
    is_unload: bool
    is_simple_chat: bool


def body_kind(route: Route) -> _BodyKind:
    """How that route's body is read. Only for routes of inference."""
    path = route.path
    if route.dialect is Dialect.OLLAMA:
        path = path.removeprefix("/api").removeprefix("/ollama")
    return _KINDS[path]


def read_request(route: Route, body: bytes) -> InferenceRequest:
    """Raises Refusal for a body that is no JSON object, names no model, or is both a chat and a simple chat."""
    try:
        return _read(route, body)
    except RecursionError:
        refuse_depth()


def _read(route: Route, body: bytes) -> InferenceRequest:
    kind = body_kind(route)
    is_native = route.dialect is Dialect.OLLAMA
    if is_native and (not body or body.isspace()):
        raise Refusal(Reason.bad_request, "missing request body")
    members, body = read_members(body, kind.go_type)
    is_simple = route.path == SIMPLE_CHAT_PATH and _is_simple_chat(members)
    options = _options(members) if is_native else {}
    name, max_tokens = _longest_answer(members, options, ("max_tokens",) if is_simple else kind.limits)
    keep_alive = read_value(members["keep_alive"]) if is_native and "keep_alive" in members else None
    keep_alive_s = read_keep_alive(keep_alive)
    message_count, image_count, image_bytes = _count(members)
    text_tokens = max(1, (len(body) - image_bytes) // _BYTES_PER_TOKEN)
    is_load = kind.loads and not is_simple and _is_empty(members, kind)
    return InferenceRequest(
        model=_model(members, kind, is_optional=is_simple),
        stream=_streams(members, kind, is_simple=is_simple),
        body=body,
        members=members,
        options=options,
        max_tokens=max_tokens,
        max_tokens_name=name,
        keep_alive_s=keep_alive_s,
        prompt_tokens=text_tokens + image_count * _TOKENS_PER_IMAGE,
        message_count=message_count,
        image_count=image_count,
        is_load=is_load,
        # Less than a nanosecond is none.
        is_unload=is_load
        and keep_alive_s is not None
        and int(keep_alive_s * 1e9 if keep_alive_s < 1 else 1) == 0,
        is_simple_chat=is_simple,
    )


def _is_simple_chat(members: dict[str, msgspec.Raw]) -> bool:
    message = members.get("message")
    if message is None or not isinstance(read_value(message), str):
        return False
    if read_value(members.get("messages", b"null")) is not None:
        raise Refusal(
            Reason.bad_request,
            "The request has both `message` and `messages`.",
            suggestion="Write `message` for a simple chat, or `messages` for Ollama's own.",
        )
    return True


def _model(members: dict[str, msgspec.Raw], kind: _BodyKind, *, is_optional: bool) -> str:
    raw = members.get("model")
    model = None if raw is None else read_value(raw)
    if model is not None and not isinstance(model, str):
        struct = kind.go_type.partition(".")[2]
        raise Refusal(
            Reason.bad_request,
            f"json: cannot unmarshal {_kind_of(model)} into Go struct field {struct}.model of type string",
        )
    if not model and not is_optional:
        if kind.wants_model:
            raise Refusal(Reason.model_required, "model is required")
        raise Refusal(Reason.model_not_found, "model '' not found")
    return model or ""


def _streams(members: dict[str, msgspec.Raw], kind: _BodyKind, *, is_simple: bool) -> bool:
    if kind.streams is None:
        return False
    raw = members.get("stream")
    wanted = None if raw is None else read_value(raw)
    if isinstance(wanted, bool):
        return wanted
    # A simple chat is streamed on request only.
    return kind.streams and not is_simple


def _options(members: dict[str, msgspec.Raw]) -> dict[str, object]:
    raw = members.get("options")
    options = None if raw is None else read_value(raw)
    return options if isinstance(options, dict) else {}


def _longest_answer(
    members: dict[str, msgspec.Raw], options: dict[str, object], names: tuple[str, ...]
) -> tuple[str, int | float | None]:
    """Of several names for it the one that asks for most."""
    said: list[tuple[str, object]] = [("num_predict", options.get("num_predict"))]
    said += [(name, read_value(members[name])) for name in names if name in members]
    asked = [(name, wanted) for name, wanted in said if _is_number(wanted)]
    if not asked:
        return "num_predict", None
    return max(asked, key=lambda item: float("inf") if item[1] < 0 else item[1])


def _is_empty(members: dict[str, msgspec.Raw], kind: _BodyKind) -> bool:
    """Nothing to read. What the Responses API calls instructions is a message as well."""
    raw = members.get(kind.text) or members.get("instructions")
    return raw is None or bytes(memoryview(raw)[:2]) in {b'""', b"[]", b"nu"} or not read_value(raw)


# -- counting -------------------------------------------------------------------------------------------------

_ITEMS: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_RAW_ITEMS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_IMAGE_PARTS: Final = frozenset({"image_url", "source", "file", "input_audio"})


def _count(members: dict[str, msgspec.Raw]) -> tuple[int, int, int]:
    """Messages, images, and the bytes of the images. What is not shaped like a conversation counts nothing."""
    count = images = size = 0
    if (raw := members.get("images")) is not None:
        images, size = _images(raw)
    if (raw := members.get("messages") or members.get("input")) is None:
        return 0, images, size
    for message in _items(raw):
        count += 1
        for name, value in message.items():
            if name in {"role", "type"}:
                continue
            if name.lower() == "images":
                more, bytes_ = _images(value)
            elif bytes(memoryview(value)[:1]) == b"[":
                more, bytes_ = _image_parts(value)
            else:
                continue
            images += more
            size += bytes_
    return count, images, size


def _images(raw: msgspec.Raw) -> tuple[int, int]:
    try:
        return len(_RAW_ITEMS.decode(raw)), len(memoryview(raw))
    except msgspec.MsgspecError:
        return 0, 0


def _image_parts(raw: msgspec.Raw) -> tuple[int, int]:
    parts = [part for part in _items(raw) if not _IMAGE_PARTS.isdisjoint(part)]
    return len(parts), sum(len(memoryview(value)) for part in parts for value in part.values())


def _items(raw: msgspec.Raw) -> list[dict[str, msgspec.Raw]]:
    try:
        return _ITEMS.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, list) else "object"
