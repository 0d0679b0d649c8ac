"""A request queue under load and under random operations, with everything that must hold looked at."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from namel3ss.scheduling import RequestQueue
from namel3ss.scheduling.values import reasons_for_move
from tests.scheduling.scripted_sender import HANGING, ScriptedSender

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.scheduling.values import MoveReason, Position

SERVER = "http://127.0.0.1:9"
PROMPT, SECRET = "what nobody else may read", "key-of-ada"
# All that a failure may be called here; programs rely on these words.
KINDS = {"connect_refused", "queue_full", "internal", "cancelled", "timeout"}


@dataclass
class Played:
    """How the requests ended; how long a cancel took at most to reach the server's side; how long at most the event loop
    worked at a stretch.
    """

    ends: Counter[str] = field(default_factory=Counter)
    slowest_cancel_s: float = 0.0
    busiest_s: float = 0.0


def request(
    server: str = SERVER, *, stream: bool = False, model: str = "m", tokens: int = 3, prompt: str = PROMPT
) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens}
    return {
        "base_url": server,
        "body": body,
        "stream": stream,
        "headers": {"authorization": f"Bearer {SECRET}"},
    }


def play(
    operations: int, *, seed: int, threads: int = 8, slots: int = 2, servers: Sequence[str] = ()
) -> Played:
    """Random operations of several threads with cancels, short waits and faults.

    Asserts that every request ended exactly once, that no more were under way on a server than it has slots, that what
    has ended stays as it is, that failures say what they should and nothing else, that a cancel stops what is at work, and
    that nothing is left. With `servers` these answer for one another.
    """
    sender = ScriptedSender(seed)
    played = Played()
    ended: dict[str, str] = {}
    lock = threading.Lock()

    def note(request_id: str, status: str) -> None:
        with lock:
            assert ended.setdefault(request_id, status) == status, "a request ended twice"

    def work(number: int) -> None:
        chance = random.Random(f"{seed}/{number}")
        own: list[str] = []
        made: list[str] = []
        for turn in range(operations // threads):
            if chance.random() < 0.02:
                cancel_at_work(chance.choice(servers or (SERVER,)), f"{number}/{turn}")
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
            if "error" in result:
                _explains(queue, request_id, result)
            assert result == queue.get_result(request_id)
            with lock:
                played.ends[where["status"]] += 1

    def cancel_at_work(server: str, name: str) -> None:
        request_id = queue.add_request(request(server, prompt=HANGING + name), 0, name)
        assert queue.wait_for_turn(request_id, timeout=30)
        asked_at = time.monotonic()
        assert queue.cancel_request(request_id)
        assert sender.left(name).wait(30), "a cancelled request is still at work"
        took_s = time.monotonic() - asked_at
        note(request_id, "cancelled")
        with lock:
            played.ends["cancelled"] += 1
            played.slowest_cancel_s = max(played.slowest_cancel_s, took_s)

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
    assert played.ends.total() == len(ended)
    played.busiest_s = sender.busiest_s
    return played


def _explains(queue: RequestQueue, request_id: str, result: dict[str, Any]) -> None:
    """A failure says what happened, to which request and where, in words for people and for programs, and no more."""
    assert result["request_id"] == request_id
    assert result["kind"] in KINDS
    assert len(result["error"].split()) >= 3
    error = queue.failure(request_id)
    where = getattr(error, "base_url", None)
    assert where is None or where == queue.server_of(request_id)
    told = f"{result} {error!r} {error} {queue!r}"
    assert SECRET not in told
    assert PROMPT not in told


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
