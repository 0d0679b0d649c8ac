"""Several servers behind one `RequestQueue`: choice, failures, looks and draining, on real sockets."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import (
    OllamaModelNotFoundError,
    OllamaServerUnreachableError,
    OllamaStreamInterruptedError,
)
from namel3ss.sandbox import SandboxOptions, SandboxServer
from namel3ss.scheduling import NoServerError, RequestQueue, Server
from tests.scheduling.queue_play import play, request
from tests.support.eventually import eventually
from tests.support.scripted_server import (
    Close,
    Gate,
    Reset,
    ScriptedServer,
    Send,
    chunk,
    document,
    head,
    line,
    lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.scripted_server import Script

OFTEN_S = 0.01
DONE = {"model": "m", "message": {"role": "assistant", "content": "ok"}, "done": True}
PART = {"model": "m", "message": {"role": "assistant", "content": "o"}, "done": False}
NOT_FOUND = document({"error": "model 'm' not found"}, 404)
BUSY = document(
    {"error": "server busy, please try again. maximum pending requests exceeded"}, 503, {"Retry-After": "30"}
)


@pytest.fixture
def pair() -> Iterator[tuple[ScriptedServer, ScriptedServer]]:
    """Two servers that answer, and say that nothing is loaded."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(answering()), stack.enter_context(answering())


def answering(*chats: Script, port: int = 0) -> ScriptedServer:
    server = ScriptedServer(port=port)
    server.on("/api/chat", *(chats or (document(DONE),)))
    server.on("/api/ps", document({"models": []}))
    server.on("/api/tags", document({"models": [{"name": "m:latest", "digest": "sha256:1"}]}))
    return server


def asked(server: ScriptedServer) -> int:
    return server.paths().count("/api/chat")


def ask(queue: RequestQueue, **more: Any) -> dict[str, Any]:
    """The result of a request that names no server."""
    wanted = request(**more)
    del wanted["base_url"]
    return queue.get_result(queue.add_request(wanted), timeout=20)


def states(queue: RequestQueue) -> dict[str, str]:
    return {server["address"]: server["state"] for server in queue.servers()}


# -- choice ---------------------------------------------------------------------------------------------------


def test_requests_at_work_are_shared_out_by_weight() -> None:
    gate = Gate()
    held: Script = [gate, *document(DONE)]
    loaded = document({"models": [{"name": "m:latest"}, {"name": "other:latest"}]})
    with answering(held) as small, answering(held) as large:
        for server in (small, large):
            server.on("/api/ps", loaded)
        servers = [Server(name=small.url, slots=8), Server(name=large.url, slots=8, weight=3)]
        with RequestQueue(servers=servers, look_every_s=60) as queue:
            queue.cancel_request(queue.add_request(request(small.url, model="other")))
            eventually(lambda: all(len(server["loaded_models"]) == 2 for server in queue.servers()))
            eventually(lambda: not any(server["active_requests"] for server in queue.servers()))
            ids = [queue.add_request(request(small.url)) for _ in range(8)]
            assert all(queue.wait_for_turn(request_id) for request_id in ids)
            used = Counter(queue.server_of(request_id) for request_id in ids)
            gate.open()
            assert all(queue.get_result(request_id)["done"] for request_id in ids)

    assert used == {small.url: 2, large.url: 6}


def test_request_goes_where_its_model_is_loaded(pair: tuple[ScriptedServer, ScriptedServer]) -> None:
    first, second = pair
    second.on("/api/ps", document({"models": [{"name": "m:latest"}]}))
    with RequestQueue(servers=[first.url, second.url], look_every_s=60) as queue:
        ask(queue, model="other")  # the first request makes the queue look
        eventually(lambda: any(server["loaded_models"] == ["m:latest"] for server in queue.servers()))
        before = asked(second)
        for _ in range(5):
            assert ask(queue, model="M")["done"]

    assert asked(second) - before == 5


