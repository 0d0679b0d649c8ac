"""`RequestQueue`: what applications with threads see of it, on the sandbox and on scripted servers."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import OllamaModelNotFoundError
from namel3ss.sandbox import SandboxOptions, SandboxServer
from namel3ss.scheduling import (
    ChatRequest,
    Policy,
    QueueFullError,
    QueueMemoryError,
    RequestQueue,
    SchedulerClosedError,
    ShelfLimits,
)
from tests.scheduling.queue_play import ask_together, play, request
from tests.support.scripted_server import LAST_CHUNK, Gate, ScriptedServer, Send, chunk, document, head, line

if TYPE_CHECKING:
    from collections.abc import Iterator

DONE = {
    "model": "m",
    "message": {"role": "assistant", "content": "ok"},
    "done": True,
    "prompt_eval_count": 3,
    "eval_count": 1,
}


def piece(text: str, *, done: bool = False) -> dict[str, Any]:
    return {"model": "m", "message": {"role": "assistant", "content": text}, "done": done}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    with SandboxServer(SandboxOptions(installed=("m",))) as server:
        yield server.url


@pytest.fixture
def gated() -> Iterator[tuple[ScriptedServer, Gate]]:
    """A server whose first answer waits for its gate; the others come at once."""
    gate = Gate()
    with ScriptedServer() as server:
        server.on("/api/chat", [gate, *document(DONE)], document(DONE))
        yield server, gate
        gate.open()


def test_answer_is_ollamas_own_and_the_ended_request_says_so(sandbox: str) -> None:
    with RequestQueue() as queue:
        request_id = queue.add_request(request(sandbox))
        answer = queue.get_result(request_id)

        assert (answer["model"], answer["done"]) == ("m", True)
        assert isinstance(answer["message"]["content"], str)
        assert queue.get_queue_position(request_id) == {"position": None, "status": "completed"}
        statistics = queue.get_queue_stats()
        assert (statistics["queue_size"], statistics["active_requests"]) == (0, 0)
        assert statistics["recent_completions"] == 1
        assert statistics["avg_processing_time"] > 0


def test_settings_at_top_level_move_into_options_and_the_body_is_left_alone() -> None:
    body = {
        "model": "m",
        "messages": [],
        "temperature": 0.5,
        "max_tokens": 7,
        "seed": None,
        "options": {"temperature": 0.1},
    }
    before = str(body)
    with ScriptedServer() as server, RequestQueue() as queue:
        server.on("/api/chat", document(DONE))
        queue.get_result(queue.add_request({"base_url": server.url, "body": body}))

        sent = server.requests[0].json

    assert sent["options"] == {"temperature": 0.1, "num_predict": 7}
    assert sent["stream"] is False
    assert "temperature" not in sent
    assert "max_tokens" not in sent
    assert str(body) == before


def test_typed_request_is_sent_as_it_is_written() -> None:
    with ScriptedServer() as server, RequestQueue() as queue:
        server.on("/api/chat", document(DONE))
        hello = [{"role": "user", "content": "hi"}]
        typed = ChatRequest(model="m", messages=hello, options={"seed": 1}, think=False, base_url=server.url)
        queue.get_result(queue.add_request(typed))

        assert server.requests[0].json == {
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "options": {"seed": 1},
            "think": False,
            "stream": False,
        }


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"test": "data", "body": {}}, "`test`"),
        ({"base_url": "http://127.0.0.1:1"}, "`body`"),
        ({"body": {"messages": []}}, "body.model"),
        ({"body": {"model": "m"}}, "`messages`"),
        ({"body": {"model": "m", "messages": [object()]}}, "JSON"),
        ({"body": {"model": "m", "input": "x"}, "stream": True}, "streamed"),
        ({"base_url": "nonsense", "body": {"model": "m", "messages": []}}, "nonsense"),
    ],
)
def test_wrong_request_is_refused_before_it_waits(wrong: dict[str, Any], word: str) -> None:
    with RequestQueue() as queue, pytest.raises(UsageError, match=word):
        queue.add_request(wrong)


def test_failed_request_gives_its_kind_and_keeps_its_error(sandbox: str) -> None:
    with RequestQueue() as queue:
        request_id = queue.add_request(request(sandbox, model="missing"))
        result = queue.get_result(request_id)

        assert result["kind"] == "model_not_found"
        assert result["request_id"] == request_id
        assert "missing" in result["error"]
        assert result["suggestion"] == "Run: ollama pull missing"  # a queue has no setting that pulls
        assert isinstance(queue.failure(request_id), OllamaModelNotFoundError)
        assert queue.get_queue_position(request_id) == {"position": None, "status": "error"}


def test_unknown_id_is_answered_at_once() -> None:
    with RequestQueue() as queue:
        assert queue.get_result("nobody", timeout=None)["kind"] == "unknown_request"
        assert [piece["kind"] for piece in queue.iter_result("nobody")] == ["unknown_request"]
        assert queue.get_queue_position("nobody") is None
        assert not queue.cancel_request("nobody")


@pytest.mark.parametrize("wrong", [None, 5, [], {}])
def test_id_that_is_none_is_unknown(wrong: Any) -> None:
    with RequestQueue() as queue:
        assert queue.get_result(wrong)["kind"] == "unknown_request"
        assert queue.get_queue_position(wrong) is None
        assert not queue.cancel_request(wrong)


@pytest.mark.parametrize("wrong", ["5", True, float("nan"), [1]])
def test_timeout_that_is_no_time_is_refused_and_ends_nothing(
    gated: tuple[ScriptedServer, Gate], wrong: Any
) -> None:
    server, gate = gated
    with RequestQueue() as queue:
        request_id = queue.add_request(request(server.url))
        for ask in (queue.get_result, queue.wait_for_turn, lambda *args: next(queue.iter_result(*args))):
            with pytest.raises(UsageError, match="timeout must be a number of seconds"):
                ask(request_id, wrong)
        gate.open()
        assert queue.get_result(request_id)["done"] is True


@pytest.mark.parametrize("long", [float("inf"), 1e300, 10**400])
def test_timeout_without_end_waits_for_the_answer(sandbox: str, long: float) -> None:
    with RequestQueue() as queue:
        assert queue.get_result(queue.add_request(request(sandbox)), long)["done"] is True
        (answer,) = queue.iter_result(queue.add_request(request(sandbox)), long)
        assert answer["done"] is True


def test_time_that_is_over_asks_only_whether_it_has_ended(gated: tuple[ScriptedServer, Gate]) -> None:
    server, gate = gated
    with RequestQueue() as queue:
        request_id = queue.add_request(request(server.url))
        assert queue.get_result(request_id, -1, keep=True)["kind"] == "timeout"
        gate.open()
        assert queue.get_result(request_id)["done"] is True
        assert queue.get_result(request_id, -1)["done"] is True


def test_positions_count_from_zero_and_the_more_urgent_goes_first(gated: tuple[ScriptedServer, Gate]) -> None:
    server, gate = gated
    with RequestQueue() as queue:
        running = queue.add_request(request(server.url))
        gate.arrived.wait()
        later = queue.add_request(request(server.url))
        sooner = queue.add_request(request(server.url), priority=1)

        at_work = queue.get_queue_position(running)
        positions = [queue.get_queue_position(waiting) for waiting in (sooner, later)]
        statistics = queue.get_queue_stats()
        gate.open()
        for request_id in (later, sooner, running):
            assert queue.get_result(request_id)["done"]

    assert at_work == {"position": "processing", "total": 2, "estimated_wait_s": 0.0}
    assert positions == [
        {"position": 0, "total": 2, "estimated_wait_s": None},
        {"position": 1, "total": 2, "estimated_wait_s": None},
    ]
    assert (statistics["queue_size"], statistics["active_requests"]) == (2, 1)


def test_positions_are_a_row_without_gaps_and_nobody_overtakes_inside_a_user_and_class() -> None:
    gate = Gate()
    with ScriptedServer() as server, RequestQueue() as queue:
        server.on("/api/chat", [gate, *document(DONE)], document(DONE))
        first = queue.add_request(request(server.url))
        gate.arrived.wait()
        ids = []
        for number in range(40):
            user, priority = f"u{number % 3}", number % 2
            wanted = request(server.url, tokens=number)
            ids.append(queue.add_request(wanted, priority, user))
        positions = [(queue.get_queue_position(request_id) or {})["position"] for request_id in ids]
        gate.open()
        for request_id in (first, *ids):
            assert queue.get_result(request_id) == DONE
        sent = [got.json["options"]["num_predict"] for got in server.requests[1:]]

    assert sorted(positions) == list(range(40))
    assert sorted(sent) == list(range(40))
    for line_of_one in range(6):
        own = [number for number in sent if number % 6 == line_of_one]
        assert own == sorted(own)
        places = positions[line_of_one::6]
        assert places == sorted(places)
    assert [number % 2 for number in sent] == [0] * 20 + [1] * 20


def test_priority_beyond_the_classes_counts_as_the_nearest(sandbox: str) -> None:
    with RequestQueue() as queue:
        for priority in (-3, 99):
            assert queue.get_result(queue.add_request(request(sandbox), priority))["done"]
        with pytest.raises(UsageError, match="priority"):
            queue.add_request(request(sandbox), True)


def test_expired_wait_cancels_the_request_and_closes_its_connection(
    gated: tuple[ScriptedServer, Gate],
) -> None:
    server, gate = gated
    with RequestQueue() as queue:
        request_id = queue.add_request(request(server.url))
        gate.arrived.wait()
        result = queue.get_result(request_id, timeout=0.01)

        assert result["error"] == "Request timed out"
        assert (result["kind"], result["position"]) == ("timeout", "processing")
        server.requests[0].aborted.wait()
        assert queue.get_queue_position(request_id) == {"position": None, "status": "timeout"}
        assert queue.get_result(request_id) == result


def test_expired_wait_with_keep_leaves_the_request_running(gated: tuple[ScriptedServer, Gate]) -> None:
    server, gate = gated
    with RequestQueue() as queue:
        request_id = queue.add_request(request(server.url))
        gate.arrived.wait()
        late = queue.get_result(request_id, timeout=0, keep=True)
        gate.open()

        assert late["error"] == "Request timed out"
        assert queue.get_result(request_id) == DONE


def test_cancelled_waiting_request_is_never_sent_and_a_running_one_is_stopped(
    gated: tuple[ScriptedServer, Gate],
) -> None:
    server, gate = gated
    with RequestQueue() as queue:
        running = queue.add_request(request(server.url))
        gate.arrived.wait()
        waiting = queue.add_request(request(server.url))

        assert queue.cancel_request(waiting)
        assert queue.cancel_request(running)
        assert not queue.cancel_request(running)
        assert queue.get_result(running)["kind"] == "cancelled"
        server.requests[0].aborted.wait()
        # The slot is free again.
        assert queue.get_result(queue.add_request(request(server.url))) == DONE

    assert len(server.requests) == 2


def test_streamed_request_hands_out_its_pieces_as_they_come() -> None:
    gate = Gate()
    with ScriptedServer() as server, RequestQueue() as queue:
        first, last = chunk(line(piece("a"))), chunk(line(piece("b", done=True)))
        server.on("/api/chat", [Send(head(chunked=True)), Send(first), gate, Send(last), Send(LAST_CHUNK)])
        request_id = queue.add_request(request(server.url, stream=True))
        pieces = queue.iter_result(request_id)

        assert next(pieces) == piece("a")
        gate.open()
        assert list(pieces) == [piece("b", done=True)]
        assert server.requests[0].json["stream"] is True
        assert queue.get_result(request_id) == piece("ab", done=True)


def test_callback_gets_the_pieces_in_order_and_its_error_ends_the_request(
    sandbox: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def fail(piece: dict[str, Any]) -> None:
        raise KeyError("secret words")

    with RequestQueue() as queue:
        good = queue.add_request(
            request(sandbox), callback=lambda got: seen.append(got["message"]["content"])
        )
        answer = queue.get_result(good)
        bad = queue.get_result(queue.add_request(request(sandbox), callback=fail))

    assert "".join(seen) == answer["message"]["content"]
    assert len(seen) > 1
    assert bad["kind"] == "callback"
    assert "secret" not in bad["error"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_leaving_a_streamed_answer_early_stops_the_server() -> None:
    gate = Gate()
    with ScriptedServer() as server, RequestQueue() as queue:
        server.on("/api/chat", [Send(head(chunked=True)), Send(chunk(line(piece("a")))), gate])
        request_id = queue.add_request(request(server.url, stream=True))
        pieces = queue.iter_result(request_id)
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]  # a generator

        server.requests[0].aborted.wait()
        assert queue.get_queue_position(request_id) == {"position": None, "status": "cancelled"}


def test_stream_without_its_last_line_is_a_failure_after_the_pieces() -> None:
    with ScriptedServer() as server, RequestQueue() as queue:
        server.on("/api/chat", [Send(head(chunked=True) + chunk(line(piece("a"))) + LAST_CHUNK)])
        pieces = list(queue.iter_result(queue.add_request(request(server.url, stream=True))))

    assert pieces[0] == piece("a")
    assert pieces[1]["kind"] == "stream_incomplete"


def test_full_queue_refuses_with_a_hint(gated: tuple[ScriptedServer, Gate]) -> None:
    server, gate = gated
    with RequestQueue(policy=Policy(max_waiting=1)) as queue:
        queue.add_request(request(server.url))
        gate.arrived.wait()
        queue.add_request(request(server.url))
        with pytest.raises(QueueFullError) as refused:
            queue.add_request(request(server.url))

    assert refused.value.retry_after_s > 0


def test_bodies_that_fill_the_memory_make_the_queue_full_and_one_too_large_for_it_is_a_mistake(
    gated: tuple[ScriptedServer, Gate],
) -> None:
    server, _ = gated
    with RequestQueue(max_waiting_bytes=200) as queue:
        queue.add_request(request(server.url, prompt="x" * 60))
        with pytest.raises(QueueFullError) as refused:
            queue.add_request(request(server.url, prompt="x" * 60))
        assert isinstance(refused.value, QueueMemoryError)
        assert refused.value.retry_after_s >= 1

        with pytest.raises(UsageError, match="max_waiting_bytes"):
            queue.add_request(request(server.url, prompt="x" * 300))


def test_request_that_waited_as_long_as_it_may_ends(gated: tuple[ScriptedServer, Gate]) -> None:
    server, gate = gated
    with RequestQueue(policy=Policy(max_wait_s=0.02)) as queue:
        queue.add_request(request(server.url))
        gate.arrived.wait()
        result = queue.get_result(queue.add_request(request(server.url)))

    assert result["kind"] == "queue_timeout"


def test_results_are_cleaned_up_after_delivery_and_in_any_case(sandbox: str) -> None:
    now = [0.0]
    with RequestQueue(clock=lambda: now[0]) as queue:
        fetched, left = queue.add_request(request(sandbox)), queue.add_request(request(sandbox))
        queue.get_result(fetched)
        queue.shutdown(drain=True)
        now[0] = 301.0
        assert queue.get_queue_position(fetched) is None
        assert queue.get_queue_position(left) is not None
        now[0] = 1801.0
        assert queue.get_queue_position(left) is None


def test_number_of_kept_results_is_bounded(sandbox: str) -> None:
    with RequestQueue(limits=ShelfLimits(max_results=2)) as queue:
        ids = [queue.add_request(request(sandbox)) for _ in range(4)]
        queue.shutdown(drain=True)

        assert [queue.get_queue_position(request_id) is None for request_id in ids] == [
            True,
            True,
            False,
            False,
        ]


def test_draining_shutdown_finishes_what_waits_and_another_ends_it(
    gated: tuple[ScriptedServer, Gate],
) -> None:
    server, gate = gated
    queue = RequestQueue()
    ids = [queue.add_request(request(server.url)) for _ in range(3)]
    gate.arrived.wait()
    gate.open()
    queue.shutdown(drain=True)

    assert [queue.get_result(request_id) for request_id in ids] == [DONE] * 3
    with pytest.raises(SchedulerClosedError):
        queue.add_request(request(server.url))
    queue.shutdown()


def test_shutdown_without_drain_ends_everything_at_once(gated: tuple[ScriptedServer, Gate]) -> None:
    server, gate = gated
    queue = RequestQueue()
    ids = [queue.add_request(request(server.url)) for _ in range(3)]
    gate.arrived.wait()
    queue.shutdown()

    assert [queue.get_result(request_id)["kind"] for request_id in ids] == ["queue_closed"] * 3
    server.requests[0].aborted.wait()


def test_slots_of_a_server_on_this_machine_come_from_its_own_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OLLAMA_NUM_PARALLEL", "2")
    gate = Gate()
    with ScriptedServer() as server, RequestQueue() as queue:
        server.on("/api/chat", [gate, *document(DONE)])
        ids = [queue.add_request(request(server.url)) for _ in range(3)]
        server.wait_for_requests(2)

        assert queue.get_queue_stats()["active_requests"] == 2
        gate.open()
        for request_id in ids:
            queue.get_result(request_id)


def test_forgotten_queue_lets_go_of_its_thread(sandbox: str) -> None:
    queue = RequestQueue()
    queue.get_result(queue.add_request(request(sandbox)))
    del queue
    gc.collect()

    assert "namel3ss-request-queue" not in {thread.name for thread in threading.enumerate()}


def test_instance_is_one_for_all_threads_until_it_is_reset() -> None:
    with ThreadPoolExecutor(16) as pool:
        instances = set(pool.map(lambda _: RequestQueue.get_instance(), range(64)))
    first = RequestQueue.get_instance()
    RequestQueue.reset_instance()
    second = RequestQueue.get_instance()
    RequestQueue.reset_instance()

    assert instances == {first}
    assert second is not first
    assert first.is_closed


FORKING = """
import logging, os, sys
from namel3ss.scheduling import RequestQueue
logging.basicConfig(format="%(message).30s", stream=sys.stdout)
request = {"base_url": sys.argv[1], "body": {"model": "m", "messages": [{"role": "user", "content": "hi"}]}}
queue = RequestQueue.get_instance()
request_id = queue.add_request(request)
queue.get_result(request_id)
child = os.fork()
if not child:
    assert queue.get_queue_position(request_id) is None
    assert RequestQueue.get_instance().get_queue_stats()["recent_completions"] == 0
    assert queue.get_result(queue.add_request(request))["done"]
    queue.shutdown()
    sys.stdout.flush()
    os._exit(0)
