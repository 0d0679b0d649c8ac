"""A request that calls a model by its declaration's name, as the server is to have it.

The model's own name takes the declared one's place; what the declaration says and the request does not is filled in, as
far as the protocol has a word for it. What the request says stays, byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from namel3ss.gateway.dialects.members import join_members, read_value
from namel3ss.gateway.routes import Action, Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from namel3ss.gateway.dialects.requests import InferenceRequest
    from namel3ss.gateway.plan import ServedModel
    from namel3ss.gateway.routes import Route

    Members = dict[str, msgspec.Raw]

__all__ = ["rewrite"]

_NULL: Final = b"null"
_LEVELS: Final = frozenset({"low", "medium", "high", "max"})


def rewrite(route: Route, request: InferenceRequest, served: ServedModel) -> bytes:
    """The body for the server. A request that only loads a model gets nothing that could be read as a prompt."""
    members = dict(request.members)
    members["model"] = _raw(served.model)
    if route.dialect is Dialect.OLLAMA:
        _fill_native(route, request, members, served)
    elif route.action is not Action.EMBED:
        _FILLERS[route.path](members, served.options, served)
    return join_members(members)


def _fill_native(route: Route, request: InferenceRequest, members: Members, served: ServedModel) -> None:
    settings = served.settings
    _fill_options(request, members, served.options)
    _fill(members, "keep_alive", _keep_alive(settings.get("keep_alive")))
    if "on_context_overflow" in settings and not route.path.endswith("/embeddings"):
        _fill(members, "truncate", settings["on_context_overflow"] != "error")
    if route.action is Action.EMBED:
        return
    _fill(members, "think", settings.get("think"))
    if served.system is None or request.is_load:
        return
    if route.action is Action.CHAT:
        _put_system_first(members, served.system)
    elif not ("raw" in members and read_value(members["raw"])):
        _fill(members, "system", served.system)


def _fill_options(request: InferenceRequest, members: Members, options: Mapping[str, Any]) -> None:
    """The declared options that a request leaves open. Where it says something else there, the server refuses that."""
    raw = bytes(members.get("options", _NULL))
    if raw != _NULL and not raw.startswith(b"{"):
        return
    try:
        asked = _OPTIONS.decode(raw) or {}
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # Texts with halves of characters, which were made whole when they were read.
        asked = {name: _raw(value) for name, value in request.options.items()}
    merged = {name: _raw(value) for name, value in options.items()}
    merged |= {name: value for name, value in asked.items() if bytes(value) != _NULL}
    if merged:
        members["options"] = msgspec.Raw(join_members(merged))


def _fill_chat_completion(members: Members, options: Mapping[str, Any], served: ServedModel) -> None:
    _fill_completion(members, options, served)
    if "reasoning" not in members:
        _fill(members, "reasoning_effort", _effort(served))
    if served.system is not None:
        _put_system_first(members, served.system)


def _fill_completion(members: Members, options: Mapping[str, Any], served: ServedModel) -> None:
    for name in ("temperature", "top_p", "seed", "stop", "frequency_penalty", "presence_penalty"):
        _fill(members, name, options.get(name))
    if "max_completion_tokens" not in members:
        _fill(members, "max_tokens", _length(options))


def _fill_response(members: Members, options: Mapping[str, Any], served: ServedModel) -> None:
    for name in ("temperature", "top_p"):
        _fill(members, name, options.get(name))
    _fill(members, "max_output_tokens", _length(options))
    _fill(members, "instructions", served.system)
    if (effort := _effort(served)) is not None:
        _fill(members, "reasoning", {"effort": effort})


def _fill_message(members: Members, options: Mapping[str, Any], served: ServedModel) -> None:
    for name, option in (("temperature",) * 2, ("top_p",) * 2, ("top_k",) * 2, ("stop_sequences", "stop")):
        _fill(members, name, options.get(option))
    _fill(members, "max_tokens", _length(options))
    _fill(members, "system", served.system)
    think = served.settings.get("think")
    if think in _LEVELS and "thinking" not in members:
        _fill(members, "output_config", {"effort": think})
    elif isinstance(think, bool) and "output_config" not in members:
        _fill(members, "thinking", {"type": "enabled" if think else "disabled"})


_FILLERS: Final[Mapping[str, Callable[[Members, Mapping[str, Any], ServedModel], None]]] = {
    "/v1/chat/completions": _fill_chat_completion,
    "/v1/completions": _fill_completion,
    "/v1/responses": _fill_response,
    "/v1/messages": _fill_message,
}


# -- values ---------------------------------------------------------------------------------------------------


def _fill(members: Members, name: str, value: object) -> None:
    if value is not None and bytes(members.get(name, _NULL)) == _NULL:
        members[name] = _raw(value)


def _length(options: Mapping[str, Any]) -> int | None:
    """The other protocols have no word for an answer without end."""
    length: int | None = options.get("num_predict")
    return None if length is None or length < 0 else length


def _effort(served: ServedModel) -> str | None:
    """That a model shall think is what it does by itself; only how much, or that it shall not, can be said."""
    think = served.settings.get("think")
    if think is False:
        return "none"
    return think if think in _LEVELS else None


def _keep_alive(value: object) -> object:
    """Ollama refuses text without a unit."""
    try:
        return int(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _put_system_first(members: Members, system: str) -> None:
    """Where a conversation has no system message of its own."""
    raw = bytes(members.get("messages", b""))
    try:
        messages = _MESSAGES.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return  # the server will say what is wrong with it
    if not messages or any(message.role.lower() in {"system", "developer"} for message in messages):
        return
    first = msgspec.json.encode({"role": "system", "content": system})
    members["messages"] = msgspec.Raw(b"[%b,%b" % (first, raw.lstrip()[1:]))


class _Message(msgspec.Struct, gc=False):
    role: str = ""


_MESSAGES: Final = msgspec.json.Decoder(list[_Message])
_OPTIONS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