def test_address_of_one_server_means_all_of_them(pair: tuple[ScriptedServer, ScriptedServer]) -> None:
    first, second = pair
    gate = Gate()
    for server in pair:
        server.on("/api/chat", [gate, *document(DONE)])
    with RequestQueue(servers=[first.url, second.url]) as queue:
        ids = [queue.add_request(request(first.url)) for _ in range(2)]
        for server in pair:
            eventually(lambda server=server: asked(server) == 1)  # type: ignore[misc]  # bound now
        gate.open()
        assert all(queue.get_result(request_id)["done"] for request_id in ids)


def test_password_of_an_address_is_sent_and_shown_nowhere(
    pair: tuple[ScriptedServer, ScriptedServer],
) -> None:
    first, second = pair
    secret = first.url.replace("http://", "http://ada:secret@")
    with RequestQueue(servers=[secret, second.url]) as queue:
        ask(queue)
        shown = repr(queue) + repr(queue.servers())

    assert "secret" not in shown
    (got,) = [got for got in first.requests + second.requests if got.path == "/api/chat"]
    assert (got.header("Authorization") is not None) == (got in first.requests)


# -- failures -------------------------------------------------------------------------------------------------


def test_server_that_cannot_be_reached_is_left_alone_until_it_answers_again(
    pair: tuple[ScriptedServer, ScriptedServer],
) -> None:
    first, _ = pair
    with answering() as gone:
        port, address = gone.port, gone.url
    with RequestQueue(servers=[address, first.url], look_every_s=OFTEN_S) as queue:
        for _ in range(4):
            assert ask(queue)["done"]
        assert states(queue) == {address: "down", first.url: "up"}
        assert asked(first) == 4

        with answering(port=port) as back:
            eventually(lambda: states(queue)[address] == "up")
            queue.drain_server(first.url)
            assert ask(queue)["done"]
            assert asked(back) == 1


def test_when_no_server_is_left_each_is_asked_once_and_the_error_is_the_servers() -> None:
    with answering() as first, answering() as second:
        addresses = [first.url, second.url]
    with RequestQueue(servers=addresses, look_every_s=60) as queue:
        for _ in range(3):
            request_id = queue.add_request(request(addresses[0]))
            assert queue.get_result(request_id)["kind"] == "connect_refused"
            assert isinstance(queue.failure(request_id), OllamaServerUnreachableError)
        assert set(states(queue).values()) == {"down"}


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    "broken", [[Reset()], [Close()], document({"error": "bad gateway"}, 502)], ids=["reset", "closed", "502"]
)
def test_request_that_its_server_may_have_begun_is_sent_once(broken: Script, is_streamed: bool) -> None:
    with answering(broken) as first, answering(broken) as second:
        with RequestQueue(servers=[first.url, second.url], look_every_s=60) as queue:
            assert "error" in ask(queue, stream=is_streamed)

        assert asked(first) + asked(second) == 1


def test_requests_that_wait_when_their_server_dies_go_to_another() -> None:
    gate, held = Gate(), Gate()
    with answering([gate, Reset()]) as dying, answering([held, *document(DONE)], document(DONE)) as healthy:
        servers = [Server(name=dying.url, weight=2), Server(name=healthy.url)]
        with RequestQueue(servers=servers, look_every_s=60) as queue:
            at_work = queue.add_request(request(dying.url))
            gate.arrived.wait()
            others = [queue.add_request(request(dying.url)) for _ in range(4)]
            held.arrived.wait()
            gate.open()
            assert queue.get_result(at_work)["kind"] == "stream_reset"
            held.open()
            for request_id in others:
                assert queue.get_result(request_id) == DONE
                assert queue.server_of(request_id) == healthy.url

        assert (asked(dying), asked(healthy)) == (1, 4)


