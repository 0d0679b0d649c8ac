from __future__ import annotations

import pytest

from namel3ss.errors import UsageError
from namel3ss.sandbox import SandboxOptions


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_loopback_hosts_are_accepted(host: str) -> None:
    assert SandboxOptions(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.com", "", "::"])
def test_a_host_that_others_could_reach_is_refused_unless_asked_for(host: str) -> None:
    with pytest.raises(UsageError, match="reachable from other machines") as caught:
        SandboxOptions(host=host)
    assert "SandboxOptions(allow_remote=True)" in str(caught.value.suggestion)
    assert SandboxOptions(host=host, allow_remote=True).host == host


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("port", -1, "between 0 and 65535"),
        ("port", 65536, "between 0 and 65535"),
        ("tokens_per_second", 0, "positive"),
        ("tokens_per_second", -3.5, "positive"),
        ("tokens_per_second", float("nan"), "positive"),
        ("load_delay", -1, "load_delay"),
        ("load_delay", float("inf"), "load_delay"),
        ("pull_seconds", -0.1, "pull_seconds"),
        ("context", 3, "at least 4"),
        ("ollama_version", "0.1.0", "0.24.0 and 0.33.0-rc2"),
        ("installed", ("a b",), "'a b' is not a model name"),
        ("unknown_models", ("a:",), "'a:' is not a model name"),
        ("installed", (5,), "5 is not a model name"),
        ("installed", "ab", "installed must be a tuple of names, not 'ab'"),
        ("unknown_models", None, "unknown_models must be a tuple of names"),
        ("port", "80", "port must be a number, not '80'"),
        ("context", 4096.5, "context must be a number"),
        ("load_delay", True, "load_delay must be a number"),
        ("tokens_per_second", "fast", "tokens_per_second must be a number"),
    ],
)
def test_a_wrong_option_is_refused_with_its_value(field: str, value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SandboxOptions(**{field: value})  # type: ignore[arg-type]  # wrong on purpose
