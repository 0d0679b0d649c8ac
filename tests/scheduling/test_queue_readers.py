"""Several readers of one answer of a `RequestQueue`: whoever reads the pieces misses none because others want the whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from namel3ss.scheduling import RequestQueue
from tests.scheduling.queue_play import request
from tests.support.scripted_server import LAST_CHUNK, Gate, ScriptedServer, Send, chunk, head, line


def piece(text: str, *, done: bool = False) -> dict[str, Any]:
    return {"model": "m", "message": {"role": "assistant", "content": text}, "done": done}


PIECES = [piece("a"), piece("b"), piece("c", done=True)]


def in_pieces(server: ScriptedServer, gate: Gate) -> None:
    """One answer, of which the first piece comes before the gate."""
    first, *others = (Send(chunk(line(said))) for said in PIECES)
    server.on("/api/chat", [Send(head(chunked=True)), first, gate, *others, Send(LAST_CHUNK)])


@pytest.mark.parametrize("is_read_before", [False, True])
def test_who_looks_for_the_whole_answer_takes_no_piece_from_who_reads_them(*, is_read_before: bool) -> None:
    gate = Gate()
    with ScriptedServer() as server, RequestQueue() as queue:
        in_pieces(server, gate)
        request_id = queue.add_request(request(server.url, stream=True))
        pieces = queue.iter_result(request_id)
        read = [next(pieces)] if is_read_before else []

        assert queue.get_result(request_id, timeout=0, keep=True)["kind"] == "timeout"
        with ThreadPoolExecutor(2) as threads:
            whole = [threads.submit(queue.get_result, request_id) for _ in range(2)]
            gate.open()
            read += pieces

        assert read == PIECES
        assert [waiting.result() for waiting in whole] == [piece("abc", done=True)] * 2


def test_pieces_can_be_read_after_the_whole_answer() -> None:
    gate = Gate()
    gate.open()
    with ScriptedServer() as server, RequestQueue() as queue:
        in_pieces(server, gate)
        request_id = queue.add_request(request(server.url, stream=True))
        assert queue.get_result(request_id) == piece("abc", done=True)

        assert list(queue.iter_result(request_id)) == PIECES


def test_request_with_a_callback_is_read_in_one_piece() -> None:
    gate = Gate()
    gate.open()
    heard: list[dict[str, Any]] = []
    with ScriptedServer() as server, RequestQueue() as queue:
        in_pieces(server, gate)
        request_id = queue.add_request(request(server.url), callback=heard.append)

        assert list(queue.iter_result(request_id)) == [piece("abc", done=True)]
    assert heard == PIECES


def test_too_many_unread_pieces_are_lost_to_their_reader_and_not_to_who_wants_the_whole() -> None:
    gate = Gate()
    content = b"".join(chunk(line(piece("x"))) for _ in range(10_001))
    with ScriptedServer() as server, RequestQueue() as queue:
        last = Send(content + chunk(line(piece("", done=True))) + LAST_CHUNK)
        server.on("/api/chat", [Send(head(chunked=True)), gate, last])
        request_id = queue.add_request(request(server.url, stream=True))
        assert "error" in queue.get_result(request_id, timeout=0, keep=True)
        gate.open()

        assert queue.get_result(request_id)["message"]["content"] == "x" * 10_001
        assert [said["kind"] for said in queue.iter_result(request_id)] == ["not_read"]
        assert queue.get_queue_position(request_id) == {"position": None, "status": "completed"}


@pytest.mark.parametrize("is_running", [False, True])
def test_failing_on_end_is_logged_and_stops_nobody(
    caplog: pytest.LogCaptureFixture, *, is_running: bool
) -> None:
    def fail(request_id: str) -> None:
        raise KeyError("a mistake in a program")

    gate = Gate()
    with ScriptedServer() as server, RequestQueue() as queue:
        in_pieces(server, gate)
        first = queue.add_request(request(server.url, stream=True), on_end=fail)
        server.wait_for_requests(1)
        second = queue.add_request(request(server.url, stream=True), on_end=fail)

        assert queue.cancel_request(first if is_running else second)
        if is_running:
            server.requests[0].aborted.wait()  # it left its slot to the other one
            server.wait_for_requests(2)
        gate.open()
        assert queue.get_result(second if is_running else first) == piece("abc", done=True)

    assert [record.message.split(" of ")[0] for record in caplog.records] == ["The on_end"] * 2
