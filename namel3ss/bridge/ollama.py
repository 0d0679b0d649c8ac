"""`OllamaBridge`: Anthropic's way of asking, answered by a local model through the queue."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from namel3ss.bridge.answers import from_ollama, part_of
from namel3ss.bridge.asking import OwnRequest, SharedRequest
from namel3ss.bridge.base import Bridge
from namel3ss.bridge.conversation import to_messages, to_system_text, to_tools
from namel3ss.bridge.waiting import waiting_message
from namel3ss.caching import cache_key, is_deterministic
from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import resolve_address
from namel3ss.scheduling import RequestQueue
from namel3ss.scheduling.queue_arguments import check_servers
from namel3ss.scheduling.queue_entries import seconds_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from namel3ss.bridge.answers import BridgeResponse
    from namel3ss.bridge.asking import Asked
    from namel3ss.bridge.base import Call
    from namel3ss.bridge.fallback import BridgeFallback, FallbackReason
    from namel3ss.caching import ResponseCache
    from namel3ss.scheduling import Server

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

    `cache` answers equal requests once. `cache_control` changes nothing here: Ollama reuses what it has read of a prompt by
    itself.
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
        super().__init__(fallback, allow_fallback=allow_fallback)
        if base_url is not None:
            resolve_address(base_url)  # raises for what is no address, before anybody waits in a queue
        self.base_url = base_url
        self.model = _name(model)
        self._queue = queue
        self._servers = tuple(check_servers(servers)) if servers else ()
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._timeout_s = seconds_of(timeout)
        self._system = system
        self._options = _map(options, "options")
        self._fields = _map(fields, "fields")
        self._headers = _map(headers, "headers")
        self._cache = cache
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

    def answer(self, call: Call, rule: BridgeFallback | None) -> BridgeResponse | FallbackReason:
        asked: Asked | None = None
        try:
            body = self._body(call)
            queue = self.request_queue
            if rule is not None and rule.server_down and queue.is_down(self._request(body)):
                return "server_down"
            asked = self._ask(queue, call, body)
            _tell_waiting(queue, asked, call.on_waiting)
            if rule is not None and _waits_too_long(asked, rule):
                return "wait_over"
            if call.stream:
                for piece in asked.pieces():
                    call.hear(part_of(piece.get("message"), "content"))
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

    def close(self) -> None:
        """Close the fallback's bridge; this one holds nothing."""
        if self.fallback is not None:
            self.fallback.bridge.close()

    # -- inside -------------------------------------------------------------------------------------------------

    def _body(self, call: Call) -> dict[str, Any]:
        system = self._system if call.system_prompt is None else call.system_prompt
        options = dict(self._options)
        temperature = self._temperature if call.temperature is None else call.temperature
        if temperature is not None:
            options["temperature"] = temperature
        if limit := call.max_tokens or self._max_tokens:
            options["num_predict"] = limit
        body: dict[str, Any] = {
            "model": self.model,
            "messages": to_messages(call.messages, to_system_text(system, call.dynamic_content)),
            **self._fields,
        }
        if options:
            body["options"] = options
        if call.tools and (tools := to_tools(call.tools)):
            body["tools"] = tools
        return body

    def _request(self, body: dict[str, Any], *, stream: bool = False) -> dict[str, Any]:
        return {"base_url": self.base_url, "body": body, "headers": self._headers, "stream": stream}

    def _ask(self, queue: RequestQueue, call: Call, body: dict[str, Any]) -> Asked:
        key = self._key(queue, call, body)
        if key is not None and self._cache is not None:
            # Always in pieces: who joins may want them.
            request = self._request(body, stream=True)

            def send(add: Callable[[dict[str, Any]], object], ended: Callable[[str], object]) -> str:
                return queue.add_request(request, call.priority, call.user, callback=add, on_end=ended)

            return SharedRequest(queue, self._timeout_s, self._cache, key, send)
        request_id = queue.add_request(self._request(body, stream=call.stream), call.priority, call.user)
        logger.debug("Request %s asks %s.", request_id, self.model)
        return OwnRequest(queue, self._timeout_s, request_id)

    def _key(self, queue: RequestQueue, call: Call, body: dict[str, Any]) -> bytes | None:
        """What finds the answer in the cache; None where it is not to be looked for."""
        if self._cache is None:
            if call.cached:
                raise UsageError(
                    "This bridge has no cache.",
                    suggestion="Make it with cache=ResponseCache() of namel3ss.caching.",
                )
            return None
        if not (is_deterministic(_PATH, body) if call.cached is None else call.cached):
            return None
        digest = queue.model_digest(self._request(body, stream=True))
        if digest is None:
            return None
        if call.user is not None and not isinstance(call.user, str):
            raise UsageError(f"user must be a text, not {call.user!r:.40}: it tells whose a kept answer is.")
        caller = None if call.shared else call.user or ""
        return cache_key(_PATH, _encoded(body), digest=digest, caller=caller)


def _name(model: object) -> str:
    if not isinstance(model, str) or not model.strip():
        raise UsageError(f"model must be the name of a model, not {model!r:.40}.")
    return model


def _map(given: object, name: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise UsageError(f"{name} must be a dict, not a value of type {type(given).__name__}.")
    return dict(given)


def _tell_waiting(queue: RequestQueue, asked: Asked, on_waiting: Callable[[str], object] | None) -> None:
    if on_waiting is None or asked.request_id is None:
        return
    if (words := waiting_message(queue, asked.request_id)) is not None:
        on_waiting(words)


def _waits_too_long(asked: Asked, rule: BridgeFallback) -> bool:
    """Whether the request has left the queue, because it would wait longer than it may, or has."""
    if rule.wait_over is None:
        return False
    expected_s = asked.estimated_wait_s()
    would_wait = expected_s is not None and expected_s > rule.wait_over
    return (would_wait or not asked.has_turn_within(rule.wait_over)) and asked.leave_if_waiting()


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise UsageError(f"The request cannot be written as JSON: {error}") from error
