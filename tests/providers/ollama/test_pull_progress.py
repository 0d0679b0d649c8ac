"""The arithmetic of a pull: what lines become, and when it counts as stalled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.providers.local.ollama._pull_progress import PullProgress, PullTracker

MODEL, CONFIG = "sha256:aaaaaaaaaaaa", "sha256:bbbbbbbbbbbb"


def tracker() -> PullTracker:
    return PullTracker("tiny", stall_limit_s=120, now=0.0)


def layer(
    this: PullTracker, digest: str, completed: int | None, total: int = 1000, now: float = 0.0
) -> PullProgress | None:
    return this.feed(f"pulling {digest[7:19]}", digest, total, completed, now)


def test_a_pull_goes_through_its_phases():
    this = tracker()
    phases = []
    for status, digest, total, completed in (
        ("pulling manifest", None, None, None),
        ("pulling aaaaaaaaaaaa", MODEL, 1000, 400),
        ("verifying sha256 digest", None, None, None),
        ("writing manifest", None, None, None),
        ("removing unused layers", None, None, None),
        ("couldn't remove unused layers: busy", None, None, None),
        ("a word of a later version", None, None, None),
        ("success", None, None, None),
    ):
        progress = this.feed(status, digest, total, completed, 0.0)
        assert progress is not None
        phases.append(progress.phase)

    assert phases == ["manifest", "download", "verify", "write", "write", "write", "write", "success"]


def test_bytes_and_fraction_cover_all_layers():
    this = tracker()

    layer(this, MODEL, 1000)
    progress = layer(this, CONFIG, 50, total=1000)

    assert progress is not None
    assert (progress.completed_bytes, progress.total_bytes) == (1050, 2000)
    assert [(known.digest, known.completed_bytes) for known in progress.layers] == [
        (MODEL, 1000),
        (CONFIG, 50),
    ]


def test_a_line_that_repeats_the_one_before_is_no_news():
    this = tracker()

    assert layer(this, MODEL, 400) is not None
    assert layer(this, MODEL, 400) is None


def test_a_first_line_of_a_layer_may_lack_its_count():
    progress = layer(tracker(), MODEL, None)

    assert progress is not None
    assert (progress.completed_bytes, progress.total_bytes, progress.fraction) == (0, 1000, 0.0)


def test_progress_never_steps_back_where_the_server_does():
    this = tracker()
    layer(this, MODEL, 700)

    progress = layer(this, MODEL, 300)

    assert progress is not None
    assert (progress.completed_bytes, progress.fraction) == (700, 0.7)


def test_a_layer_that_appears_late_does_not_lower_the_fraction():
    this = tracker()
    layer(this, MODEL, 1000)

    progress = layer(this, CONFIG, 0, total=1000)

    assert progress is not None
    assert (progress.total_bytes, progress.fraction) == (2000, 1.0)


def test_totals_without_layers_are_followed_too():
    progress = tracker().feed("pulling model", None, 1000, 250, 0.0)

    assert progress is not None
    assert (progress.phase, progress.fraction) == ("download", 0.25)


def test_speed_and_time_left_come_from_the_last_seconds():
    this = tracker()
    for second in range(31):
        # Slow for twenty seconds, then fast.
        completed = second * 1 if second <= 20 else 20 + (second - 20) * 50
        progress = layer(this, MODEL, completed, now=float(second))

    assert progress is not None
    assert progress.bytes_per_s == pytest.approx(50)
    assert progress.eta_s == pytest.approx((1000 - 520) / 50)


def test_bytes_that_were_there_before_do_not_count_as_speed():
    this = tracker()
    layer(this, MODEL, 900, now=0.0)

    progress = layer(this, MODEL, 910, now=1.0)

    assert progress is not None
    assert progress.bytes_per_s == pytest.approx(10)


def test_a_pull_that_moves_nothing_slows_down():
    this = tracker()
    layer(this, MODEL, 0, now=0.0)
    layer(this, MODEL, 100, now=1.0)
    layer(this, MODEL, 100, now=5.0)

    progress = this.progress("pulling")

    assert progress.bytes_per_s == pytest.approx(20)


def test_a_new_attempt_keeps_what_was_reached():
    this = tracker()
    layer(this, MODEL, 700)

    this.begin(10.0)
    progress = layer(this, MODEL, 650, now=11.0)

    assert progress is not None
    assert (progress.completed_bytes, progress.bytes_per_s) == (700, None)


def test_the_manifest_stalls_when_no_new_line_comes():
    this = tracker()
    this.feed("pulling manifest", None, None, None, 50.0)
    this.feed("pulling manifest", None, None, None, 100.0)

    assert this.stall_at == 170.0


def test_a_layer_stalls_when_its_count_does_not_move():
    this = tracker()
    layer(this, MODEL, 400, now=30.0)
    layer(this, MODEL, 400, now=90.0)

    assert this.stall_at == 150.0


def test_any_movement_of_a_layer_postpones_the_stall():
    this = tracker()
    layer(this, MODEL, 400, now=30.0)
    layer(this, MODEL, 300, now=90.0)

    assert this.stall_at == 210.0


@pytest.mark.parametrize("status", ["verifying sha256 digest", "writing manifest", "removing unused layers"])
def test_verifying_and_writing_are_not_limited(status):
    this = tracker()
    layer(this, MODEL, 400)
    this.feed(status, None, None, None, 1.0)

    assert this.stall_at is None


def test_nothing_stalls_while_every_known_layer_is_complete():
    this = tracker()
    layer(this, MODEL, 1000)

    assert this.stall_at is None


def test_a_layer_of_an_earlier_attempt_does_not_stall_the_new_one():
    this = tracker()
    layer(this, MODEL, 400, now=0.0)

    this.begin(500.0)

    assert this.stall_at == 620.0


lines = st.tuples(
    st.sampled_from(["pulling manifest", "pulling x", "verifying", "writing manifest", "odd", ""]),
    st.sampled_from([None, MODEL, CONFIG, "odd"]),
    st.none() | st.integers(0, 2000),
    st.none() | st.integers(0, 2000),
    st.floats(0, 40),
)


@given(st.lists(lines | st.none(), max_size=40))
def test_no_sequence_of_lines_makes_progress_step_back(sequence):
    this, now, bytes_before, fraction_before = tracker(), 0.0, 0, 0.0
    for line in sequence:
        if line is None:
            this.begin(now)
            continue
        status, digest, total, completed, pause = line
        now += pause
        progress = this.feed(status, digest, total, completed, now)
        if progress is None:
            continue
        assert progress.completed_bytes >= bytes_before
        assert progress.completed_bytes <= progress.total_bytes
        assert 0.0 <= fraction_before <= (progress.fraction or 0.0) <= 1.0
        assert progress.bytes_per_s is None or progress.bytes_per_s >= 0
        assert progress.eta_s is None or progress.eta_s >= 0
        bytes_before, fraction_before = progress.completed_bytes, progress.fraction or 0.0
