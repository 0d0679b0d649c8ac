"""Answers from memory: who gets which, what is sent once, and who disturbs whom."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.bridge import BridgeError, BridgeTimeoutError, OllamaBridge
from namel3ss.caching import ResponseCache
from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import OllamaServerError
from namel3ss.scheduling import Policy, QueueFullError, RequestQueue
from tests.bridge.answers import HELLO, answer, installed, part
from tests.support.eventually import eventually
from tests.support.scripted_server import Gate, document, lines

if TYPE_CHECKING:
    from concurrent.futures import Future

    from namel3ss.bridge import BridgeResponse
    from tests.support.scripted_server import ScriptedServer

CALL = {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Paris"}}}


@pytest.fixture
def cache() -> ResponseCache:
    return ResponseCache()


@pytest.fixture
def bridge(server: ScriptedServer, queue: RequestQueue, cache: ResponseCache) -> OllamaBridge:
    server.on("/api/tags", document(installed()))
    server.on("/api/chat", lines(part("H"), part("i"), answer("", tool_calls=[CALL])))
    return OllamaBridge(server.url, "m", queue, cache=cache, temperature=0)


def asked(server: ScriptedServer) -> int:
    return server.paths().count("/api/chat")


def outcome(response: BridgeResponse) -> str | None:
    found: str | None = response.metadata.get("cache")
    return found


def test_equal_deterministic_request_is_answered_from_memory_whole_or_in_pieces(
    bridge: OllamaBridge, server: ScriptedServer
) -> None:
    first = bridge.generate_response(HELLO)
    seen: list[str] = []
    second = bridge.generate_response(HELLO, stream=True, callback=seen.append)

    assert asked(server) == 1
    assert (outcome(first), outcome(second)) == ("miss", "hit")
    assert seen == ["H", "i"]
    assert first.content == second.content
    assert [block.type for block in second.content] == ["text", "tool_use"]
    assert (first.usage, first.stop_reason) == (second.usage, second.stop_reason)
    assert first.id != second.id


def test_answer_that_was_streamed_is_given_whole_afterwards(
    bridge: OllamaBridge, server: ScriptedServer
) -> None:
    streamed = bridge.generate_response(HELLO, stream=True)
    whole = bridge.generate_response(HELLO)

    assert (outcome(streamed), outcome(whole)) == ("miss", "hit")
    assert bridge.extract_text_content(whole) == "Hi"
    assert asked(server) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [{"role": "user", "content": "Hello!"}]},
        {"system_prompt": "Be kind."},
        {"max_tokens": 5},
        {"tools": [{"name": "t", "input_schema": {"type": "object"}}]},
        {"user": "ada"},
    ],
)
def test_any_difference_is_another_request(
    bridge: OllamaBridge, server: ScriptedServer, change: dict[str, Any]
) -> None:
    bridge.generate_response(HELLO)
    bridge.generate_response(**({"messages": HELLO} | change))

    assert asked(server) == 2


def test_chance_is_not_remembered_unless_the_call_asks_for_it(
    bridge: OllamaBridge, server: ScriptedServer
) -> None:
    server.on("/api/chat", lines(answer()))
    for _ in range(2):
        assert outcome(bridge.generate_response(HELLO, temperature=0.5)) is None
    assert asked(server) == 2
    on_demand = [outcome(bridge.generate_response(HELLO, temperature=0.5, cached=True)) for _ in range(2)]
    assert on_demand == ["miss", "hit"]
    assert asked(server) == 3
    assert outcome(bridge.generate_response(HELLO, cached=False)) is None
    assert asked(server) == 4


def test_seed_makes_a_request_deterministic(
    server: ScriptedServer, queue: RequestQueue, cache: ResponseCache
) -> None:
    server.on("/api/tags", document(installed())).on("/api/chat", lines(answer()))
    bridge = OllamaBridge(server.url, "m", queue, cache=cache, options={"seed": 7})

    assert [outcome(bridge.generate_response(HELLO)) for _ in range(2)] == ["miss", "hit"]
    assert server.requests[-1].json["options"] == {"seed": 7, "temperature": 0.7}


def test_answer_belongs_to_its_caller_unless_it_is_shared(
    bridge: OllamaBridge, server: ScriptedServer
) -> None:
    for user in ("ada", "bo"):
        assert outcome(bridge.generate_response(HELLO, user=user)) == "miss"
        assert outcome(bridge.generate_response(HELLO, user=user)) == "hit"
    assert outcome(bridge.generate_response(HELLO, user="ada", shared=True)) == "miss"
    assert outcome(bridge.generate_response(HELLO, user="bo", shared=True)) == "hit"
    assert asked(server) == 3


def test_caller_of_a_kept_answer_has_a_name_that_is_text(bridge: OllamaBridge) -> None:
    number: Any = 5
    with pytest.raises(UsageError, match="user must be a text, not 5"):
        bridge.generate_response(HELLO, user=number)


def test_model_that_was_pulled_anew_is_asked_anew(server: ScriptedServer, cache: ResponseCache) -> None:
    server.on("/api/chat", lines(answer()))
    server.on("/api/tags", document(installed()), document(installed("sha256:2")))
    with RequestQueue(look_every_s=1e-9) as queue:
        bridge = OllamaBridge(server.url, "m", queue, cache=cache, temperature=0)
        outcomes = [outcome(bridge.generate_response(HELLO)) for _ in range(3)]

    assert outcomes == ["miss", "miss", "hit"]


def test_nothing_is_remembered_where_the_digest_is_unknown(
    bridge: OllamaBridge, server: ScriptedServer
) -> None:
    server.on("/api/tags", document({"models": []}))
    server.on("/api/chat", document(answer()))

    assert [outcome(bridge.generate_response(HELLO)) for _ in range(2)] == [None, None]
    assert asked(server) == 2


def test_errors_are_not_remembered_and_come_as_they_are(bridge: OllamaBridge, server: ScriptedServer) -> None:
    server.on("/api/chat", document({"error": "out of order"}, 500), lines(answer()))

    with pytest.raises(OllamaServerError):
        bridge.generate_response(HELLO)
    assert outcome(bridge.generate_response(HELLO)) == "miss"


def test_error_in_the_middle_reaches_everybody_after_the_pieces_and_is_not_remembered(
    bridge: OllamaBridge, server: ScriptedServer
) -> None:
    server.on("/api/chat", lines(part("H"), {"error": "the model died"}), lines(answer()))
    seen: list[str] = []

    with pytest.raises(OllamaServerError):
        bridge.generate_response(HELLO, stream=True, callback=seen.append)
    assert seen == ["H"]
    assert outcome(bridge.generate_response(HELLO)) == "miss"


def test_bridge_without_a_cache_says_so(server: ScriptedServer, queue: RequestQueue) -> None:
    with pytest.raises(UsageError, match="no cache"):
        OllamaBridge(server.url, "m", queue).generate_response(HELLO, cached=True)


def test_full_queue_is_told_and_nobody_waits_for_what_was_never_sent(
    server: ScriptedServer, cache: ResponseCache
) -> None:
    gate = Gate()
    server.on("/api/tags", document(installed()))
    server.on("/api/chat", [gate, *lines(answer())], lines(answer()))
    with RequestQueue(policy=Policy(max_waiting=0)) as queue:
        bridge = OllamaBridge(server.url, "m", queue, cache=cache, temperature=0)
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(bridge.generate_response, HELLO, "first")
            gate.arrived.wait()
            with pytest.raises(QueueFullError):
                bridge.generate_response(HELLO)
            gate.open()
            assert outcome(running.result(10)) == "miss"
        assert outcome(bridge.generate_response(HELLO)) == "miss"


# -- together -------------------------------------------------------------------------------------------------


def test_equal_requests_of_many_threads_are_sent_once_and_all_are_answered(
    bridge: OllamaBridge, server: ScriptedServer, cache: ResponseCache
) -> None:
    gate = Gate()
    server.on("/api/chat", [*lines(part("H"))[:-1], gate, *lines(part("i"), answer(""))[1:]])

    def ask(number: int) -> str:
        seen: list[str] = []
        response = bridge.generate_response(HELLO, stream=number % 2 == 0, callback=seen.append)
        assert seen == (["H", "i"] if number % 2 == 0 else [])
        return bridge.extract_text_content(response)

    with ThreadPoolExecutor(12) as threads:
        asking = [threads.submit(ask, number) for number in range(12)]
        gate.arrived.wait()
        eventually(lambda: cache.statistics().joined == 11)
        gate.open()
        texts = [future.result(10) for future in asking]

    assert texts == ["Hi"] * 12
    assert asked(server) == 1


def test_one_who_leaves_or_runs_out_of_time_does_not_end_the_others(
    bridge: OllamaBridge, server: ScriptedServer, queue: RequestQueue, cache: ResponseCache
) -> None:
    gate = Gate()
    server.on("/api/chat", [*lines(part("H"))[:-1], gate, *lines(part("i"), answer(""))[1:]])
    hasty = OllamaBridge(server.url, "m", queue, cache=cache, temperature=0, timeout=0.02)

    staying: list[Future[BridgeResponse]] = []

    def leave(text: str) -> None:
        staying.append(threads.submit(bridge.generate_response, HELLO))
        eventually(lambda: cache.statistics().joined == 1)
        raise KeyError(text)

    with ThreadPoolExecutor(1) as threads:
        # The first to ask, by whom the request was sent, is the first to leave.
        with pytest.raises(KeyError):
            bridge.generate_response(HELLO, stream=True, callback=leave)
        with pytest.raises(BridgeTimeoutError, match="being answered"):
            hasty.generate_response(HELLO)
        assert not server.requests[-1].aborted.is_set()
        gate.open()
        assert bridge.extract_text_content(staying[0].result(10)) == "Hi"

    assert asked(server) == 1


def test_request_that_nobody_waits_for_any_more_is_stopped(
    bridge: OllamaBridge, server: ScriptedServer
) -> None:
    server.on("/api/chat", [*lines(part("H"))[:-1], Gate()], lines(answer()))

    def give_up(text: str) -> None:
        raise KeyError(text)

    with pytest.raises(KeyError):
        bridge.generate_response(HELLO, stream=True, callback=give_up)
    [request] = [request for request in server.requests if request.path == "/api/chat"]
    request.aborted.wait()
    assert outcome(bridge.generate_response(HELLO)) == "miss"


def test_cancelled_request_fails_for_all_who_share_it(
    bridge: OllamaBridge, server: ScriptedServer, queue: RequestQueue, cache: ResponseCache
) -> None:
    gate = Gate()
    server.on("/api/chat", [gate])
    with ThreadPoolExecutor(2) as threads:
        asking = [threads.submit(bridge.generate_response, HELLO) for _ in range(2)]
        gate.arrived.wait()
        eventually(lambda: cache.statistics().joined == 1)
        for request_id in [entry.id for entry in queue._runner.room.living()]:
            queue.cancel_request(request_id)
        for future in asking:
            with pytest.raises(BridgeError) as failed:
                future.result(10)
            assert failed.value.kind == "cancelled"


def test_who_joins_a_waiting_request_is_told_where_it_stands(
    bridge: OllamaBridge, server: ScriptedServer, queue: RequestQueue, cache: ResponseCache
) -> None:
    gate = Gate()
    server.on("/api/chat", [gate, *lines(answer())], lines(answer()))
    heard: list[str] = []
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(bridge.generate_response, HELLO, "other")
        gate.arrived.wait()
        second = threads.submit(bridge.generate_response, HELLO)
        eventually(lambda: queue.get_queue_stats()["queue_size"] == 1)
        third = threads.submit(bridge.generate_response, HELLO, on_waiting=heard.append)
        eventually(lambda: bool(heard))
        gate.open()
        assert [outcome(future.result(10)) for future in (first, second, third)] == ["miss", "miss", "joined"]

    assert heard == ["Your request is in a queue with 0 other requests."]
