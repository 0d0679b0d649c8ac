"""What is learnt of silences: how long a slot drains, and when a silence is too long."""

from __future__ import annotations

from namel3ss.gateway.backends.first_tokens import FirstTokenTimes, Silence

WARM = Silence("m", cold=False, whole=False)
COLD = Silence("m", cold=True, whole=False)
WHOLE = Silence("m", cold=False, whole=True)


def test_drain_is_the_rest_of_the_usual_time_and_at_most_ten_seconds() -> None:
    times = FirstTokenTimes()
    for seconds in (2.0, 4.0, 30.0):
        times.learn(WARM, seconds, 10)
    times.learn(COLD, 60.0, 10)

    assert times.drain_s(WARM, 1.0, 10) == 3.0
    assert times.drain_s(WARM, 9.0, 10) == 0.0
    assert times.drain_s(COLD, 1.0, 10) == 10.0


def test_longer_prompts_are_given_longer_in_proportion_and_shorter_ones_no_less() -> None:
    times = FirstTokenTimes()
    times.learn(WARM, 2.0, 100)

    assert times.usual_s(WARM, 300) == 6.0
    assert times.usual_s(WARM, 10) == 2.0


def test_longest_is_that_of_the_slowest_lately() -> None:
    times = FirstTokenTimes()
    for seconds in (9.0, 1.0, 1.0):
        times.learn(WARM, seconds, 10)
    assert times.longest_s(WARM, 10) == 9.0

    for _ in range(32):
        times.learn(WARM, 1.0, 10)
    assert times.longest_s(WARM, 10) == 1.0


def test_before_anything_is_learnt_a_load_may_take_minutes_and_a_loaded_model_seconds() -> None:
    times = FirstTokenTimes()

    assert (times.longest_s(WARM, 10), times.longest_s(COLD, 10)) == (2.0, 300.0)


def test_silence_of_an_answer_that_comes_whole_says_little() -> None:
    times = FirstTokenTimes()
    times.learn(WHOLE, 3.0, 10)

    assert times.usual_s(WHOLE, 10) == 3.0
    assert times.longest_s(WHOLE, 10) == 600.0


def test_other_model_under_the_same_name_is_learnt_anew() -> None:
    times = FirstTokenTimes()
    times.learn(WARM, 9.0, 10)
    times.learn(COLD, 9.0, 10)

    times.forget("m")

    assert (times.usual_s(WARM, 10), times.usual_s(COLD, 10)) == (2.0, 300.0)


def test_models_that_never_come_again_are_forgotten() -> None:
    times = FirstTokenTimes()
    times.learn(WARM, 9.0, 10)
    for number in range(300):
        times.learn(WARM._replace(model=str(number)), 1.0, 10)

    assert times.usual_s(WARM, 10) == 2.0
