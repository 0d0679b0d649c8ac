from __future__ import annotations

from tests.benchmarks.language.recovery import measure


def test_one_mistake_in_a_file_is_found_at_its_place_and_stays_one() -> None:
    figures, _ = measure()

    assert figures.on_the_line >= 0.95
    assert figures.few_errors >= 0.95
    assert figures.healthy_stay >= 0.99
