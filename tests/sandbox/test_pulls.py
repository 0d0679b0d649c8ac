"""Pulling made-up models from a made-up registry."""

from __future__ import annotations

import threading
from typing import Any

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.contract.wire_client import exchange
from tests.sandbox.client import ManualClock, ask, generate, lines


def _names(server: SandboxServer) -> list[str]:
    return [model["name"] for model in ask(server, "GET", "/api/tags")[1]["models"]]


def _completed(progress: list[dict[str, Any]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for line in progress:
        if "digest" in line:
            found.setdefault(line["digest"], []).append(line.get("completed", 0))
    return found


def test_any_valid_name_can_be_pulled_and_is_installed_afterwards() -> None:
    with SandboxServer(SandboxOptions(tiny=False, pull_seconds=0)) as server:
        for name in ("mistral", "hf.co/org/repo:Q4_K_M", "team/model:v1"):
            assert lines(server, "/api/pull", {"model": name})[-1] == {"status": "success"}
            assert "made-up" in generate(server, name, "hi")["response"]
        assert sorted(_names(server)) == ["hf.co/org/repo:Q4_K_M", "mistral:latest", "team/model:v1"]


def test_progress_tells_layers_of_a_real_size_and_only_grows() -> None:
    with SandboxServer(SandboxOptions(tiny=False, pull_seconds=0.3)) as server:
        progress = lines(server, "/api/pull", {"model": "llama3:8b"})
    assert [line["status"] for line in progress if "digest" not in line] == [
        "pulling manifest",
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    layers = _completed(progress)
    assert len(layers) >= 3
    for counts in layers.values():
        assert counts == sorted(counts)
    weights = next(iter(layers.values()))
    assert weights[-1] > 4_000_000_000
    assert len(set(weights)) > 2


def test_a_pull_takes_as_long_as_the_options_say() -> None:
    clock = ManualClock()
    with SandboxServer(SandboxOptions(tiny=False, pull_seconds=30), clock=clock) as server:
        lines(server, "/api/pull", {"model": "llama3:8b"})
    assert 29 < sum(clock.slept) < 32


def test_a_pull_goes_on_where_an_abandoned_one_stopped() -> None:
    with SandboxServer(SandboxOptions(tiny=False, pull_seconds=1)) as server:
        left = exchange(server.url, "POST", "/api/pull", body=b'{"model":"llama3:8b"}', leave_after_lines=4)
        assert not left.complete
        again = exchange(server.url, "POST", "/api/pull", body=b'{"model":"llama3:8b"}', leave_after_lines=2)
        assert b'"completed"' in left.lines[3].encode()
        assert _count(again.lines[1]) >= _count(left.lines[3]) > 0
        assert _names(server) == []


def _count(line: str) -> int:
    return int(line.rpartition(":")[2].rstrip("}"))


def test_pulls_of_one_model_share_the_download() -> None:
    results: list[list[dict[str, Any]]] = []
    with SandboxServer(SandboxOptions(tiny=False, pull_seconds=0.3)) as server:
        pull = lambda: results.append(lines(server, "/api/pull", {"model": "llama3:8b"}))  # noqa: E731
        threads = [threading.Thread(target=pull) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [progress[-1] for progress in results] == [{"status": "success"}] * 3


def test_what_is_there_already_is_not_pulled_again() -> None:
    with SandboxServer(SandboxOptions(installed=("llama3:8b",), pull_seconds=60)) as server:
        progress = lines(server, "/api/pull", {"model": "llama3:8b"})
    assert all(len(counts) == 1 for counts in _completed(progress).values())


def test_a_pull_without_stream_is_one_document() -> None:
    with SandboxServer(SandboxOptions(tiny=False, pull_seconds=0)) as server:
        assert ask(server, "POST", "/api/pull", {"model": "m", "stream": False}) == (
            200,
            {"status": "success"},
        )


def test_a_name_that_the_registry_does_not_know_fails_in_the_stream() -> None:
    with SandboxServer(SandboxOptions(unknown_models=("nope",), pull_seconds=0)) as server:
        assert lines(server, "/api/pull", {"model": "NOPE"}) == [
            {"status": "pulling manifest"},
            {"error": "pull model manifest: file does not exist"},
        ]


def test_a_cloud_model_is_pulled_by_its_tag() -> None:
    with SandboxServer(SandboxOptions(tiny=False, pull_seconds=0)) as server:
        lines(server, "/api/pull", {"model": "gpt-oss:120b-cloud"})
        assert _names(server) == ["gpt-oss:120b-cloud"]


def test_creating_from_a_model_that_is_not_there_pulls_it() -> None:
    with SandboxServer(SandboxOptions(tiny=False, pull_seconds=0)) as server:
        progress = lines(server, "/api/create", {"model": "mine", "from": "llama3:8b", "system": "Be kind."})
        assert progress[0] == {"status": "pulling manifest"}
        assert progress[-1] == {"status": "success"}
        assert sorted(_names(server)) == ["llama3:8b", "mine:latest"]
        assert ask(server, "POST", "/api/show", {"model": "mine"})[1]["system"] == "Be kind."