_, status = os.waitpid(child, 0)
assert queue.get_result(queue.add_request(request))["done"]
print("parent", status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_has_an_empty_queue_and_says_so(sandbox: str) -> None:
    """The parent does not shut its queue down either: the program ends all the same."""
    done = subprocess.run(
        # Newer Pythons warn of any fork beside threads; this is the test of what comes of it.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, sandbox],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["This process was forked from o", "parent 0"]


FORKING_AT_ONCE = """
import os, sys
from namel3ss.scheduling import RequestQueue
request = {"base_url": sys.argv[1], "body": {"model": "m", "messages": [{"role": "user", "content": "hi"}]}}
queue = RequestQueue()
first = queue.add_request(request)
child = os.fork()
assert queue.get_result(queue.add_request(request), timeout=10).get("done")
queue.shutdown()
if not child:
    os._exit(0)
_, status = os.waitpid(child, 0)
assert queue.get_result(first)["done"]
print("parent", status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_forked_while_the_first_request_is_on_its_way_can_use_the_queue(sandbox: str) -> None:
    """What that request needs was imported before: a module that is half imported in another thread stays so in a child."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING_AT_ONCE, sandbox],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "parent 0\n")


def test_shutdown_in_a_callback_ends_the_queue_and_refuses_to_wait_for_itself(sandbox: str) -> None:
    refused: list[UsageError] = []

    def end(piece: dict[str, Any]) -> None:
        with pytest.raises(UsageError) as error:
            queue.shutdown(drain=True)
        refused.append(error.value)
        queue.shutdown()

    queue = RequestQueue()
    ended = threading.Event()
    request_id = queue.add_request(request(sandbox), callback=end, on_end=lambda _: ended.set())

    assert queue.get_result(request_id)["kind"] in ("cancelled", "queue_closed")
    assert ended.wait(5)
    assert len(refused) == 1


ENDING = """
import sys, threading, time
from concurrent.futures import thread
from namel3ss.scheduling import RequestQueue
called = threading.Event()
def slow(piece):
    called.set()
    while not thread._shutdown:
        time.sleep(0.01)
request = {"base_url": sys.argv[1], "body": {"model": "m", "messages": [{"role": "user", "content": "hi"}]}}
RequestQueue.get_instance().add_request(request, callback=slow)
called.wait()
"""


def test_program_that_ends_during_a_callback_says_nothing_of_it(sandbox: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING, sandbox], capture_output=True, text=True, timeout=30, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_many_threads_get_one_answer_each(sandbox: str) -> None:
    statistics = ask_together(sandbox, threads=30, each=5)

    assert statistics["recent_completions"] == 150


@pytest.mark.parametrize("seed", [1])
def test_random_operations_with_cancels_and_faults_keep_the_rules(seed: int) -> None:
    played = play(400, seed=seed)

    assert played.ends["completed"] > 0


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"slots": 0}, "slots must be a whole number of at least 1, not 0"),
        ({"slots": "4"}, "slots must be a whole number of at least 1, not '4'"),
        ({"slots": {"http://a": 1.5}}, "slots of http://a must be a whole number"),
        ({"slots": {"a": 2}}, "base_url 'a' is not a URL"),
        ({"max_loaded_models": True}, "max_loaded_models must be a whole number"),
        ({"servers": "http://a"}, "servers must be a list of addresses"),
        ({"servers": [5]}, r"servers\[0\] must be an address or a Server"),
        ({"request_timeout": 0}, "request_timeout must be a number of seconds above 0"),
        ({"look_every_s": "5"}, "look_every_s must be a number of seconds above 0"),
        ({"max_waiting_bytes": -5}, "max_waiting_bytes must be a whole number"),
        ({"policy": 5}, "policy must be a Policy"),
        ({"limits": 5}, "limits must be a ShelfLimits"),
    ],
)
def test_queue_is_not_made_of_wrong_arguments(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        RequestQueue(**wrong)


def test_slots_belong_to_a_server_however_its_address_is_written(sandbox: str) -> None:
    with RequestQueue(slots={f"{sandbox}/": 3}) as queue:
        queue.get_result(queue.add_request(request(sandbox)))

        assert [(server["address"], server["slots"]) for server in queue.servers()] == [(sandbox, 3)]


def test_callback_that_cannot_be_called_is_refused_before_the_request_waits(sandbox: str) -> None:
    wrong: Any = 5
    with RequestQueue() as queue:
        with pytest.raises(UsageError, match="callback must be a function"):
            queue.add_request(request(sandbox), callback=wrong)
        with pytest.raises(UsageError, match="on_end must be a function"):
            queue.add_request(request(sandbox), on_end=wrong)

        assert queue.get_queue_stats()["queue_size"] == 0


def test_options_that_no_server_reads_are_mended_or_refused() -> None:
    with ScriptedServer() as server, RequestQueue() as queue:
        server.on("/api/chat", document(DONE))
        wanted = request(server.url)
        wanted["body"] |= {"stop": "END", "options": {"seed": 1}}
        queue.get_result(queue.add_request(wanted))

        assert server.requests[0].json["options"] == {"num_predict": 3, "stop": ["END"], "seed": 1}
        with pytest.raises(UsageError, match=r"body\.options holds nan"):
            queue.add_request(
                {"base_url": server.url, "body": {**wanted["body"], "temperature": float("nan")}}
            )
