"""`OllamaBridge`: Anthropic's way of asking, answered by a local model through the queue."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from namel3ss.bridge.answers import BridgeResponse, from_ollama
from namel3ss.bridge.asking import OwnRequest, SharedRequest
from namel3ss.bridge.base import Bridge
from namel3ss.bridge.conversation import to_messages, to_system_text, to_tools
from namel3ss.bridge.waiting import waiting_message
from namel3ss.caching import cache_key, is_deterministic
from namel3ss.errors import UsageError
from namel3ss.scheduling import RequestQueue, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from namel3ss.bridge.asking import Asked
    from namel3ss.bridge.fallback import BridgeFallback, FallbackReason
    from namel3ss.caching import ResponseCache

__all__ = ["OllamaBridge"]

logger = logging.getLogger(__name__)

_TEMPERATURE: Final = 0.7
_PATH: Final = "/api/chat"
_NONE: Mapping[str, Any] = MappingProxyType({})


class OllamaBridge(Bridge):
    """Asks one model on one server, or on several that answer for one another. Holds nothing that must be closed.

    `base_url` None takes the address that the environment names; `servers` (addresses, or `Server` with weight and slots)
    are added to the queue and take its place. `queue` None is the one of the process. `temperature`, `max_tokens` and
    `system` are for calls that name none; a temperature of None leaves it to the model. `options`, `fields` and `headers`
    go with every request: Ollama's ``options``, what stands beside them, and HTTP headers. `timeout` (seconds) bounds
    the wait for an answer, in the queue and at work; of a streamed one, the wait for each piece.

    `cache` answers equal requests once (see `generate_response`). `fallback` is who may answer instead, and
    `allow_fallback` whether calls that do not say may use it: without it every request stays with this model.
    """

    provider = "ollama"

    def __init__(
        self,
        base_url: str | None = "http://localhost:11434",
        model: str = "qwen",
        queue: RequestQueue | None = None,
        *,
        servers: Sequence[Server | str] = (),
        temperature: float | None = _TEMPERATURE,
        max_tokens: int | None = None,
        timeout: float | None = 120.0,
        system: str | None = None,
        options: Mapping[str, Any] = _NONE,
        fields: Mapping[str, Any] = _NONE,
        headers: Mapping[str, str] = _NONE,
        cache: ResponseCache | None = None,
        fallback: BridgeFallback | None = None,
        allow_fallback: bool = False,
    ) -> None:
        self.base_url = base_url
        self.model = model
        self.fallback = fallback
        self._queue = queue
        self._servers = tuple(servers)
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._timeout_s = timeout
        self._system = system
        self._options = dict(options)
        self._fields = dict(fields)
        self._headers = dict(headers)
        self._cache = cache
        self._allow_fallback = allow_fallback
        if self._servers:
            first = self._servers[0]
            self.base_url = first if isinstance(first, str) else first.name

    @property
    def request_queue(self) -> RequestQueue:
        """The queue that its requests wait in."""
        queue = self._queue if self._queue is not None else RequestQueue.get_instance()
        if self._servers:
            queue.add_servers(self._servers)
        return queue

    def generate_response(
        self,
        messages: Sequence[object],
        system_prompt: str | Sequence[object] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        tools: Sequence[object] | None = None,
        stream: bool = False,
        callback: Callable[[str], object] | None = None,
        cache_control: Mapping[str, Any] | None = None,
        dynamic_content: str | None = None,
        *,
        user: str | None = None,
        priority: int = 5,
        on_waiting: Callable[[str], object] | None = None,
        cached: bool | None = None,
        shared: bool = False,
        allow_fallback: bool | None = None,
    ) -> BridgeResponse:
        """The model's message. With `stream`, `callback` gets each piece of its text as it comes.

        `dynamic_content` is added to the system prompt, or is one. `cache_control` changes nothing: Ollama reuses what
        it has read of a prompt by itself. `user` and `priority` are the queue's; `on_waiting` gets the words for the user
        when the request has to wait. Both callbacks are called on the caller's thread.

        With a cache, a request is answered from it, or together with an equal one that is under way, if it is
        deterministic (a temperature of 0, or a seed), or `cached` says so; False never does. Only `user` themselves gets
        that answer again; `shared` shares it with everybody. `allow_fallback` lets this call go to the fallback, or not.

        Raises UsageError for what no model can read, OllamaError and SchedulingError as they come, BridgeTimeoutError
        with the position when it took too long, BridgeError for anything else.
        """
        body = self._body(messages, system_prompt, temperature, max_tokens, tools, dynamic_content)
        rule = self.fallback if self._is_allowed(allow_fallback) else None
        key = self._key(body, user, cached, shared=shared)

        answered = self._answer(
            body, key, rule, user, priority, stream=stream, callback=callback, on_waiting=on_waiting
        )
        if isinstance(answered, BridgeResponse):
            return answered
        assert rule is not None  # there is a reason only where there is a rule
        rule.announce(answered, self.model)
        response = rule.bridge.generate_response(
            messages,
            system_prompt,
            temperature,
            max_tokens,
            tools,
            stream,
            callback,
            cache_control,
            dynamic_content,
            user=user,
            priority=priority,
            on_waiting=on_waiting,
            allow_fallback=False,
        )
        return rule.marked(response, answered, self.model)

    def close(self) -> None:
        """Close the fallback's bridge; this one holds nothing."""
        if self.fallback is not None:
            self.fallback.bridge.close()

    # -- inside -------------------------------------------------------------------------------------------------

    def _answer(
        self,
        body: dict[str, Any],
        key: bytes | None,
        rule: BridgeFallback | None,
        user: str | None,
        priority: int,
        *,
        stream: bool,
        callback: Callable[[str], object] | None,
        on_waiting: Callable[[str], object] | None,
    ) -> BridgeResponse | FallbackReason:
        """The answer of this model, or why another one is to be asked."""
        asked: Asked | None = None
        try:
            if rule is not None and rule.server_down and self.request_queue.is_down(self._request(body)):
                return "server_down"
            asked = self._ask(body, key, user, priority, stream=stream)
            self._tell_waiting(asked, on_waiting)
            if rule is not None and _waits_too_long(asked, rule):
                return "wait_over"
            if stream:
                for piece in asked.pieces():
                    _hand_out(piece, callback)
            return from_ollama(asked.whole(), self.model, asked.metadata)
        except Exception as error:
            has_begun = asked is not None and asked.has_begun
            reason = None if rule is None or has_begun else rule.reason_in(error)
            if reason is None:
                raise
            return reason
        finally:
            if asked is not None:
                asked.leave()  # what has ended stays as it is

    def _body(
        self,
        messages: Sequence[object],
        system_prompt: str | Sequence[object] | None,
        temperature: float | None,
        max_tokens: int | None,
        tools: Sequence[object] | None,
        dynamic_content: str | None,
    ) -> dict[str, Any]:
        system = self._system if system_prompt is None else system_prompt
        options = dict(self._options)
        if (wanted := self._temperature if temperature is None else temperature) is not None:
            options["temperature"] = wanted
        if limit := max_tokens or self._max_tokens:
            options["num_predict"] = limit
        body: dict[str, Any] = {
            "model": self.model,
            "messages": to_messages(messages, to_system_text(system, dynamic_content)),
            **self._fields,
        }
        if options:
            body["options"] = options
        if tools and (wire_tools := to_tools(tools)):
            body["tools"] = wire_tools
        return body

    def _request(self, body: dict[str, Any], *, stream: bool = False) -> dict[str, Any]:
        return {"base_url": self.base_url, "body": body, "headers": self._headers, "stream": stream}

    def _ask(
        self, body: dict[str, Any], key: bytes | None, user: str | None, priority: int, *, stream: bool
    ) -> Asked:
        queue = self.request_queue
        if key is not None and self._cache is not None:
            # Always in pieces: who joins may want them.
            request = self._request(body, stream=True)

            def send(add: Callable[[dict[str, Any]], object], ended: Callable[[str], object]) -> str:
                return queue.add_request(request, priority, user, callback=add, on_end=ended)

            return SharedRequest(queue, self._timeout_s, self._cache, key, send)
        request_id = queue.add_request(self._request(body, stream=stream), priority, user)
        logger.debug("Request %s asks %s.", request_id, self.model)
        return OwnRequest(queue, self._timeout_s, request_id)

    def _key(
        self, body: dict[str, Any], user: str | None, cached: bool | None, *, shared: bool
    ) -> bytes | None:
        """What finds the answer in the cache; None where it is not to be looked for."""
        if self._cache is None:
            if cached:
                raise UsageError(
                    "This bridge has no cache.",
                    suggestion="Make it with cache=ResponseCache() of namel3ss.caching.",
                )
            return None
        if not (is_deterministic(_PATH, body) if cached is None else cached):
            return None
        digest = self.request_queue.model_digest(self._request(body, stream=True))
        if digest is None:
            return None
        caller = None if shared else user or ""
        return cache_key(_PATH, _encoded(body), digest=digest, caller=caller)

    def _is_allowed(self, allow_fallback: bool | None) -> bool:
        if allow_fallback and self.fallback is None:
            raise UsageError(
                "This bridge has no fallback.",
                suggestion="Declare one for the model, or leave allow_fallback out.",
            )
        return self._allow_fallback if allow_fallback is None else allow_fallback

    def _tell_waiting(self, asked: Asked, on_waiting: Callable[[str], object] | None) -> None:
        if on_waiting is None or asked.request_id is None:
            return
        if (words := waiting_message(self.request_queue, asked.request_id)) is not None:
            on_waiting(words)


def _waits_too_long(asked: Asked, rule: BridgeFallback) -> bool:
    """Whether the request has left the queue, because it would wait longer than it may, or has."""
    if rule.wait_over is None:
        return False
    expected_s = asked.estimated_wait_s()
    would_wait = expected_s is not None and expected_s > rule.wait_over
    return (would_wait or not asked.has_turn_within(rule.wait_over)) and asked.leave_if_waiting()


def _hand_out(piece: dict[str, Any], callback: Callable[[str], object] | None) -> None:
    message = piece.get("message")
    text = message.get("content") if isinstance(message, dict) else None
    if text and callback is not None:
        callback(text)


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise UsageError(f"The request cannot be written as JSON: {error}") from error
