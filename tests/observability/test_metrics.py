from __future__ import annotations

import logging
import threading

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


def test_a_listener_registered_twice_hears_once(recorder: Recorder) -> None:
    register_metric_listener(recorder)

    record_metric("ollama.models.count", 3)

    assert len(recorder.calls) == 1


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
