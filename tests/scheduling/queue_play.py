"""A request queue under load and under random operations, with everything that must hold looked at."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from namel3ss.providers.local.ollama import OllamaServerBusyError, OllamaServerUnreachableError
from namel3ss.scheduling import RequestQueue
from namel3ss.scheduling.values import reasons_for_move

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from namel3ss.scheduling.queue_requests import Outgoing
    from namel3ss.scheduling.values import MoveReason, Position

SERVER = "http://127.0.0.1:9"


def request(
    server: str = SERVER, *, stream: bool = False, model: str = "m", tokens: int = 3
) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": tokens}
    return {"base_url": server, "body": body, "stream": stream}


class ScriptedSender:
    """Answers by chance: at once or a little later, with an error, in pieces. Counts what is under way."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        # By server and model, which is what slots are counted by.
        self._at: Counter[tuple[str, str]] = Counter()
        self.most = 0
        self.sent: Counter[str] = Counter()
        self.is_closed = False

    @property
    def under_way(self) -> int:
        return self._at.total()

    async def fetch(self, request: Outgoing) -> dict[str, Any]:
        self._enter(request)
        try:
            await self._dawdle()
            return {"message": {"role": "assistant", "content": "yes"}, "done": True, "eval_count": 2}
        finally:
            self._at[request.server, request.model] -= 1

    async def stream(self, request: Outgoing) -> AsyncGenerator[dict[str, Any], None]:
        self._enter(request)
        try:
            for text in ("y", "es"):
                await self._dawdle()
                yield {"message": {"role": "assistant", "content": text}, "done": False}
            yield {"message": {"role": "assistant", "content": ""}, "done": True, "eval_count": 2}
        finally:
            self._at[request.server, request.model] -= 1

    async def look(self, request: Outgoing, path: str) -> dict[str, Any]:
        if self._chance.random() < 0.3:
            raise OllamaServerUnreachableError("No server answers.", base_url=SERVER)
        return {"models": [{"name": self._chance.choice(("m", "n"))}]}

    async def aclose(self) -> None:
        self.is_closed = True

    def _enter(self, request: Outgoing) -> None:
        self._at[request.server, request.model] += 1
        self.sent[request.server] += 1
        self.most = max(self.most, self._at[request.server, request.model])

    async def _dawdle(self) -> None:
        chance = self._chance.random()
        if chance < 0.1:
            raise OllamaServerUnreachableError("No server answers.", base_url=SERVER)
        if chance < 0.11:
            busy = OllamaServerBusyError("Too many wait.", base_url=SERVER)
            busy.retry_after_s = 0.001
            raise busy
        if chance < 0.12:
            raise KeyError("a mistake in a program")
        if chance < 0.5:
            await asyncio.sleep(self._chance.random() * 0.002)