@pytest.mark.parametrize("as_server", [False, True])
def test_request_that_names_no_address_goes_to_the_only_server(*, as_server: bool) -> None:
    with answering() as server:
        only = Server(name=server.url) if as_server else server.url
        with RequestQueue(servers=[only]) as queue:
            body = request("")["body"]

            assert queue.get_result(queue.add_request({"body": body})) == DONE
            assert queue.model_digest({"body": body}) == "sha256:1"

        assert asked(server) == 1


def test_models_of_a_server_are_known_however_their_names_are_written() -> None:
    with answering() as server:
        spec = Server(name=server.url, models=frozenset({"M", "n"}), missing=frozenset({"N:latest"}))
        with RequestQueue(servers=[spec]) as queue:
            assert ask(queue) == DONE
            with pytest.raises(NoServerError):
                queue.add_request(request(server.url, model="n"))


def test_slots_of_a_model_hold_however_its_name_is_written() -> None:
    gate = Gate()
    with answering([gate, *document(DONE)]) as server:
        spec = Server(name=server.url, slots=4, model_slots={"M": 1})
        with RequestQueue(servers=[spec]) as queue:
            for _ in range(3):
                queue.add_request(request(server.url))
            gate.arrived.wait()

            statistics = queue.get_queue_stats()
            assert (statistics["active_requests"], statistics["queue_size"]) == (1, 2)
            gate.open()


def test_server_that_is_gone_has_nothing_loaded(pair: tuple[ScriptedServer, ScriptedServer]) -> None:
    with (
        answering(document(DONE), [Reset()]) as going,
        RequestQueue(servers=[going.url, pair[0].url], look_every_s=60) as queue,
    ):
        queue.drain_server(pair[0].url)
        assert ask(queue)["done"]
        assert queue.servers()[0]["loaded_models"] == ["m:latest"]
        assert ask(queue)["kind"] == "stream_reset"
        assert queue.servers()[0]["state"] == "down"
        assert queue.servers()[0]["loaded_models"] == []


def test_nothing_is_tried_again_once_a_piece_has_come() -> None:
    broken: Script = [Send(head(chunked=True)), Send(chunk(line(PART))), Close()]
    with (
        answering(broken) as dying,
        answering(broken) as other,
        RequestQueue(servers=[dying.url, other.url], look_every_s=60) as queue,
    ):
        request_id = queue.add_request(request(dying.url, stream=True))
        pieces = list(queue.iter_result(request_id))
        failure = queue.failure(request_id)

    assert pieces[0] == PART
    assert isinstance(failure, OllamaStreamInterruptedError)
    assert pieces[1:] == [queue.get_result(request_id)]
    assert asked(dying) + asked(other) == 1


def test_busy_server_hands_over_to_another(pair: tuple[ScriptedServer, ScriptedServer]) -> None:
    first, second = pair
    first.on("/api/chat", BUSY)
    with RequestQueue(servers=[first.url, second.url], look_every_s=60) as queue:
        assert ask(queue)["done"]
        assert states(queue)[first.url] == "busy"
        assert ask(queue)["done"]

    assert (asked(first), asked(second)) == (1, 2)


def test_server_without_the_model_is_not_asked_again_until_it_has_it(
    pair: tuple[ScriptedServer, ScriptedServer],
) -> None:
    first, second = pair
    first.on("/api/chat", NOT_FOUND, document(DONE))
    first.on("/api/tags", document({"models": []}))
    with RequestQueue(servers=[first.url, second.url], look_every_s=OFTEN_S) as queue:
        for _ in range(3):
            assert ask(queue)["done"]
        assert (asked(first), asked(second)) == (1, 3)

        first.on("/api/tags", document({"models": [{"name": "m:latest"}]}))
        queue.drain_server(second.url)

        def is_back() -> bool:
            with contextlib.suppress(NoServerError):
                return "error" not in ask(queue)
            return False

        eventually(is_back)
    assert asked(second) == 3


