"""How long requests take, and their chunks: a clock that is moved by hand, and the reads of a real stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.observability.receivers import Clock, MemorySdk, Timings, attributes, chat, finished_chat, total

if TYPE_CHECKING:
    from namel3ss.observability.requests import RequestObservation
    from namel3ss.observability.telemetry import Telemetry

DURATION = "gen_ai.client.operation.duration"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
CHUNK_GAP = "gen_ai.client.operation.time_per_output_chunk"
FIRST_TOKEN = "namel3ss.ollama.time_to_first_token"


def five_seconds_of_reads(
    clock: Clock, telemetry: Telemetry, *, consumer_s: float = 0.0
) -> RequestObservation:
    """An answer in 50 chunks, one every 0.1 s by the server's clock; the consumer keeps each for `consumer_s`."""
    observation = chat(telemetry, clock)
    began = clock.now
    arrived = 0
    while arrived < 50:
        observation.reading()
        there = min(int((clock.now - began) / 0.1 + 1e-9), 50) - arrived
        if there <= 0:
            clock.advance(began + (arrived + 1) * 0.1 - clock.now)
            there = 1
        observation.received(there)
        arrived += there
        if arrived < 50:
            clock.advance(there * consumer_s)
    return observation


@pytest.mark.parametrize("consumer_s", [0.0, 0.05, 0.09])
def test_a_five_second_stream_lasts_five_seconds_for_a_slow_consumer_too(
    sdk: MemorySdk, consumer_s: float
) -> None:
    clock = Clock()

    observation = five_seconds_of_reads(clock, sdk.telemetry, consumer_s=consumer_s)
    observation.finish()

    assert total(sdk.metrics()[DURATION]) == pytest.approx(5.0)
    assert total(sdk.metrics()["namel3ss.ollama.consumer.duration"]) == pytest.approx(49 * consumer_s)


def test_a_consumer_slower_than_the_server_adds_nothing_when_the_server_says_how_long_it_took(
    sdk: MemorySdk,
) -> None:
    clock = Clock()

    observation = five_seconds_of_reads(clock, sdk.telemetry, consumer_s=0.4)
    observation.finish(timings=Timings(total_s=5.0))

    assert clock.now - 100.0 > 8.0
    assert total(sdk.metrics()[DURATION]) == pytest.approx(5.0)


def test_an_answer_that_lay_there_came_no_earlier_than_the_read_before_it_took_all_there_was(
    sdk: MemorySdk,
) -> None:
    clock = Clock()

    observation = five_seconds_of_reads(clock, sdk.telemetry, consumer_s=0.4)
    last_but_one = clock.now
    clock.advance(2.0)
    observation.reading()
    observation.received(1)
    observation.finish()

    assert total(sdk.metrics()[DURATION]) == pytest.approx(last_but_one - 100.0)


def test_time_the_consumer_spends_after_the_last_read_is_its_own(sdk: MemorySdk) -> None:
    clock = Clock()
    observation = five_seconds_of_reads(clock, sdk.telemetry)

    clock.advance(3.0)
    observation.finish()

    assert total(sdk.metrics()[DURATION]) == pytest.approx(5.0)
    assert total(sdk.metrics()["namel3ss.ollama.consumer.duration"]) == pytest.approx(3.0)


def test_a_server_total_longer_than_the_whole_wait_is_not_believed(sdk: MemorySdk) -> None:
    clock = Clock()

    observation = five_seconds_of_reads(clock, sdk.telemetry)
    observation.finish(timings=Timings(total_s=60.0))

    assert total(sdk.metrics()[DURATION]) == pytest.approx(5.0)


def test_a_stream_cancelled_after_five_seconds_lasts_five_seconds(sdk: MemorySdk) -> None:
    clock = Clock()
    observation = chat(sdk.telemetry, clock)
    observation.reading()
    clock.advance(1.0)
    observation.received(1)
    clock.advance(4.0)

    observation.cancel()

    (point,) = attributes(sdk.metrics()[DURATION])
    assert total(sdk.metrics()[DURATION]) == pytest.approx(5.0)
    assert point["error.type"] == "cancelled"


def test_a_stream_that_fails_while_it_is_waited_for_lasts_until_then(sdk: MemorySdk) -> None:
    clock = Clock()
    observation = chat(sdk.telemetry, clock)
    observation.reading()
    clock.advance(1.0)
    observation.received(1)
    clock.advance(0.5)
    observation.reading()
    clock.advance(3.5)

    observation.fail("idle_timeout")

    assert total(sdk.metrics()[DURATION]) == pytest.approx(5.0)


def test_a_failure_found_after_a_long_pause_of_the_consumer_is_not_blamed_for_it(sdk: MemorySdk) -> None:
    clock = Clock()
    observation = chat(sdk.telemetry, clock)
    observation.reading()
    clock.advance(5.0)
    observation.received(1)
    clock.advance(600.0)
    observation.reading()

    observation.fail("stream_reset")

    assert total(sdk.metrics()[DURATION]) == pytest.approx(5.0)


def test_a_request_without_a_stream_lasts_until_its_end(sdk: MemorySdk) -> None:
    clock = Clock()
    observation = chat(sdk.telemetry, clock, stream=False)

    clock.advance(5.0)
    observation.finish()

    assert total(sdk.metrics()[DURATION]) == pytest.approx(5.0)


def test_the_span_lasts_exactly_as_long_as_the_duration_says(sdk: MemorySdk) -> None:
    clock = Clock()

    five_seconds_of_reads(clock, sdk.telemetry, consumer_s=0.05).finish()

    (span,) = sdk.spans()
    assert span.end_time is not None
    assert span.start_time is not None
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(5.0)


# -- first chunk, first token, gaps ---------------------------------------------------------------------------


def test_first_chunk_and_first_token_are_two_times(sdk: MemorySdk) -> None:
    clock = Clock()
    observation = chat(sdk.telemetry, clock)
    observation.reading()
    clock.advance(1.0)
    observation.received(1)  # an empty object, as Ollama may send first
    observation.reading()
    clock.advance(2.0)
    observation.received(1)
    clock.advance(0.5)  # the consumer
    observation.first_token()
    observation.first_token()
    observation.finish()

    assert total(sdk.metrics()[FIRST_CHUNK]) == pytest.approx(1.0)
    assert total(sdk.metrics()[FIRST_TOKEN]) == pytest.approx(3.0)
    (span,) = sdk.spans()
    assert dict(span.attributes or {})["gen_ai.response.time_to_first_chunk"] == pytest.approx(1.0)


def test_the_gap_is_the_mean_time_from_one_chunk_to_the_next(sdk: MemorySdk) -> None:
    five_seconds_of_reads(Clock(), sdk.telemetry).finish()

    (point,) = sdk.metrics()[CHUNK_GAP].data.data_points
    assert total(sdk.metrics()[CHUNK_GAP]) == pytest.approx(4.9 / 49)
    assert getattr(point, "count", None) == 1


def test_times_of_chunks_are_recorded_for_streams_alone(sdk: MemorySdk) -> None:
    finished_chat(sdk.telemetry, stream=False)

    assert not {FIRST_CHUNK, CHUNK_GAP} & set(sdk.metrics())
    assert FIRST_TOKEN in sdk.metrics()
    assert "ollama.stream.chunks" not in sdk.metrics()


def test_a_single_chunk_has_no_gap(sdk: MemorySdk) -> None:
    observation = chat(sdk.telemetry)
    observation.received(1)
    observation.finish()

    assert FIRST_CHUNK in sdk.metrics()
    assert CHUNK_GAP not in sdk.metrics()
