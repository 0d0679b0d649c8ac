from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from namel3ss.cli.formats import format_age, format_bytes, format_duration, parse_timestamp

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (123_456, "123 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (4_661_229_568, "4.7 GB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_bytes_have_two_or_three_digits_and_a_unit(count: int, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (69, "1:09"), (3909, "1:05:09"), (-5, "0:00")])
def test_durations_are_clocks(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (timedelta(), "now"),
        (timedelta(seconds=1), "1 second ago"),
        (timedelta(minutes=90), "1 hour ago"),
        (timedelta(days=20), "2 weeks ago"),
        (timedelta(days=800), "2 years ago"),
        (timedelta(minutes=-4), "in 4 minutes"),
    ],
)
def test_ages_name_the_largest_unit(distance: timedelta, text: str) -> None:
    assert format_age(NOW - distance, NOW) == text


def test_timestamps_of_a_server_are_read_with_their_nanoseconds() -> None:
    expected = datetime(2026, 11, 21, 8, 30, 4, 804136, tzinfo=UTC)

    assert parse_timestamp("2026-11-21T08:30:04.804136789Z") == expected
    assert parse_timestamp("2026-11-21T10:30:04.804136+02:00") == expected


@pytest.mark.parametrize("text", [None, 5, "", "yesterday", "0001-13-01T00:00:00Z"])
def test_what_is_no_timestamp_is_none(text: object) -> None:
    assert parse_timestamp(text) is None
