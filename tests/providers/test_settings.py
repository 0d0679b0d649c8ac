"""How settings describe themselves, how durations are read, and how problems are said for any provider."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama._config import OllamaConfig
from namel3ss.providers.setting_problems import (
    find_problems,
    merge_places,
    problems_of,
    read_text,
    same_value,
    validate_settings,
)
from namel3ss.providers.settings import Limit, ProviderConfig, Seconds, parse_duration, setting, setting_infos


class _Sample(ProviderConfig):
    ratio: float | None = setting(doc="A share.", ge=0, le=1)
    count: int = setting(3, doc="A count.", unit="things", ge=1)
    above: float = setting(1.0, doc="More than nothing.", gt=0, lt=9)
    capped: int = setting(0, doc="Not too many.", le=5)
    huge: int | None = setting(doc="Bounded by the machine alone.", ge=0, le=2**31 - 1)
    level: Literal["low", "high"] = setting("low", doc="How much.")
    flag: bool = setting(False, doc="On or off.", place="deployment_config")
    names: list[str] | None = setting(doc="Some names.")
    numbers: list[int] | None = setting(doc="Some numbers.")
    labels: dict[str, str] = setting({}, doc="Some labels.", holds=("inner",))
    anything: dict[str, Any] = setting({}, doc="Whatever.")
    either: bool | Literal["auto"] | None = setting(doc="One or the other.")
    wait: Seconds = setting(5.0, doc="A wait.", form="a duration")
    limit: Limit = setting(None, doc="A limit.", form="a duration, or none")
    key: SecretStr | None = setting(doc="A key.", secret=True)


class _Foreign(BaseModel):
    """A config model that knows nothing of ours."""

    size: int
    nested: dict[str, dict[str, int]] = {}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("ratio", "a number from 0 to 1"),
        ("count", "a whole number of at least 1"),
        ("above", "a number above 0 and below 9"),
        ("capped", "a whole number of at most 5"),
        ("huge", "a whole number of at least 0"),
        ("level", "one of low, high"),
        ("flag", "true or false"),
        ("names", "a list of texts"),
        ("numbers", "a list of whole numbers"),
        ("labels", "a map"),
        ("either", "true or false or one of auto"),
        ("wait", "a duration"),
        ("key", "text"),
    ],
)
def test_a_form_says_what_may_be_written(name: str, form: str):
    assert setting_infos(_Sample)[name].form == form


def test_a_foreign_model_is_described_as_far_as_it_tells():
    infos = setting_infos(_Foreign)

    assert (infos["size"].form, infos["size"].required, infos["size"].place) == (
        "a whole number",
        True,
        "config",
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5.0),
        ("1h30m", 5400.0),
        ("-1m", -60.0),
        ("0", 0.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("+2ms", 0.002),
        ("1us", 1e-6),
    ],
)
def test_durations_are_read_as_go_writes_them(text: str, seconds: float):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", "5d", "1h 30m", "five", "--1s", "-+1s", "1e3s", "٥s", "9" * 400 + "h"]
)
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.text())
def test_reading_any_duration_gives_a_finite_number_or_a_value_error(text: str):
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert abs(seconds) < float("inf")


def test_each_problem_names_its_path_and_they_keep_the_order_of_the_settings():
    problems = find_problems(_Sample, {"names": ["a", 2], "zzz": 1, "ratio": 7, "labels": {"x": 3}})

    assert [(each.kind, each.path) for each in problems] == [
        ("value", ("names", 1)),
        ("unknown", ("zzz",)),
        ("value", ("ratio",)),
        ("value", ("labels", "x")),
    ]
    assert problems[0].message == "names[1] must be text, not 2."
    assert problems[3].message == "labels.x must be text, not 3."


def test_a_unit_is_part_of_the_message():
    (problem,) = find_problems(_Sample, {"count": 0})

    assert problem.message == "count must be a whole number of at least 1 (things), not 0."


def test_a_number_beyond_what_a_machine_holds_is_told_the_bound():
    problems = find_problems(_Sample, {"huge": 10**12})

    assert [problem.message for problem in problems] == [
        "huge must be a whole number of at least 0 and of at most 2147483647, not 1000000000000."
    ]


def test_a_tuple_is_a_list():
    config = validate_settings(_Sample, {"names": ("a", "b"), "numbers": ()}, owner="sample")

    assert (config.names, config.numbers) == (["a", "b"], [])


@pytest.mark.parametrize("key", ["format", "input"])
def test_a_name_of_something_else_is_not_taken_for_a_setting_that_looks_a_little_like_it(key: str):
    (problem,) = find_problems(OllamaConfig, {key: "x"})

    assert problem.nearest is None


def test_a_key_that_belongs_inside_a_map_is_led_there():
    (problem,) = find_problems(_Sample, {"inner": 1})

    assert problem.suggestion == "Write it inside labels: `labels: { inner: … }`"


def test_a_required_setting_that_is_missing_is_a_problem_of_its_own_kind():
    problems = find_problems(_Foreign, {"nested": {"a": {"b": "x"}}})

    assert {each.kind for each in problems} == {"missing", "value"}


def test_thousands_of_problems_are_found_in_reasonable_time():
    problems = find_problems(_Sample, {f"key_{number}": 1 for number in range(10_000)})

    assert len(problems) == 100


def test_one_usage_error_tells_all():
    with pytest.raises(UsageError, match="sample: ratio must be"):
        validate_settings(_Sample, {"ratio": 2, "level": "no"}, owner="sample")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("ratio", "0.5", 0.5),
        ("count", " 4 ", 4),
        ("flag", "true", True),
        ("level", "high", "high"),
        ("either", "auto", "auto"),
        ("either", "false", False),
        ("names", "a, b,", ["a", "b"]),
        ("wait", "5s", "5s"),
        ("wait", "7", 7),
        ("limit", "none", "none"),
        ("key", "12345", "12345"),
        ("count", "many", "many"),
        ("count", "9" * 5000, "9" * 5000),
        ("unknown", "x", "x"),
    ],
)
def test_text_of_the_environment_is_read_by_the_type_of_the_setting(name: str, text: str, value: object):
    read = read_text(_Sample, (name,), text)

    assert same_value(read, value)


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        (("labels", "x"), "5", "5"),
        (("anything", "x"), "5", 5),
        (("anything", "x"), "true", True),
        (("names", 0), "5", "5"),
    ],
)
def test_text_inside_a_map_or_list_is_read_by_the_type_of_its_items(
    path: tuple[str | int, ...], text: str, value: object
):
    assert same_value(read_text(_Sample, path, text), value)


def test_a_setting_is_checked_whatever_else_the_model_requires():
    assert problems_of(_Foreign, "size", 3) == ()
    assert [each.path for each in problems_of(_Foreign, "nested", 3)] == [("nested",)]


def test_places_are_merged_and_true_is_not_one():
    assert merge_places({"a": 1, "config": {"b": 2}, "deployment_config": {"a": 1}}) == {"a": 1, "b": 2}
    assert merge_places({"config": None, "a": 1}) == {"a": 1}

    with pytest.raises(UsageError, match="a has one value in config and another in deployment_config"):
        merge_places({"config": {"a": True}, "deployment_config": {"a": 1}})
