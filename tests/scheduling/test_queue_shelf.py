"""What a request queue remembers, and for how long."""

from __future__ import annotations

import pytest

from namel3ss.scheduling import ShelfLimits
from namel3ss.scheduling.queue_entries import Entry, Failure, PiecesLostError
from namel3ss.scheduling.queue_requests import Outgoing
from namel3ss.scheduling.queue_shelf import Completions, Shelf

REQUEST = Outgoing("http://s", None, "/api/chat", "LLaMA3", b"{}", is_streamed=False)


def ended(name: str, *, size_bytes: int = 0) -> Entry:
    entry = Entry(name, REQUEST, None)
    assert entry.begin()
    assert entry.complete({"x": "x" * size_bytes})
    return entry


def kept(shelf: Shelf, *names: str) -> list[str]:
    return [name for name in names if shelf.get(name) is not None]


def test_delivered_ones_go_first_when_there_are_too_many() -> None:
    shelf = Shelf(ShelfLimits(max_results=2))
    for name in ("a", "b"):
        shelf.put(ended(name), 0.0)
    shelf.delivered("b", 1.0)
    shelf.put(ended("c"), 2.0)

    assert kept(shelf, "a", "b", "c") == ["a", "c"]


def test_size_of_all_results_is_bounded() -> None:
    shelf = Shelf(ShelfLimits(max_bytes=250))
    for name in ("a", "b", "c"):
        shelf.put(ended(name, size_bytes=100), 0.0)

    assert kept(shelf, "a", "b", "c") == ["b", "c"]


def test_five_minutes_count_from_the_first_delivery() -> None:
    shelf = Shelf(ShelfLimits())
    shelf.put(ended("a"), 0.0)
    shelf.delivered("a", 10.0)
    shelf.delivered("a", 200.0)
    shelf.clean(310.0)
    assert kept(shelf, "a") == ["a"]
    shelf.clean(311.0)

    assert len(shelf) == 0


def test_mean_of_the_last_five_minutes() -> None:
    completions = Completions()
    assert completions.count_and_mean(0.0) == (0, None)
    for duration_s, now in ((1.0, 0.2), (3.0, 0.7), (8.0, 250.0)):
        completions.add(duration_s, now)

    assert completions.count_and_mean(300.0) == (3, 4.0)
    assert completions.count_and_mean(301.0) == (1, 8.0)
    assert completions.count_and_mean(600.0) == (0, None)


def test_request_ends_once() -> None:
    entry = Entry("a", REQUEST, None)
    assert entry.fail("cancelled", Failure("gone", "cancelled"))

    assert not entry.begin()
    assert not entry.complete({})
    assert not entry.fail("error", Failure("late", "error"))
    assert entry.result() == {"error": "gone", "kind": "cancelled", "request_id": "a"}


def streamed(name: str) -> Entry:
    entry = Entry(name, Outgoing("http://s", None, "/api/chat", "m", b"{}", is_streamed=True))
    assert entry.begin()
    return entry


def test_unread_pieces_are_bounded_in_number_and_bytes() -> None:
    many, large = streamed("a"), streamed("b")

    assert [many.add_piece({}) for _ in range(10_001)][-2:] == [True, False]
    megabytes = {"x": "x" * 25_000_000}
    assert [large.add_piece(megabytes) for _ in range(3)] == [True, True, False]


def test_pieces_are_lost_and_not_the_answer_when_too_many_wait_beside_one_who_wants_the_whole() -> None:
    entry = streamed("a")
    assert not entry.wait(0)

    assert all(entry.add_piece({"n": n}) for n in range(10_002))
    with pytest.raises(PiecesLostError):
        entry.next_piece(0)
    assert entry.complete({})


def test_unread_pieces_count_as_memory_of_the_results() -> None:
    shelf = Shelf(ShelfLimits(max_bytes=250))
    for name in ("a", "b", "c"):
        entry = streamed(name)
        assert entry.add_piece({"x": "x" * 90})
        assert entry.complete({"x": ""})
        shelf.put(entry, 0.0)
    assert kept(shelf, "a", "b", "c") == ["b", "c"]

    read = shelf.get("b")
    assert read is not None
    assert read.next_piece(0) == {"x": "x" * 90}
    for name in ("d", "e"):  # what was read since is counted until it is dropped, and then taken off
        shelf.put(ended(name, size_bytes=90), 0.0)
    assert kept(shelf, "b", "c", "d", "e") == ["d", "e"]


def test_ended_request_keeps_no_body() -> None:
    entry = ended("a")
    entry.drop_body()

    assert (entry.request.content, entry.body_bytes) == (b"", 2)


def test_two_spellings_of_a_model_share_its_slots() -> None:
    assert REQUEST.model_key == "llama3:latest"
