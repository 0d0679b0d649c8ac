"""One request of a bridge in the queue, seen by one caller: its own, or one that it shares with others.

Either way the pieces and the end are read on the caller's thread, and leaving stops the server once nobody is left.
"""

from __future__ import annotations

import abc
import time
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from namel3ss.bridge.errors import BridgeError, BridgeTimeoutError
from namel3ss.caching import Outcome
from namel3ss.scheduling.queue_sending import Gathered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from namel3ss.caching import Flight, ResponseCache, Seat
    from namel3ss.scheduling import RequestQueue

__all__ = ["Asked", "OwnRequest", "Send", "SharedRequest"]

_MOMENT_S: Final = 1.0

# Puts a streamed request in the queue; it calls the first with each piece and the second with the id at the end.
Send: TypeAlias = "Callable[[Callable[[dict[str, Any]], object], Callable[[str], object]], str]"


class Asked(abc.ABC):
    """A request that was put in the queue. `has_begun`: something of the answer has come to this caller.

    `timeout_s` bounds the time from now to the whole answer; of pieces, the wait for each.
    """

    def __init__(self, queue: RequestQueue, timeout_s: float | None) -> None:
        self._queue = queue
        self._timeout_s = timeout_s
        self._ends_at = None if timeout_s is None else time.monotonic() + timeout_s
        self.has_begun = False

    @property
    @abc.abstractmethod
    def request_id(self) -> str | None:
        """The request's id in the queue; None where there is none, or not yet."""

    @property
    @abc.abstractmethod
    def metadata(self) -> dict[str, Any]:
        """Who has answered."""

    @abc.abstractmethod
    def pieces(self) -> Iterator[dict[str, Any]]:
        """The pieces of a streamed answer. Raises as `whole` does."""

    @abc.abstractmethod
    def whole(self) -> dict[str, Any]:
        """The answer. Raises BridgeTimeoutError, the error that ended the request, or BridgeError where there is none."""

    @abc.abstractmethod
    def leave(self) -> None:
        """Want nothing more of it. Idempotent."""

    @abc.abstractmethod
    def leave_if_waiting(self) -> bool:
        """Want nothing more of it, unless it is at work or has ended; False then."""

    @property
    def left_s(self) -> float | None:
        """How much of the time for the whole answer is left."""
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())

    def has_turn_within(self, seconds: float) -> bool:
        """Wait while it waits, for so long; False if it still does then."""
        request_id, left_s = self.request_id, self.left_s
        if request_id is None:
            return True
        if left_s is None or seconds <= left_s:
            return self._queue.wait_for_turn(request_id, seconds)
        self._queue.wait_for_turn(request_id, left_s)
        return True  # or its own time is over first

    def estimated_wait_s(self) -> float | None:
        """How long it is expected to wait; None where nobody knows, 0 when it does not."""
        request_id = self.request_id
        where = None if request_id is None else self._queue.get_queue_position(request_id)
        if where is None or not isinstance(where["position"], int):
            return 0.0
        estimate: float | None = where["estimated_wait_s"]
        return estimate

    def _late(self) -> BridgeTimeoutError:
        request_id = self.request_id
        where = (self._queue.get_queue_position(request_id) if request_id is not None else None) or {}
        position = where.get("position")
        return BridgeTimeoutError(
            self._timeout_s, position if isinstance(position, int) else None, request_id=request_id or ""
        )


class OwnRequest(Asked):
    """A request of this caller alone."""

    def __init__(self, queue: RequestQueue, timeout_s: float | None, request_id: str) -> None:
        super().__init__(queue, timeout_s)
        self._id = request_id

    @property
    def request_id(self) -> str:
        return self._id

    @property
    def metadata(self) -> dict[str, Any]:
        return {"provider": "ollama", "server": self._queue.server_of(self._id)}

    def pieces(self) -> Iterator[dict[str, Any]]:
        for piece in self._queue.iter_result(self._id, self._timeout_s):
            if "error" in piece:
                raise error_of(self._queue, self._id, piece, self._timeout_s)
            self.has_begun = True
            yield piece

    def whole(self) -> dict[str, Any]:
        answer = self._queue.get_result(self._id, self.left_s)
        if "error" in answer:
            raise error_of(self._queue, self._id, answer, self._timeout_s)
        return answer

    def leave(self) -> None:
        self._queue.cancel_request(self._id)

    def leave_if_waiting(self) -> bool:
        return self._queue.cancel_request(self._id, only_waiting=True)


class SharedRequest(Asked):
    """A request that equal ones share through a cache. `send` puts it in the queue, if nobody else has."""

    def __init__(
        self,
        queue: RequestQueue,
        timeout_s: float | None,
        cache: ResponseCache,
        key: bytes,
        send: Send,
    ) -> None:
        super().__init__(queue, timeout_s)
        taken = cache.take(key)
        self._outcome = taken.outcome
        self._seat: Seat = taken.seat
        self._gathered = Gathered()
        self._last: dict[str, Any] = {}
        if taken.outcome is Outcome.MISS:
            self._feed(taken.seat.flight, send)
        elif taken.outcome is Outcome.JOINED:
            # Whoever it joins is just putting it in the queue, perhaps; its place there is then known.
            taken.seat.flight.label_within(_MOMENT_S)

    @property
    def request_id(self) -> str | None:
        return self._seat.flight.label

    @property
    def metadata(self) -> dict[str, Any]:
        server = None
        if self._outcome is not Outcome.HIT and self.request_id is not None:
            server = self._queue.server_of(self.request_id)
        return {"provider": "ollama", "server": server, "cache": self._outcome.value}

    def pieces(self) -> Iterator[dict[str, Any]]:
        while (piece := self._next(self._timeout_s)) is not None:
            yield piece

    def whole(self) -> dict[str, Any]:
        while self._next(self.left_s) is not None:
            pass  # gathered as they are read
        return self._gathered.answer(self._last)

    def leave(self) -> None:
        self._seat.leave()

    def leave_if_waiting(self) -> bool:
        if self.has_turn_within(0.0):
            return False
        self._seat.leave()
        return True

    def _next(self, wait_s: float | None) -> dict[str, Any] | None:
        try:
            content = self._seat.next_piece(wait_s)
        except TimeoutError as error:
            if type(error) is not TimeoutError:  # the request's own end
                raise
            raise self._late() from None
        if content is None:
            return None
        self.has_begun = True
        self._last = msgspec.json.decode(content, type=dict[str, Any])
        self._gathered.add(self._last)
        return self._last

    def _feed(self, flight: Flight, send: Send) -> None:
        queue = self._queue

        def land(request_id: str) -> None:
            result = queue.get_result(request_id, timeout=0, keep=True)
            if "error" in result:
                flight.fail(error_of(queue, request_id, result, None))
            else:
                flight.complete()

        try:
            request_id = send(lambda piece: flight.add(msgspec.json.encode(piece)), land)
        except Exception as error:
            flight.fail(error)
            raise
        flight.label = request_id
        flight.when_abandoned(lambda: queue.cancel_request(request_id))


def error_of(
    queue: RequestQueue, request_id: str, failed: Mapping[str, Any], timeout_s: float | None
) -> Exception:
    """What to raise for a request that failed."""
    if failed["kind"] == "timeout":
        position = failed.get("position")
        return BridgeTimeoutError(
            timeout_s, position if isinstance(position, int) else None, request_id=request_id
        )
    return queue.failure(request_id) or BridgeError(
        failed["error"], kind=failed["kind"], request_id=request_id
    )
