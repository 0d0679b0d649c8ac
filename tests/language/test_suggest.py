from __future__ import annotations

import pytest

from namel3ss.language.suggest import closest, did_you_mean

KEYS = ["temperature", "top_k", "top_p", "num_ctx", "num_gpu", "keep_alive", "max_tokens"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("temprature", ["temperature"]), ("tmeperature", ["temperature"]), ("Temperature", ["temperature"]),
        ("topk", ["top_k"]), ("top-k", ["top_k"]), ("temp", ["temperature"]), ("nun_ctx", ["num_ctx"]),
        ("keepalive", ["keep_alive"]), ("provider", []), ("x", []), ("", []), ("y" * 10_000, []),
    ],
)  # fmt: skip
def test_closest_finds_what_was_meant(word: str, expected: list[str]) -> None:
    assert closest(word, KEYS) == expected


@pytest.mark.parametrize(("word", "expected"), [("c", []), ("A", ["a"]), ("ab", ["a"])])
def test_a_letter_is_not_like_another_letter(word: str, expected: list[str]) -> None:
    assert closest(word, ("a", "b")) == expected


def test_more_than_one_come_best_first_and_ties_in_their_order() -> None:
    assert closest("top_x", KEYS, 3) == ["top_k", "top_p"]


def test_the_sentence_names_the_best_or_there_is_none() -> None:
    assert did_you_mean("nun_ctx", KEYS) == "did you mean `num_ctx`?"
    assert did_you_mean("provider", KEYS) is None


def test_among_a_thousand_candidates_the_closest_is_found() -> None:
    names = [f"candidate_number_{number}" for number in range(1000)]

    assert closest("candidat_number_500", names) == ["candidate_number_500"]
