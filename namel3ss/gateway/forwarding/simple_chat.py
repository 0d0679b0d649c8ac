"""The simple chat: one message in, one text out, for applications that want no conversation.

    POST /api/chat {"message": "…", "system_prompt": "…", "max_tokens": 200}
    → {"response": "…", "model": "llama3", "provider": "ollama",
       "usage": {"prompt_tokens": 12, "completion_tokens": 30, "total_tokens": 42, "estimated": false}}

As a stream it is lines of `response`, the last with `done: true` and the usage. It goes to the server as Ollama's own chat
and waits in the same queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from namel3ss.gateway.authority import Called
from namel3ss.gateway.dialects import StreamReader, read_request, rewrite
from namel3ss.gateway.dialects.members import join_members, read_value
from namel3ss.gateway.dialects.speaking import Speaker
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.forwarding.job import Job
from namel3ss.gateway.usage import Usage

if TYPE_CHECKING:
    from namel3ss.gateway.authority import Authority
    from namel3ss.gateway.dialects import InferenceRequest
    from namel3ss.gateway.principal import Principal
    from namel3ss.gateway.routes import Route
    from namel3ss.providers.base import ProviderChunk, ProviderResponse

__all__ = ["PROVIDER", "SimpleChat", "SimpleSpeaker", "called_by", "document_of", "estimate", "simple_chat"]

PROVIDER: Final = "ollama"
_OWN_MEMBERS: Final = ("message", "provider", "system_prompt", "max_tokens", "model", "stream")
# The users' own rule of thumb.
_TOKENS_PER_WORD: Final = 1.3


class _Message(msgspec.Struct, gc=False):
    content: str = ""


class _Answer(msgspec.Struct, gc=False):
    """What of Ollama's chat a simple chat shows."""

    message: _Message | None = None
    done: bool = False
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: object = None


_ANSWERS: Final = msgspec.json.Decoder(_Answer)


def _read_answer(data: bytes) -> _Answer:
    try:
        return _ANSWERS.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refusal(Reason.bad_upstream, "The server's answer is not what Ollama answers.") from None


def called_by(principal: Principal, request: InferenceRequest, authority: Authority) -> Called:
    """The model of a simple chat: the one it names, or the first of the gateway that the key may use. Raises Refusal."""
    if request.model:
        return authority.find(principal, request.model)
    allowed = authority.allowed(principal)
    if not allowed:
        raise Refusal(
            Reason.model_not_allowed,
            "This key may not use any model of this gateway.",
            suggestion="Ask an administrator to add a model to the key.",
        )
    return Called(allowed[0], by_declared_name=True)


def simple_chat(route: Route, request: InferenceRequest, called: Called, principal: Principal) -> SimpleChat:
    """What is sent for it. Raises Refusal for members that are not what they should be."""
    provider = _text(request, "provider")
    if provider not in {None, PROVIDER}:
        raise Refusal(
            Reason.bad_request,
            f"`provider` is {str(provider)[:40]!r}, and this gateway asks `{PROVIDER}`.",
            suggestion="Leave `provider` out.",
        )
    message, system = _text(request, "message") or "", _text(request, "system_prompt")
    native = read_request(route, _native_body(request, called, message, system))
    return SimpleChat(
        principal=principal,
        route=route,
        request=native,
        called=called,
        body=rewrite(route, native, called.served) if called.by_declared_name else native.body,
        words=estimate(f"{system or ''} {message}"),
    )


def _native_body(request: InferenceRequest, called: Called, message: str, system: str | None) -> bytes:
    """The same as Ollama's chat. What else the request says is Ollama's own, and stays."""
    members = {name: value for name, value in request.members.items() if name not in _OWN_MEMBERS}
    roles = (("system", system), ("user", message))
    messages = [{"role": role, "content": text} for role, text in roles if text is not None]
    written = {"model": called.served.model, "messages": messages, "stream": request.stream}
    limit = _limit(request)
    if limit is not None:
        written["options"] = {"num_predict": limit} | request.options
    return join_members(
        members | {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in written.items()}
    )


def _text(request: InferenceRequest, name: str) -> str | None:
    raw = request.members.get(name)
    value = None if raw is None else read_value(raw)
    if value is not None and not isinstance(value, str):
        raise Refusal(Reason.bad_request, f"`{name}` must be a text.")
    return value