def play(
    operations: int, *, seed: int, threads: int = 8, slots: int = 2, servers: Sequence[str] = ()
) -> Counter[str]:
    """Random operations of several threads with cancels, short waits and faults; how the requests ended.

    Asserts that every request ended exactly once, that no more were under way on a server than it has slots, that what
    has ended stays as it is, and that nothing is left. With `servers` these answer for one another.
    """
    sender = ScriptedSender(seed)
    ends: Counter[str] = Counter()
    ended: dict[str, str] = {}
    lock = threading.Lock()

    def note(request_id: str, status: str) -> None:
        with lock:
            assert ended.setdefault(request_id, status) == status, "a request ended twice"

    def work(number: int) -> None:
        chance = random.Random(f"{seed}/{number}")
        own: list[str] = []
        made: list[str] = []
        for _ in range(operations // threads):
            _operate(queue, chance, own, made, number, servers or (SERVER,))
            if chance.random() < 0.8:
                continue
            looked_at = chance.choice(own)
            where = queue.get_queue_position(looked_at)
            assert where is not None
            if where["position"] is None:
                note(looked_at, where["status"])
        for request_id in made:
            result = queue.get_result(request_id, timeout=30)
            where = queue.get_queue_position(request_id)
            assert where is not None
            assert where["position"] is None
            note(request_id, where["status"])
            assert ("error" in result) == (where["status"] != "completed")
            assert result == queue.get_result(request_id)
            with lock:
                ends[where["status"]] += 1

    with RequestQueue(slots=slots, servers=servers, look_every_s=0.005, open_sender=lambda: sender) as queue:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        queue.shutdown(drain=True, timeout=30)
        statistics = queue.get_queue_stats()

    assert (statistics["queue_size"], statistics["active_requests"]) == (0, 0)
    assert sender.under_way == 0
    assert sender.most <= slots
    assert sender.is_closed == (sender.sent.total() > 0)
    assert not servers or sender.sent.keys() == set(servers)
    assert ends.total() == len(ended)
    return ends


def _operate(
    queue: RequestQueue,
    chance: random.Random,
    own: list[str],
    made: list[str],
    number: int,
    servers: Sequence[str],
) -> None:
    kind = chance.random()
    if kind < 0.5 or not own:
        server = servers[0] if len(servers) == 1 else chance.choice(servers)
        wanted = request(server, stream=chance.random() < 0.3, model=chance.choice(("m", "n")))
        callback = (lambda piece: None) if chance.random() < 0.1 else None
        own.append(queue.add_request(wanted, chance.randrange(10), f"u{number % 3}", callback=callback))
        made.append(own[-1])
        if len(own) > 20:
            own.pop(0)
    elif kind < 0.65:
        queue.cancel_request(chance.choice(own))
    elif kind < 0.75:
        queue.get_result(chance.choice(own), timeout=chance.random() * 0.002, keep=chance.random() < 0.5)
    elif kind < 0.85:
        for _ in queue.iter_result(chance.choice(own), timeout=0.001):
            if chance.random() < 0.3:
                break
    else:
        queue.get_queue_stats()


def ask_together(server: str, *, threads: int, each: int, slots: int = 4) -> dict[str, Any]:
    """Threads that ask at the same time and watch where they stand; the queue's last words.

    Asserts that each request has one answer, that within a user and class nobody overtakes, and that nobody is moved back
    but for a reason that is said.
    """
    answers: Counter[str] = Counter()
    backward: Counter[MoveReason] = Counter()
    lock = threading.Lock()
    # Of each user the request that was added last; all of a user are of one class and for one model.
    last: dict[str, str] = {}
    in_order = {f"user {number}": threading.Lock() for number in range(20)}

    def work(number: int) -> None:
        user = f"user {number % 20}"
        for _ in range(each):
            with in_order[user]:
                request_id = queue.add_request(request(server), number % 10, user)
                before, last[user] = last.get(user), request_id
            where = queue.get_queue_position(request_id)
            assert where is not None
            if isinstance(where["position"], int):
                assert 0 <= where["position"] < where["total"]
            watch(request_id)
            answer = queue.get_result(request_id, timeout=None)
            assert answer.get("done") is True, answer
            if before is not None:
                assert stands(before) is None, "a later request of the same user and class went first"
            with lock:
                answers[request_id] += 1

    def stands(request_id: str) -> Position | None:
        # The queue tells no reasons; the scheduler below it does.
        room = queue._here().room
        entry = room.find(request_id)
        return None if entry is None else room.pool_of(entry).scheduler.position(request_id)

    def watch(request_id: str) -> None:
        told = stands(request_id)
        for _ in range(3):
            if told is None:
                return
            queue.get_result(request_id, timeout=0.02, keep=True)
            now = stands(request_id)
            if now is not None and (now.at_least > told.at_least or now.at_most > told.at_most):
                reasons = reasons_for_move(told, now)
                assert reasons, f"moved back without a reason: {told}, {now}"
                with lock:
                    backward.update(reasons)
            told = now

    with RequestQueue(slots=slots) as queue:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        statistics = queue.get_queue_stats()

    assert len(answers) == threads * each
    assert set(answers.values()) == {1}
    assert (statistics["queue_size"], statistics["active_requests"]) == (0, 0)
    return statistics | {"moved_back": {reason.value: times for reason, times in backward.items()}}
