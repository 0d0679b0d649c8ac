"""OllamaConfig: what is accepted, what is sent, what is refused and how, and what never shows."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama._config import OllamaConfig
from namel3ss.providers.local.ollama._setting_rules import keep_alive_on_the_wire
from namel3ss.providers.settings import setting_infos

# The settings of the language's page, each once.
_SETTINGS = [
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repeat_penalty",
    "repeat_last_n",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "max_tokens",
    "num_ctx",
    "think",
    "on_context_overflow",
    "wire",
    "hosts",
    "stop_server_on_exit",
    "base_url",
    "host",
    "port",
    "headers",
    "api_key",
    "auto_pull_model",
    "auto_start_server",
    "model_cache_ttl",
    "health_check_interval",
    "connect_timeout",
    "first_token_timeout",
    "idle_timeout",
    "total_timeout",
    "pull_timeout",
    "max_concurrency",
    "max_retries",
    "num_gpu",
    "main_gpu",
    "num_thread",
    "num_batch",
    "use_mmap",
    "keep_alive",
    "options",
]

_DEFAULTS: dict[str, object] = {
    "on_context_overflow": "error",
    "wire": "stream",
    "options": {},
    "auto_pull_model": True,
    "auto_start_server": False,
    "stop_server_on_exit": False,
    "model_cache_ttl": 60.0,
    "health_check_interval": 30.0,
    "connect_timeout": 5.0,
    "first_token_timeout": 300.0,
    "idle_timeout": 60.0,
    "max_concurrency": 4,
    "max_retries": 2,
}


def _config(**settings: object) -> OllamaConfig:
    return OllamaConfig.from_mapping(settings)


def test_every_setting_exists_once_and_says_what_it_is():
    infos = setting_infos(OllamaConfig)

    assert sorted(infos) == sorted(_SETTINGS)
    for info in infos.values():
        assert info.description.endswith("."), info.name
        assert info.default is not None or info.placeholder, info.name


def test_what_nobody_wrote_is_none_or_the_documented_default():
    config = OllamaConfig.from_mapping(None)

    assert {name: getattr(config, name) for name in _SETTINGS} == dict.fromkeys(_SETTINGS) | _DEFAULTS


def test_nothing_is_sent_that_nobody_wrote():
    config = OllamaConfig.from_mapping({})

    assert config.request_options() == {}
    assert config.request_fields() == {"truncate": False}
    assert config.request_headers() == {}


def test_settings_are_sent_under_ollamas_names():
    config = _config(temperature=0, max_tokens=7, stop="END", num_gpu=3, use_mmap=False, seed=-1, think="low")

    assert config.request_options() == {
        "temperature": 0.0,
        "num_predict": 7,
        "stop": ["END"],
        "num_gpu": 3,
        "use_mmap": False,
        "seed": -1,
    }
    assert config.request_fields() == {"truncate": False, "think": "low"}


def test_the_options_map_passes_untouched_and_beats_a_named_setting():
    config = _config(num_ctx=1, options={"num_ctx": 2, "num_keep": 5, "anything": {"x": [1, None]}})

    assert config.request_options() == {"num_ctx": 2, "num_keep": 5, "anything": {"x": [1, None]}}


@pytest.mark.parametrize(("policy", "truncate"), [("error", False), ("warn", True), ("truncate", True)])
def test_the_overflow_policy_decides_whether_the_server_may_cut(policy: str, truncate: bool):
    assert _config(on_context_overflow=policy).request_fields() == {"truncate": truncate}


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("10m", "10m"),
        (300, 300),
        (1.5, 1.5),
        (-1, -1),
        ("300", 300),
        (" -1 ", -1),
        ("1h30m", "1h30m"),
        (0, 0),
    ],
)
def test_keep_alive_stays_as_written_and_is_sent_as_the_server_accepts_it(written: Any, sent: object):
    config = _config(keep_alive=written)

    assert config.keep_alive == written
    assert config.request_fields()["keep_alive"] == sent
    assert keep_alive_on_the_wire(written) == sent


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5s", 5.0),
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        (7, 7.0),
        (0.5, 0.5),
        ("none", None),
        (None, None),
    ],
)
def test_limits_are_durations_seconds_or_none(written: object, seconds: float | None):
    assert _config(idle_timeout=written).idle_timeout == seconds


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 3}, "temperature must be a number from 0 to 2, not 3."),
        ({"temperature": "warm"}, 'temperature must be a number from 0 to 2, not "warm".'),
        ({"temperature": True}, "not true."),
        ({"temperature": math.nan}, "not nan."),
        ({"presence_penalty": math.inf}, "presence_penalty must be a number, not inf."),
        ({"top_k": 2.5}, "top_k must be a whole number of at least 0, not 2.5."),
        ({"num_ctx": 0}, "num_ctx must be a whole number of at least 1 (tokens), not 0."),
        ({"num_ctx": "4096"}, 'not "4096".'),
        ({"num_ctx": 10**30}, "num_ctx must be"),
        ({"num_gpu": -2}, "num_gpu must be a whole number of at least -1 (layers), not -2."),
        ({"max_tokens": 0}, "max_tokens must be a whole number of at least 1, or -1 (tokens), not 0."),
        ({"max_tokens": -2}, "not -2."),
        ({"port": 65536}, "port must be a whole number from 1 to 65535, not 65536."),
        ({"think": "lots"}, 'think must be true, false, low, medium, high or max, not "lots".'),
        ({"wire": "slow"}, 'wire must be one of stream, plain, not "slow".'),
        ({"stop": [1]}, "stop must be text or a list of texts, not a list."),
        ({"auto_pull_model": "yes"}, 'auto_pull_model must be true or false, not "yes".'),
        (
            {"keep_alive": "5 minutes"},
            "keep_alive must be a duration such as 10m, a number of seconds, or -1",
        ),
        ({"keep_alive": True}, "not true."),
        ({"keep_alive": math.inf}, "not inf."),
        ({"keep_alive": 10**12}, "keep_alive must be"),
        ({"keep_alive": "9" * 5000}, "keep_alive must be"),
        ({"keep_alive": "99999999999h"}, "keep_alive must be"),
        ({"connect_timeout": "none"}, "connect_timeout must be a duration"),
        ({"connect_timeout": 0}, "not 0."),
        (
            {"idle_timeout": -1},
            "idle_timeout must be a duration such as 30s or 1h30m, or a number of seconds, or none",
        ),
        ({"hosts": []}, "hosts is empty."),
        ({"hosts": ["http://a", 3]}, "hosts[1] must be text, not 3."),
        ({"hosts": ["box"]}, "hosts 'box' is not a URL"),
        ({"base_url": "box"}, "base_url 'box' is not a URL"),
        ({"options": {"a": [1, {"b": math.nan}]}}, "options.a[1].b is nan"),
        ({"options": {"a": object()}}, "options.a is a object"),
        ({"options": {"seed": 10**30}}, "options.seed is larger than a server can count"),
        ({"options": 3}, "options must be a map, not 3."),
        ({"headers": {"A B": "x"}}, "'A B' is not the name of a header"),
        ({"host": ""}, 'host must be the name or address of a host, not "".'),
    ],
)
def test_a_bad_value_is_named_with_what_may_be_written(settings: dict[str, object], message: str):
    with pytest.raises(UsageError) as caught:
        OllamaConfig.from_mapping(settings)
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_several_mistakes_are_told_at_once():
    with pytest.raises(UsageError) as caught:
        _config(top_p=2, num_ctx=0)
    assert "top_p must be" in str(caught.value)
    assert "num_ctx must be" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [
        ("temprature", "Did you mean `temperature`?"),
        ("num_predict", "Did you mean `max_tokens`?"),
        ("context_length", "Did you mean `num_ctx`?"),
        ("timeout", "Did you mean `total_timeout`?"),
        ("Temperature", "Did you mean `temperature`?"),
        ("num_keep", "Write it inside options"),
        ("zzzz", "Known settings: temperature,"),
        ("x" * 100_000, "Known settings"),
    ],
)
def test_an_unknown_key_is_led_to_the_right_one(key: str, suggestion: str):
    with pytest.raises(UsageError) as caught:
        OllamaConfig.from_mapping({key: 1})
    assert suggestion in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_both_blocks_may_be_nested_or_flat():
    nested = {"config": {"temperature": 1}, "deployment_config": {"num_gpu": 2}, "num_ctx": 3}

    assert OllamaConfig.from_mapping(nested) == _config(temperature=1, num_gpu=2, num_ctx=3)


def test_two_places_may_agree_but_not_disagree():
    agreed = OllamaConfig.from_mapping({"keep_alive": "5m", "deployment_config": {"keep_alive": "5m"}})
    assert agreed.keep_alive == "5m"

    with pytest.raises(
        UsageError, match="keep_alive has one value in the settings and another in deployment_config"
    ):
        OllamaConfig.from_mapping({"keep_alive": "5m", "deployment_config": {"keep_alive": "1m"}})


def test_a_disagreement_about_a_secret_does_not_show_it():
    with pytest.raises(UsageError) as caught:
        OllamaConfig.from_mapping({"api_key": "hunter1", "deployment_config": {"api_key": "hunter2"}})
    assert "hunter" not in str(caught.value)


def test_a_block_that_is_no_map_is_refused():
    with pytest.raises(UsageError, match="deployment_config must be a map of settings, not 3"):
        OllamaConfig.from_mapping({"deployment_config": 3})


def test_secrets_become_headers_and_show_nowhere():
    config = _config(api_key="hunter2", headers={"X-Team": "hunter3"}, base_url="http://ada:hunter4@box:1")

    assert config.request_headers() == {"X-Team": "hunter3", "Authorization": "Bearer hunter2"}
    assert "hunter" not in repr(config)
    assert "hunter" not in str(config)


def test_an_explicit_authorization_header_beats_the_key():
    config = _config(api_key="k", headers={"authorization": "Basic x"})

    assert config.request_headers() == {"authorization": "Basic x"}


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": "hunter2\n"},
        {"api_key": 5},
        {"api_key": ["hunter2"]},
        {"headers": {"X": "hunter2\r\nY: 1"}},
        {"headers": {"X": ["hunter2"]}},
        {"headers": "hunter2"},
    ],
)
def test_an_error_about_a_secret_does_not_show_it(settings: dict[str, object]):
    with pytest.raises(UsageError) as caught:
        OllamaConfig.from_mapping(settings)
    assert "hunter" not in str(caught.value)
    assert "5" not in str(caught.value)


def test_an_override_replaces_a_setting_for_one_call():
    config = _config(temperature=1, top_k=5, options={"temperature": 2, "num_keep": 1})

    changed = config.overridden({"temperature": 0, "max_tokens": 3})

    assert changed.request_options() == {"temperature": 0.0, "top_k": 5, "num_predict": 3, "num_keep": 1}
    assert config.temperature == 1
    assert config.overridden({}) is config


def test_a_bad_override_is_refused_like_a_bad_setting():
    with pytest.raises(UsageError, match="temperature must be a number from 0 to 2, not 9"):
        _config().overridden({"temperature": 9})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "http://elsewhere:1"),
        ("hosts", ["http://elsewhere:1"]),
        ("host", "elsewhere"),
        ("port", 1),
        ("headers", {"X-Team": "a"}),
        ("api_key", "k"),
        ("connect_timeout", 1),
        ("health_check_interval", 1),
        ("model_cache_ttl", 1),
        ("pull_timeout", 1),
        ("max_concurrency", 1),
        ("stop_server_on_exit", True),
    ],
)
def test_what_a_provider_is_made_with_is_not_silently_kept_when_a_call_names_another(
    name: str, value: object
):
    config = _config(base_url="http://here:1", temperature=1)

    with pytest.raises(UsageError, match=f"{name} cannot be changed for one call") as caught:
        config.overridden({"temperature": 0, name: value})

    assert caught.value.suggestion == "Make another provider for it."
    assert config.overridden({"base_url": "http://here:1", "temperature": 0}).temperature == 0


@pytest.mark.parametrize(
    ("settings", "environ", "advised"),
    [
        ({}, {}, []),
        ({"stop": ""}, {}, ["stop"]),
        ({"stop": ["END", ""]}, {}, ["stop"]),
        ({"stop": ["END"]}, {}, []),
        ({"stop": []}, {}, []),
        ({"num_gpu": 1}, {}, ["num_gpu"]),
        ({"num_gpu": 2}, {}, []),
        ({"num_ctx": 262_144}, {}, []),
        ({"num_ctx": 262_145}, {}, ["num_ctx"]),
        ({"auto_start_server": True}, {}, []),
        ({"auto_start_server": True, "base_url": "http://box:1"}, {}, ["auto_start_server"]),
        ({"auto_start_server": True, "host": "box"}, {}, ["auto_start_server"]),
        (
            {"auto_start_server": True, "hosts": ["http://localhost:1", "http://box:1"]},
            {},
            ["auto_start_server"],
        ),
        ({"auto_start_server": True}, {"OLLAMA_HOST": "box"}, ["auto_start_server"]),
        ({"auto_start_server": True}, {"OLLAMA_HOST": "no host"}, []),
    ],
)
def test_suspicious_settings_are_advised_against(
    settings: dict[str, object], environ: dict[str, str], advised: list[str]
):
    advice = OllamaConfig.from_mapping(settings).advice(environ)

    assert [each.setting for each in advice] == advised


_ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*_SETTINGS, "deployment_config", "other"]), _ANY_VALUE, max_size=4))
def test_any_settings_give_a_config_or_a_usage_error(settings: dict[str, object]):
    try:
        config = OllamaConfig.from_mapping(settings)
    except UsageError:
        return
    for number in config.request_options().values():
        assert not isinstance(number, float) or math.isfinite(number)