def _limit(request: InferenceRequest) -> int | None:
    raw = request.members.get("max_tokens")
    value = None if raw is None else read_value(raw)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise Refusal(Reason.bad_request, "`max_tokens` must be a whole number.")
    return value


def estimate(text: str) -> int:
    """Tokens, by the number of words."""
    return int(len(text.split()) * _TOKENS_PER_WORD)


def document_of(text: str, model: str, provider: str, usage: Usage) -> dict[str, object]:
    """The answer, as the caller gets it."""
    return {"response": text, "model": model, "provider": provider, "usage": _usage_document(usage)}


def _usage_document(usage: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "estimated": usage.estimated,
    }


@dataclass(slots=True, kw_only=True)
class SimpleChat(Job):
    """A simple chat on its way: `request` and `body` are those of Ollama's chat that stands for it."""

    words: int
    """Tokens of the prompt, estimated by its words."""

    def reader(self) -> _SimpleReader:
        return _SimpleReader(self.route, self.model, self.words)

    def whole_answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        answer = _read_answer(body)
        text = answer.message.content if answer.message is not None else ""
        usage = _usage(answer, self.words, estimate(text))
        return msgspec.json.encode(document_of(text, self.model, PROVIDER, usage)), usage


def _usage(answer: _Answer, prompt_words: int, words: int) -> Usage:
    """The server's count, or where it has none the words'."""
    if answer.eval_count is None:
        return Usage(prompt_words, words, estimated=True)
    if answer.prompt_eval_count is None:
        return Usage(prompt_words, answer.eval_count, estimated=True)
    return Usage(answer.prompt_eval_count, answer.eval_count)


class SimpleSpeaker(Speaker):
    """A simple chat that another provider answers."""

    content_type = b"application/x-ndjson"

    def __init__(self, model: str, provider: str) -> None:
        super().__init__(model)
        self._provider = provider

    def piece(self, chunk: ProviderChunk) -> bytes:
        return self._line(response=chunk.output_text, done=False)

    def end(self, response: ProviderResponse, usage: Usage) -> bytes:
        return self._line(response="", done=True, usage=_usage_document(usage))

    def whole(self, response: ProviderResponse, usage: Usage) -> dict[str, object]:
        return document_of(response.output_text, self.model, self._provider, usage)

    def _line(self, **values: object) -> bytes:
        shown = {"response": values.pop("response"), "model": self.model, "provider": self._provider}
        return msgspec.json.encode(shown | values) + b"\n"


class _SimpleReader:
    """A stream of Ollama's chat in, the lines of a simple chat out."""

    __slots__ = ("_lines", "_model", "_prompt_words", "_text", "error")

    def __init__(self, route: Route, model: str, prompt_words: int) -> None:
        self._lines = StreamReader(route)
        self._model = model
        self._prompt_words = prompt_words
        self._text: list[str] = []
        self.error: bytes | None = None

    @property
    def content_events(self) -> int:
        return self._lines.content_events

    @property
    def ended_well(self) -> bool:
        return self._lines.ended_well

    def feed(self, piece: bytes) -> bytes:
        return self._translated(self._lines.feed(piece))

    def finish(self) -> bytes:
        return self._translated(self._lines.finish())

    def charged(self, prompt_tokens: int) -> Usage:
        usage = self._lines.usage
        return usage or Usage(self._prompt_words, estimate("".join(self._text)), estimated=True)

    def _translated(self, lines: bytes) -> bytes:
        return b"".join([self._line(line + b"\n") for line in lines.split(b"\n") if line.strip()])

    def _line(self, line: bytes) -> bytes:
        answer = _read_answer(line)
        if answer.error is not None:
            self.error = line
            return line
        text = answer.message.content if answer.message is not None else ""
        self._text.append(text)
        shown: dict[str, object] = {
            "response": text,
            "model": self._model,
            "provider": PROVIDER,
            "done": answer.done,
        }
        if answer.done:
            words = estimate("".join(self._text))
            shown["usage"] = _usage_document(_usage(answer, self._prompt_words, words))
        return msgspec.json.encode(shown) + b"\n"
