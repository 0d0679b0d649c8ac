"""`OllamaBridge`: Anthropic's way of asking, answered by a local model through the queue."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from namel3ss.bridge.answers import BridgeResponse, blocks_of, part_of, to_response
from namel3ss.bridge.conversation import to_messages, to_system_text, to_tools
from namel3ss.bridge.errors import BridgeError, BridgeTimeoutError
from namel3ss.bridge.waiting import waiting_message
from namel3ss.scheduling import RequestQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["OllamaBridge"]

logger = logging.getLogger(__name__)

_TEMPERATURE: Final = 0.7


class OllamaBridge:
    """Asks one model on one server. Safe under threads; holds nothing that must be closed.

    `base_url` None takes the address that the environment names; `queue` None the one of the process. `temperature` and
    `max_tokens` are for calls that name none. `timeout` (seconds) bounds the wait for an answer, in the queue and at
    work; of a streamed one, the wait for each piece.
    """

    def __init__(
        self,
        base_url: str | None = "http://localhost:11434",
        model: str = "qwen",
        queue: RequestQueue | None = None,
        *,
        temperature: float = _TEMPERATURE,
        max_tokens: int | None = None,
        timeout: float | None = 120.0,
    ) -> None:
        self.base_url = base_url
        self.model = model
        self._queue = queue
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._timeout_s = timeout

    @property
    def request_queue(self) -> RequestQueue:
        """The queue that its requests wait in."""
        return self._queue if self._queue is not None else RequestQueue.get_instance()

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
    ) -> BridgeResponse:
        """The model's message. With `stream`, `callback` gets each piece of its text as it comes.

        `dynamic_content` is added to the system prompt, or is one. `cache_control` changes nothing: Ollama reuses what
        it has read of a prompt by itself. `user` and `priority` are the queue's; `on_waiting` gets the words for the user
        when the request has to wait. Both callbacks are called on the caller's thread.

        Raises UsageError for what no model can read, OllamaError and SchedulingError as they come, BridgeTimeoutError
        with the position when it took too long, BridgeError for anything else.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": to_messages(messages, to_system_text(system_prompt, dynamic_content)),
            "options": {"temperature": self._temperature if temperature is None else temperature},
        }
        if limit := max_tokens or self._max_tokens:
            body["options"]["num_predict"] = limit
        if tools and (wire_tools := to_tools(tools)):
            body["tools"] = wire_tools
        queue = self.request_queue
        request_id = queue.add_request(
            {"base_url": self.base_url, "body": body, "stream": stream}, priority, user
        )
        logger.debug("Request %s asks %s.", request_id, self.model)
        try:
            if on_waiting is not None and (words := waiting_message(queue, request_id)) is not None:
                on_waiting(words)
            if stream:
                self._read_pieces(queue, request_id, callback)
            answer = queue.get_result(request_id, self._timeout_s)
        except BaseException:
            queue.cancel_request(request_id)  # a callback failed, or the caller was interrupted
            raise
        if "error" in answer:
            self._raise(queue, request_id, answer)
        return to_response(answer, self.model)

    def extract_text_content(self, response: object) -> str:
        """All text of a response, its own or Anthropic's."""
        return "".join(
            str(part_of(block, "text") or "")
            for block in blocks_of(response)
            if part_of(block, "type") == "text"
        )

    def extract_tool_calls(self, response: object) -> list[dict[str, Any]]:
        """The calls of a response: ``id``, ``tool_name`` and ``input`` of each."""
        return [
            {
                "id": part_of(block, "id"),
                "tool_name": part_of(block, "name"),
                "input": part_of(block, "input"),
            }
            for block in blocks_of(response)
            if part_of(block, "type") == "tool_use"
        ]

    def __repr__(self) -> str:
        return f"<OllamaBridge to {self.model!r}>"

    def _read_pieces(
        self, queue: RequestQueue, request_id: str, callback: Callable[[str], object] | None
    ) -> None:
        for piece in queue.iter_result(request_id, self._timeout_s):
            message = piece.get("message")
            text = message.get("content") if isinstance(message, dict) else None
            if text and callback is not None:
                callback(text)

    def _raise(self, queue: RequestQueue, request_id: str, failed: Mapping[str, Any]) -> None:
        if failed["kind"] == "timeout":
            position = failed.get("position")
            raise BridgeTimeoutError(
                self._timeout_s, position if isinstance(position, int) else None, request_id=request_id
            )
        if (error := queue.failure(request_id)) is not None:
            raise error
        raise BridgeError(failed["error"], kind=failed["kind"], request_id=request_id)
