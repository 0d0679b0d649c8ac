"""Names that one runner answers for count as one model, as long as some server has them all."""

from __future__ import annotations

from namel3ss.gateway.backends.grouping import group_models
from namel3ss.providers.local.ollama import model_key


class Holds:
    """A server that has these models, each with the runner that answers for it."""

    def __init__(self, **runners: str) -> None:
        self._runners = {model_key(name): runner for name, runner in runners.items()}

    def offers(self, name: str) -> bool:
        return model_key(name) in self._runners

    def runner_of(self, name: str) -> str | None:
        return self._runners.get(model_key(name))


def keys(names: list[str], *holders: Holds) -> dict[str, str]:
    found = group_models(names, holders)
    return {name: found[model_key(name)] for name in names}


def test_each_model_counts_for_itself_while_nothing_is_known() -> None:
    assert keys(["a", "b"]) == {"a": "a", "b": "b"}


def test_two_names_of_one_file_have_the_key_of_the_first() -> None:
    assert keys(["a", "b", "c"], Holds(a="x", b="x", c="y")) == {"a": "a", "b": "a", "c": "c"}


def test_spellings_of_one_name_have_one_key() -> None:
    assert set(keys(["Llama3", "llama3:latest"]).values()) == {"Llama3"}


def test_key_stays_when_the_model_behind_a_name_is_another() -> None:
    assert keys(["a"], Holds(a="old")) == keys(["a"], Holds(a="new"))


def test_names_stay_apart_that_no_server_has_together_with_all_their_kin() -> None:
    """One server has `a` and `b`, the other `b` and `c`: one key for all three could be sent nowhere."""
    found = keys(["a", "b", "c"], Holds(a="x", b="x"), Holds(b="x", c="x"))

    assert found == {"a": "a", "b": "a", "c": "c"}


def test_kin_of_kin_belong_together_where_a_server_has_them_all() -> None:
    found = keys(["a", "b", "c"], Holds(a="x", b="x", c="z"), Holds(a="y", b="v", c="y"))

    assert found == {"a": "a", "b": "a", "c": "a"}
