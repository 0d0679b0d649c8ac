"""What is loaded, and for how long."""

from __future__ import annotations

import pytest

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.sandbox.client import ManualClock, ask, chat, generate


def _loaded(server: SandboxServer) -> dict[str, int]:
    """The loaded models and their windows."""
    _, answer = ask(server, "GET", "/api/ps")
    return {model["name"]: model["context_length"] for model in answer["models"]}


def test_a_model_is_loaded_by_its_first_request_and_forgotten_after_five_minutes() -> None:
    clock = ManualClock()
    with SandboxServer(clock=clock) as server:
        assert _loaded(server) == {}
        generate(server, "tiny", "hi")
        clock.forward(299)
        assert _loaded(server) == {"tiny:latest": 2048}
        generate(server, "tiny", "hi")
        clock.forward(299)
        assert _loaded(server) == {"tiny:latest": 2048}
        clock.forward(2)
        assert _loaded(server) == {}


@pytest.mark.parametrize(("keep_alive", "seconds"), [("10s", 10), (2.5, 2.5), ("1h", 3600)])
def test_keep_alive_says_how_long(keep_alive: object, seconds: float) -> None:
    clock = ManualClock()
    with SandboxServer(clock=clock) as server:
        generate(server, "tiny", "hi", keep_alive=keep_alive)
        clock.forward(seconds - 0.1)
        assert _loaded(server)
        clock.forward(0.2)
        assert not _loaded(server)


def test_a_negative_keep_alive_is_for_ever() -> None:
    clock = ManualClock()
    with SandboxServer(clock=clock) as server:
        generate(server, "tiny", "hi", keep_alive=-1)
        clock.forward(10 * 365 * 86400)
        assert _loaded(server)


def test_keep_alive_zero_unloads_after_the_answer_or_at_once_without_one(server: SandboxServer) -> None:
    generate(server, "tiny", "hi", keep_alive=0)
    assert _loaded(server) == {}
    generate(server, "tiny", "hi")
    assert (
        ask(server, "POST", "/api/generate", {"model": "tiny", "keep_alive": 0})[1]["done_reason"] == "unload"
    )
    assert _loaded(server) == {}


def test_another_window_loads_the_model_anew() -> None:
    clock = ManualClock()
    with SandboxServer(SandboxOptions(load_delay=3), clock=clock) as server:
        first = chat(server, "tiny", "hi")
        again = chat(server, "tiny", "hi")
        other = chat(server, "tiny", "hi", options={"num_ctx": 256})
        assert _loaded(server) == {"tiny:latest": 256}
    assert [each["load_duration"] >= 3e9 for each in (first, again, other)] == [True, False, True]
    assert clock.slept == [3, 3]


def test_the_window_is_the_default_the_wish_or_what_the_model_was_trained_for() -> None:
    with SandboxServer(SandboxOptions(installed=("llama3",), context=1024)) as server:
        generate(server, "llama3", "hi")
        generate(server, "tiny", "hi", options={"num_ctx": 512})
        generate(server, "tiny-short:64", "hi", options={"num_ctx": 1_000_000})
        assert _loaded(server) == {"llama3:latest": 1024, "tiny:latest": 512, "tiny-short:64": 64}


def test_a_fourth_model_takes_the_place_of_an_idle_one(server: SandboxServer) -> None:
    for model in ("tiny", "tiny-tools", "tiny-thinker", "llama3:8b"):
        generate(server, model, "hi")
    assert len(_loaded(server)) == 3
    assert "llama3:8b" in _loaded(server)


def test_names_of_one_file_share_a_runner(server: SandboxServer) -> None:
    assert ask(server, "POST", "/api/copy", {"source": "tiny", "destination": "mine"})[0] == 200
    generate(server, "tiny", "hi")
    generate(server, "mine", "hi")
    assert list(_loaded(server)) == ["tiny:latest"]
