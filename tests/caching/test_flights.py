"""One answer on its way, and everybody who reads it: threads and coroutines."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from namel3ss.caching import AsyncSeat, Flight, NotReadError, Seat


def seat_of(flight: Flight) -> Seat:
    seat = flight.seat()
    assert seat is not None
    return seat


def test_each_reader_gets_every_piece_from_the_beginning_at_its_own_pace() -> None:
    flight = Flight(1000)
    early = seat_of(flight)
    flight.add(b"a")
    late = seat_of(flight)
    flight.add(b"b")

    assert early.next_piece() == late.next_piece() == b"a"
    flight.complete()

    assert list(early) == list(late) == [b"b"]
    assert early.next_piece() is None
    assert flight.whole == (b"a", b"b")


def test_waiting_readers_are_woken_by_pieces_and_by_the_end() -> None:
    flight = Flight(1000)
    seats = [seat_of(flight) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        reading = [threads.submit(list, seat) for seat in seats]
        for number in range(100):
            flight.add(b"%d" % number)
        flight.complete()
        read = [future.result(10) for future in reading]

    assert read == [[b"%d" % number for number in range(100)]] * 8


async def test_coroutines_read_what_another_thread_feeds() -> None:
    flight = Flight(1000)
    seats = [flight.async_seat() for _ in range(3)]

    async def read(seat: AsyncSeat | None) -> list[bytes]:
        assert seat is not None
        return [piece async for piece in seat]

    def feed() -> None:
        for number in range(50):
            flight.add(b"%d" % number)
        flight.complete()

    reading = [asyncio.create_task(read(seat)) for seat in seats]
    feeding = threading.Thread(target=feed)
    feeding.start()
    read_by_all = await asyncio.gather(*reading)
    feeding.join()

    assert read_by_all == [[b"%d" % number for number in range(50)]] * 3


def test_reader_in_a_loop_that_is_gone_disturbs_nobody() -> None:
    flight = Flight(1000)

    async def sit() -> AsyncSeat | None:
        return flight.async_seat()

    assert asyncio.run(sit()) is not None
    other = seat_of(flight)
    flight.add(b"a")
    flight.complete()

    assert list(other) == [b"a"]


def test_failure_comes_after_the_pieces_that_were_there() -> None:
    flight = Flight(1000)
    seat = seat_of(flight)
    flight.add(b"a")
    flight.fail(KeyError("broken"))

    assert seat.next_piece() == b"a"
    with pytest.raises(KeyError, match="broken"):
        seat.next_piece()
    assert flight.whole is None
    assert flight.seat() is None
    assert not flight.add(b"b")


def test_one_who_leaves_ends_nothing_and_the_last_one_abandons_it_once() -> None:
    told: list[str] = []
    flight = Flight(1000, lambda _: told.append("ended"))
    flight.when_abandoned(lambda: told.append("abandoned"))
    first, second = seat_of(flight), seat_of(flight)

    first.leave()
    first.leave()
    assert flight.add(b"a")
    assert second.next_piece() == b"a"
    assert told == []

    second.leave()
    second.leave()
    assert told == ["ended", "abandoned"]
    assert not flight.add(b"b")
    flight.complete()
    assert flight.whole is None
    assert flight.seat() is None


def test_who_asks_to_be_told_too_late_is_told_at_once() -> None:
    told: list[str] = []
    flight = Flight(1000)
    seat_of(flight).leave()

    flight.when_abandoned(lambda: told.append("abandoned"))

    assert told == ["abandoned"]


def test_who_has_left_reads_nothing_more_of_an_abandoned_answer() -> None:
    flight = Flight(1000)
    seat = seat_of(flight)
    flight.add(b"a")

    seat.leave()

    assert seat.next_piece() is None


def test_leaving_a_whole_answer_abandons_nothing() -> None:
    told: list[str] = []
    flight = Flight(1000)
    flight.when_abandoned(lambda: told.append("abandoned"))
    seat = seat_of(flight)
    flight.complete()
    seat.leave()

    assert told == []


def test_leaving_wakes_the_thread_that_waits() -> None:
    flight = Flight(1000)
    seat = seat_of(flight)
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(seat.next_piece)
        seat.leave()
        assert reading.result(10) is None


def test_wait_for_a_piece_is_bounded() -> None:
    with pytest.raises(TimeoutError):
        seat_of(Flight(1000)).next_piece(timeout_s=0.001)


def test_answer_beyond_the_limit_goes_on_for_those_who_read_it_but_nobody_joins() -> None:
    flight = Flight(10)
    seat = seat_of(flight)
    for number in range(10):
        flight.add(b"12345")
        assert seat.next_piece() == b"12345", number
    flight.complete()

    assert seat.next_piece() is None
    assert flight.whole is None
    assert flight.seat() is None


def test_reader_who_falls_behind_beyond_the_limit_loses_their_seat_and_the_others_do_not() -> None:
    flight = Flight(10)
    slow, quick = seat_of(flight), seat_of(flight)
    for _ in range(5):
        flight.add(b"12345")
        assert quick.next_piece() == b"12345"
    flight.complete()

    with pytest.raises(NotReadError):
        slow.next_piece()
    assert quick.next_piece() is None


def test_of_many_who_leave_at_the_same_moment_exactly_one_abandons_it() -> None:
    for _ in range(50):
        told: list[str] = []
        flight = Flight(1000)
        flight.when_abandoned(lambda told=told: told.append("abandoned"))  # type: ignore[misc]  # bound now
        seats = [seat_of(flight) for _ in range(4)]
        start = threading.Barrier(4)

        def leave(seat: Seat, start: threading.Barrier = start) -> None:
            start.wait(10)
            seat.leave()

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(leave, seats))
        assert told == ["abandoned"]


def test_label_is_waited_for_no_longer_than_it_can_come() -> None:
    labelled, ended, silent = Flight(1000), Flight(1000), Flight(1000)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(flight.label_within, 30.0) for flight in (labelled, ended)]
        labelled.label = "request 1"
        ended.fail(KeyError("never sent"))
        assert [future.result(10) for future in waiting] == ["request 1", None]
    assert silent.label_within(0.001) is None