def test_model_that_no_server_has_is_said_to_be_missing(
    pair: tuple[ScriptedServer, ScriptedServer],
) -> None:
    for server in pair:
        server.on("/api/chat", NOT_FOUND)
    with RequestQueue(servers=[server.url for server in pair], look_every_s=60) as queue:
        for count in (1, 2):
            request_id = queue.add_request(request(pair[0].url))
            assert queue.get_result(request_id)["kind"] == "model_not_found"
            assert isinstance(queue.failure(request_id), OllamaModelNotFoundError)
            assert [asked(server) for server in pair] == [count, count]


def test_wrong_request_is_not_sent_to_another_server(pair: tuple[ScriptedServer, ScriptedServer]) -> None:
    for server in pair:
        server.on("/api/chat", document({"error": "invalid options"}, 400))
    with RequestQueue(servers=[server.url for server in pair]) as queue:
        assert ask(queue)["kind"] == "bad_request"
        assert set(states(queue).values()) == {"up"}

    assert sum(map(asked, pair)) == 1


def test_request_that_lost_its_server_goes_first_and_can_be_cancelled_there() -> None:
    gate, held = Gate(), Gate()
    with answering([gate, *BUSY]) as dying, answering([held, *document(DONE)], document(DONE)) as healthy:
        servers = [Server(name=dying.url, weight=2), Server(name=healthy.url)]
        with RequestQueue(servers=servers, look_every_s=60) as queue:
            unlucky = queue.add_request(request(dying.url), user="ada")
            gate.arrived.wait()
            running = queue.add_request(request(dying.url), user="bo")
            held.arrived.wait()
            waiting = [queue.add_request(request(dying.url), 1, user="cy") for _ in range(3)]
            gate.open()
            eventually(lambda: states(queue)[dying.url] == "busy")
            eventually(lambda: (queue.get_queue_position(unlucky) or {}).get("position") == 0)

            assert not queue.wait_for_turn(unlucky, timeout=0.01)
            assert queue.cancel_request(unlucky, only_waiting=True)
            assert not queue.cancel_request(running, only_waiting=True)
            assert queue.get_result(unlucky)["kind"] == "cancelled"
            held.open()
            for request_id in (running, *waiting):
                assert queue.get_result(request_id)["done"]
            assert queue.wait_for_turn(running)


# -- draining, and what is refused ----------------------------------------------------------------------------


def test_drained_server_finishes_what_it_has_and_gets_nothing_new(
    pair: tuple[ScriptedServer, ScriptedServer],
) -> None:
    first, second = pair
    gate = Gate()
    first.on("/api/chat", [gate, *document(DONE)], document(DONE))
    servers = [Server(name=first.url, weight=2), Server(name=second.url)]
    with RequestQueue(servers=servers, look_every_s=60) as queue:
        running = queue.add_request(request(first.url))
        gate.arrived.wait()
        queue.drain_server(first.url)
        for _ in range(3):
            assert ask(queue)["done"]
        assert (asked(first), asked(second)) == (1, 3)
        assert states(queue)[first.url] == "draining"
        gate.open()
        assert queue.get_result(running)["done"]

        queue.drain_server(second.url)
        with pytest.raises(NoServerError):
            queue.add_request(request(first.url))
        queue.resume_server(first.url)
        assert ask(queue)["done"]
        assert asked(second) == 3


def test_servers_belong_to_one_group() -> None:
    one, two, three = (f"http://127.0.0.1:{port}" for port in (1, 2, 3))
    with RequestQueue(servers=[one, two]) as queue:
        queue.add_servers([two, f"{one}/"])
        with pytest.raises(UsageError, match="used already"):
            queue.add_servers([two, three])
        with pytest.raises(UsageError, match="twice"):
            queue.add_servers([three, three])
        with pytest.raises(UsageError, match="empty"):
            queue.add_servers([])
        with pytest.raises(UsageError, match=r"no server http://127\.0\.0\.1:3"):
            queue.drain_server(three)
        assert [server["address"] for server in queue.servers()] == [one, two]


