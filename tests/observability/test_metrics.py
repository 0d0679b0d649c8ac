from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import Any

import pytest

from namel3ss.observability.metrics import (
    emit_metric,
    has_metric_listeners,
    record_metric,
    register_metric_listener,
    unregister_metric_listener,
)


class Recorder:
    """A listener that keeps what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, float], dict[str, str]]] = []

    def __call__(self, name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        self.calls.append((name, values, labels))


@pytest.fixture
def recorder():
    listener = Recorder()
    register_metric_listener(listener)
    yield listener
    unregister_metric_listener(listener)


def test_listener_gets_name_values_and_labels_positionally(recorder: Recorder) -> None:
    record_metric("ollama.tokens.total", 7, {"model": "tiny", "attempt": 2})

    assert recorder.calls == [("ollama.tokens.total", {"value": 7.0}, {"model": "tiny", "attempt": "2"})]


def test_emit_metric_carries_several_values(recorder: Recorder) -> None:
    emit_metric("ollama.stream.tokens", {"value": 3, "prompt": 1})

    assert recorder.calls == [("ollama.stream.tokens", {"value": 3.0, "prompt": 1.0}, {})]


def test_failing_listener_is_logged_and_the_others_still_hear(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        raise ZeroDivisionError("listener")

    register_metric_listener(broken)
    late = Recorder()
    register_metric_listener(late)
    try:
        with caplog.at_level(logging.ERROR, logger="namel3ss.observability.metrics"):
            record_metric("ollama.request.duration", 0.5)
    finally:
        unregister_metric_listener(broken)
        unregister_metric_listener(late)

    assert len(recorder.calls) == len(late.calls) == 1
    assert "broken" in caplog.text
    assert "ollama.request.duration" in caplog.text


@pytest.mark.parametrize("wrong", [None, 5, "print"])
def test_what_cannot_be_called_is_no_listener(wrong: Any) -> None:
    with pytest.raises(TypeError, match="metric listener must be a function"):
        register_metric_listener(wrong)


def test_a_listener_registered_twice_hears_once(recorder: Recorder) -> None:
    register_metric_listener(recorder)

    record_metric("ollama.models.count", 3)

    assert len(recorder.calls) == 1


def test_a_method_is_the_same_listener_each_time_it_is_named(recorder: Recorder) -> None:
    class Owner:
        def hear(self, name: str, values: dict[str, float], labels: dict[str, str]) -> None:
            recorder(f"method {name}", values, labels)

    owner = Owner()
    register_metric_listener(owner.hear)
    register_metric_listener(owner.hear)
    record_metric("a", 1)
    unregister_metric_listener(owner.hear)
    record_metric("b", 1)

    assert [name for name, _, _ in recorder.calls] == ["a", "method a", "b"]


def test_listeners_may_come_and_go_while_many_threads_record(recorder: Recorder) -> None:
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            other = Recorder()
            register_metric_listener(other)
            unregister_metric_listener(other)

    def record_many() -> None:
        for _ in range(500):
            record_metric("n", 1)

    churning = threading.Thread(target=churn)
    churning.start()
    recording = [threading.Thread(target=record_many) for _ in range(4)]
    for thread in recording:
        thread.start()
    for thread in recording:
        thread.join()
    stop.set()
    churning.join()

    assert len(recorder.calls) == 2000


def test_without_listeners_nothing_is_prepared() -> None:
    class Untouchable(dict[str, object]):
        def items(self):
            raise AssertionError("labels were read although nobody listens")

    assert not has_metric_listeners()

    record_metric("n", 1.0, Untouchable(a="b"))


def test_no_record_is_lost_while_listeners_come_and_go_in_many_threads(recorder: Recorder) -> None:
    """Eight threads record 1,000 times each with labels of their own; each listener dict is its own."""
    stop = threading.Event()
    ready = threading.Barrier(10)

    def churn() -> None:
        ready.wait()
        while not stop.is_set():
            other = register_metric_listener(Recorder())
            unregister_metric_listener(other)

    def record_many(number: int) -> None:
        ready.wait()
        for turn in range(1_000):
            record_metric("n", turn, {"thread": number})

    churning = [threading.Thread(target=churn) for _ in range(2)]
    recording = [threading.Thread(target=record_many, args=(number,)) for number in range(8)]
    for thread in [*churning, *recording]:
        thread.start()
    for thread in recording:
        thread.join()
    stop.set()
    for thread in churning:
        thread.join()

    expected = {(str(number), float(turn)) for number in range(8) for turn in range(1_000)}
    assert {(labels["thread"], values["value"]) for _, values, labels in recorder.calls} == expected
    assert len(recorder.calls) == 8_000


def test_a_slow_listener_holds_up_its_own_thread_and_no_other(recorder: Recorder) -> None:
    is_inside, may_leave = threading.Event(), threading.Event()

    @register_metric_listener
    def slow(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        if name == "slow":
            is_inside.set()
            may_leave.wait(5)

    waiting = threading.Thread(target=record_metric, args=("slow", 1))
    waiting.start()
    assert is_inside.wait(5)
    # The slow call is under way: other threads record, register and remove meanwhile.
    for _ in range(100):
        record_metric("fast", 1)
    other = register_metric_listener(Recorder())
    unregister_metric_listener(other)
    unregister_metric_listener(slow)
    heard_meanwhile = len(recorder.calls)
    may_leave.set()
    waiting.join()

    assert heard_meanwhile == 101
    assert not waiting.is_alive()


def test_a_listener_may_record_register_and_remove_from_within(recorder: Recorder) -> None:
    late = Recorder()

    @register_metric_listener
    def busy(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        if name == "outer":
            unregister_metric_listener(busy)
            register_metric_listener(late)
            record_metric("inner", 2)

    record_metric("outer", 1)
    record_metric("after", 3)
    unregister_metric_listener(late)

    assert [name for name, _, _ in recorder.calls] == ["outer", "inner", "after"]
    assert [name for name, _, _ in late.calls] == ["inner", "after"]


def test_what_a_listener_does_to_its_dicts_is_seen_by_no_other(recorder: Recorder) -> None:
    unregister_metric_listener(recorder)

    @register_metric_listener
    def spoils(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        values.clear()
        labels["model"] = "spoiled"

    register_metric_listener(recorder)
    given_labels = {"model": "tiny"}
    emit_metric("n", {"value": 1}, given_labels)
    unregister_metric_listener(spoils)

    assert recorder.calls == [("n", {"value": 1.0}, {"model": "tiny"})]
    assert given_labels == {"model": "tiny"}


def test_a_listener_that_exits_the_program_is_not_held_back() -> None:
    @register_metric_listener
    def leaves(name: str, values: dict[str, float], labels: dict[str, str]) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        record_metric("n", 1)
    unregister_metric_listener(leaves)


def test_importing_the_metrics_loads_no_opentelemetry_and_no_other_module_of_ours() -> None:
    code = "import sys; import namel3ss.observability.metrics; print(*sorted(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = done.stdout.split()
    assert not [name for name in loaded if name.startswith("opentelemetry")]
    assert [name for name in loaded if name.startswith("namel3ss")] == [
        "namel3ss",
        "namel3ss._version",
        "namel3ss.observability",
        "namel3ss.observability.metrics",
    ]
