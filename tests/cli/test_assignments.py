from __future__ import annotations

import pytest

from namel3ss.cli.assignments import read_assignment, read_assignments
from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama._config import OllamaConfig


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("temperature=0.2", ("temperature", 0.2)),
        ("temperature=1", ("temperature", 1)),
        ("num_ctx = 8192", ("num_ctx", 8192)),
        ("auto_pull_model=false", ("auto_pull_model", False)),
        ("think=high", ("think", "high")),
        ("think=true", ("think", True)),
        ("keep_alive=10m", ("keep_alive", "10m")),
        ("stop=a=b", ("stop", "a=b")),
        ("base_url=http://localhost:1/x", ("base_url", "http://localhost:1/x")),
        ("seed=null", ("seed", None)),
        ("auto_pull_model=null", ("auto_pull_model", None)),
    ],
)
def test_value_has_the_type_of_its_setting(text: str, expected: tuple[str, object]) -> None:
    assert read_assignment(text, OllamaConfig) == expected


def test_last_assignment_of_a_key_holds() -> None:
    assert read_assignments(["seed=1", "top_k=5", "seed=2"], OllamaConfig) == {"seed": 2, "top_k": 5}


def test_an_address_on_the_command_line_beats_the_list_of_servers_in_the_file() -> None:
    assert read_assignments(["base_url=http://localhost:1"], OllamaConfig) == {
        "base_url": "http://localhost:1",
        "hosts": None,
    }
    assert read_assignments(["base_url=null"], OllamaConfig) == {"base_url": None}


@pytest.mark.parametrize(
    ("text", "message", "suggestion"),
    [
        ("temperature", "is not a setting", "key=value"),
        ("=1", "is not a setting", "key=value"),
        ("temperatur=1", "temperatur", "temperature"),  # codespell:ignore temperatur
        ("temperature=9", "temperature must be a number from 0 to 2", None),
        ("sed=null", "sed", "seed"),
        ("num_ctx=many", "num_ctx must be a whole number", None),
    ],
)
def test_wrong_assignment_says_what_may_be_written(text: str, message: str, suggestion: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        read_assignment(text, OllamaConfig)

    assert message in caught.value.message
    assert (suggestion or "") in (caught.value.suggestion or "")


@pytest.mark.parametrize("text", ["api_key=sk-canary", "headers=canary"])
def test_secrets_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be set on the command line") as caught:
        read_assignment(text, OllamaConfig)

    assert "canary" not in str(caught.value)


def test_assignment_with_a_name_is_for_that_model_alone() -> None:
    texts = ["seed=1", "fast.top_k=5", "slow.top_k=50"]

    settings = read_assignments(texts, OllamaConfig, chosen="fast", declared=("fast", "slow"))

    assert settings == {"seed": 1, "top_k": 5}


def test_dot_in_a_value_is_not_a_name() -> None:
    settings = read_assignments(["stop=fast.x"], OllamaConfig, chosen="fast", declared=("fast", "stop=fast"))

    assert settings == {"stop": "fast.x"}