FORKING = """
import logging, os, sys
from namel3ss.scheduling import RequestQueue
logging.disable()
request = {"body": {"model": "m", "messages": [{"role": "user", "content": "hi"}]}}
queue = RequestQueue(servers=["http://127.0.0.1:9"])
queue.add_servers(sys.argv[1:])
of_the_others = request | {"base_url": sys.argv[1]}
queue.get_result(queue.add_request(of_the_others))
child = os.fork()
if not child:
    assert [server["address"] for server in queue.servers()] == ["http://127.0.0.1:9", *sys.argv[1:]]
    assert queue.get_result(queue.add_request(of_the_others))["done"]
    queue.shutdown()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
queue.shutdown()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_has_the_same_servers(pair: tuple[ScriptedServer, ScriptedServer]) -> None:
    subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, *(server.url for server in pair)],
        capture_output=True,
        timeout=30,
        check=True,
    )


# -- digests --------------------------------------------------------------------------------------------------


def test_digest_is_what_all_servers_agree_on(pair: tuple[ScriptedServer, ScriptedServer]) -> None:
    first, second = pair
    with RequestQueue(servers=[first.url, second.url], look_every_s=60) as queue:
        assert queue.model_digest(request(first.url, model="M")) == "sha256:1"
        assert queue.model_digest(request(first.url, model="other")) is None
        assert first.paths().count("/api/tags") == 1
    second.on("/api/tags", document({"models": [{"name": "m:latest", "digest": "sha256:2"}]}))
    with RequestQueue(servers=[first.url, second.url]) as queue:
        assert queue.model_digest(request(first.url)) is None


def test_digest_of_a_server_that_does_not_answer_is_unknown() -> None:
    with answering() as server:
        address = server.url
    with RequestQueue() as queue:
        assert queue.model_digest(request(address)) is None
    assert queue.model_digest(request(address, model="after the end")) is None


# -- under load -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_random_operations_and_faults_keep_every_slot_and_every_end_single(seed: int) -> None:
    servers = [f"http://127.0.0.1:{port}" for port in (1, 2, 3)]

    played = play(240, seed=seed, servers=servers)

    assert played.ends["completed"] > 0


def test_streamed_answers_come_whole_from_any_server(pair: tuple[ScriptedServer, ScriptedServer]) -> None:
    for server in pair:
        server.on("/api/chat", lines(PART, DONE))
    with RequestQueue(servers=[server.url for server in pair]) as queue:
        ids = [queue.add_request(request(pair[0].url, stream=True)) for _ in range(6)]
        for request_id in ids:
            assert list(queue.iter_result(request_id)) == [PART, DONE]


def test_every_request_of_many_threads_ends_once_though_a_server_goes_in_the_middle() -> None:
    answered: Counter[str] = Counter()
    options = SandboxOptions(installed=("m",))
    with SandboxServer(options) as staying, SandboxServer(options) as going:
        servers = [going.url, staying.url]
        with RequestQueue(servers=servers, slots=4, look_every_s=OFTEN_S) as queue:

            def work(number: int) -> None:
                for _ in range(8):
                    request_id = queue.add_request(request(going.url), number % 10, f"user {number % 5}")
                    answer = queue.get_result(request_id, timeout=None)
                    # What was at work there may have begun: it is not sent again.
                    assert answer.get("done") is True or queue.server_of(request_id) == going.url
                    answered[request_id] += 1

            with ThreadPoolExecutor(12) as threads:
                working = [threads.submit(work, number) for number in range(12)]
                eventually(lambda: len(answered) > 20)
                going.stop()
                for future in working:
                    future.result(30)
            states_at_the_end = states(queue)

    assert len(answered) == answered.total() == 12 * 8
    assert states_at_the_end == {going.url: "down", staying.url: "up"}
