"""The settings of `provider: anthropic`: ranges, words, where address and key come from."""

from __future__ import annotations

from typing import Any

import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.anthropic._config import AnthropicConfig
from namel3ss.providers.anthropic._plugin import PLUGIN
from namel3ss.providers.registry import installed_providers
from namel3ss.providers.setting_problems import find_problems
from namel3ss.providers.settings import setting_infos
from tests.providers.anthropic.making import KEY, WEATHER

_KEY = {"ANTHROPIC_API_KEY": KEY}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_tokens": 0}, "max_tokens must be a whole number of at least 1 (tokens), not 0."),
        ({"temperature": 1.01}, "temperature must be a number from 0 to 1, not 1.01."),
        ({"temperature": "hot"}, 'temperature must be a number from 0 to 1, not "hot".'),
        ({"top_p": -0.1}, "top_p must be a number from 0 to 1, not -0.1."),
        ({"top_k": -1}, "top_k must be a whole number of at least 0, not -1."),
        (
            {"thinking": 1023},
            "thinking must be off, adaptive, between_tools, or a whole number of at least 1024 (tokens), not 1023.",
        ),
        (
            {"thinking": "on"},
            'thinking must be off, adaptive, between_tools, or a whole number of at least 1024 (tokens), not "on".',
        ),
        (
            {"thinking": True},
            "thinking must be off, adaptive, between_tools, or a whole number of at least 1024 (tokens), not true.",
        ),
        (
            {"thinking": 4096},
            "thinking: 4096 leaves nothing for the answer: max_tokens, which counts both, is 4096.",
        ),
        ({"effort": "extreme"}, 'effort must be one of low, medium, high, xhigh, max, not "extreme".'),
        ({"cache_control": "2h"}, 'cache_control must be one of 5m, 1h, not "2h".'),
        ({"service_tier": "gold"}, 'service_tier must be one of auto, standard_only, not "gold".'),
        ({"tools": [{"description": "no name"}]}, "tools[0] does not describe a tool."),
        ({"tool_choice": {"type": "perhaps"}}, "tool_choice is no choice."),
        ({"betas": ["a,b"]}, "betas must be a list of texts, not a list."),
        ({"base_url": "api.anthropic.com"}, "base_url 'api.anthropic.com' is not a URL: it has no scheme."),
        ({"api_key": "a\nb"}, "api_key holds a line break or another character that no header can carry."),
        (
            {"anthropic_version": "latest"},
            'anthropic_version must be a date such as 2023-06-01, not "latest".',
        ),
        ({"idle_timeout": "soon"}, "idle_timeout must be a duration such as 30s or 1h30m, or a number"),
        ({"stop_sequences": ["x"]}, "Unknown setting `stop_sequences`."),
        ({"extra": {"stream": False}}, "extra.stream is not a further field"),
        ({"extra": {"x": 1e400}}, "extra.x is inf; a server takes only finite numbers."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_bad_setting_is_named_with_what_may_be_written(settings: dict[str, Any], words: str) -> None:
    (problem,) = find_problems(AnthropicConfig, settings)

    assert problem.message.startswith(words)
    with pytest.raises(UsageError, match=r"^anthropic settings: "):
        AnthropicConfig.from_mapping(settings)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("stop_sequences", "stop"),
        ("think", "thinking"),
        ("budget_tokens", "thinking"),
        ("timeout", "total_timeout"),
    ],
)
def test_names_of_other_tools_are_understood_in_hints(written: str, meant: str) -> None:
    (problem,) = find_problems(AnthropicConfig, {written: 1})

    assert problem.nearest == meant


def test_every_setting_has_words_for_people() -> None:
    for name, info in setting_infos(AnthropicConfig).items():
        assert info.description.endswith("."), name
        assert info.form, name
        assert info.default is not None or info.placeholder, name
    assert {name for name, info in setting_infos(AnthropicConfig).items() if info.secret} == {
        "api_key",
        "headers",
    }


def test_settings_of_anthropic_have_a_default_where_the_api_wants_one() -> None:
    config = AnthropicConfig.from_mapping({})

    assert (config.max_tokens, config.anthropic_version) == (4096, "2023-06-01")
    assert (config.connect_timeout, config.first_token_timeout, config.idle_timeout) == (5.0, 300.0, 60.0)
    assert config.total_timeout is None
    assert (config.max_retries, config.max_concurrency) == (2, 4)


def test_no_secret_shows_in_the_settings() -> None:
    config = AnthropicConfig.from_mapping(
        {"api_key": KEY, "headers": {"X-A": "hidden"}, "base_url": "https://me:pass@host/x"}
    )

    assert KEY not in repr(config)
    assert "hidden" not in repr(config)
    assert "pass" not in repr(config)


# -- address and key -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "environ", "url"),
    [
        ({}, {}, "https://api.anthropic.com"),
        ({}, {"ANTHROPIC_BASE_URL": "https://proxy.example/claude/"}, "https://proxy.example/claude"),
        ({}, {"ANTHROPIC_BASE_URL": " "}, "https://api.anthropic.com"),
        ({"base_url": "http://localhost:1"}, {"ANTHROPIC_BASE_URL": "https://x"}, "http://localhost:1"),
    ],
)
def test_address_is_the_settings_then_the_variables(
    settings: dict[str, Any], environ: dict[str, str], url: str
) -> None:
    assert AnthropicConfig.from_mapping(settings).address(environ).url == url


@pytest.mark.parametrize(
    ("settings", "environ", "sent"),
    [
        ({}, _KEY, {"x-api-key": KEY}),
        ({"api_key": "own"}, _KEY, {"x-api-key": "own"}),
        ({"base_url": "https://proxy.example"}, _KEY, {"x-api-key": KEY}),
        ({"base_url": "http://localhost:11434"}, _KEY, {}),
        ({"base_url": "http://127.0.0.1:11434", "api_key": "own"}, _KEY, {"x-api-key": "own"}),
        ({"headers": {"Authorization": "Bearer t"}}, _KEY, {"authorization": "Bearer t"}),
        ({"headers": {"X-Team": "blue"}}, _KEY, {"x-team": "blue", "x-api-key": KEY}),
        ({"base_url": "https://me:pw@proxy.example"}, {}, {"authorization": "Basic bWU6cHc="}),
    ],
    ids=[
        "environment",
        "setting",
        "proxy",
        "this machine",
        "this machine, written",
        "bearer",
        "header",
        "user",
    ],
)
def test_key_goes_where_it_was_meant_for(
    settings: dict[str, Any], environ: dict[str, str], sent: dict[str, str]
) -> None:
    """A key in the environment was not set for a server on this machine."""
    headers = AnthropicConfig.from_mapping(settings).request_headers(environ)

    assert headers == {"anthropic-version": "2023-06-01", **sent}


def test_variable_that_no_header_can_carry_is_named() -> None:
    with pytest.raises(UsageError, match=r"^ANTHROPIC_API_KEY holds a line break"):
        AnthropicConfig.from_mapping({}).request_headers({"ANTHROPIC_API_KEY": "a\x01b"})


@pytest.mark.parametrize(
    ("settings", "environ", "found"),
    [
        ({}, _KEY, set()),
        ({}, {}, {("api_key", "N3301")}),
        ({"base_url": "http://localhost:1"}, {}, set()),
        ({"base_url": "http://proxy.example"}, _KEY, {("base_url", "N3800")}),
        ({"temperature": 0.5, "top_k": 1}, _KEY, {("temperature", "N3804")}),
        ({"thinking": 2048, "temperature": 0.5}, _KEY, {("temperature", "N3800")}),
        ({"thinking": 2048, "top_k": 5}, _KEY, {("top_k", "N3800")}),
        ({"thinking": 2048, "temperature": 1}, _KEY, set()),
        ({"thinking": "adaptive", "temperature": 0.5}, _KEY, set()),
        ({"anthropic_version": "2026-10-21", "top_p": 0.5}, _KEY, {("top_p", "N3800")}),
        ({"anthropic_version": "2026-10-21"}, _KEY, set()),
        ({}, {"ANTHROPIC_BASE_URL": "somewhere"}, {("base_url", "N3800")}),
        ({}, {"ANTHROPIC_API_KEY": "a\x01b"}, {("base_url", "N3800")}),
    ],
)
def test_traps_are_warned_of(
    settings: dict[str, Any], environ: dict[str, str], found: set[tuple[str, str]]
) -> None:
    advice = AnthropicConfig.from_mapping(settings).advice(environ)

    assert {(each.setting, each.code) for each in advice} == found


def test_environment_says_where_values_come_from_but_not_the_key() -> None:
    environ = {**_KEY, "ANTHROPIC_BASE_URL": "https://me:secret@proxy.example"}

    assert AnthropicConfig.environment_values({}, environ) == {
        "base_url": ("ANTHROPIC_BASE_URL", "https://proxy.example"),
        "api_key": ("ANTHROPIC_API_KEY", "env.ANTHROPIC_API_KEY"),
    }
    assert AnthropicConfig.environment_values({"base_url": "http://localhost:1"}, environ) == {}


# -- the plug-in -----------------------------------------------------------------------------------------------


def test_provider_is_installed_under_its_name() -> None:
    assert installed_providers().config_model("anthropic") is AnthropicConfig


def test_other_address_gets_no_secret() -> None:
    written = {
        "max_tokens": 10,
        "api_key": KEY,
        "config": {"headers": {"Authorization": "x"}, "temperature": 0.5},
        "deployment_config": {"base_url": "https://elsewhere"},
    }

    replaced = PLUGIN.override_address(written, "http://10.0.0.7:1")
    provider = PLUGIN.create("writer", "m", replaced, environ=_KEY)

    assert replaced == {
        "max_tokens": 10,
        "api_key": "none",
        "config": {"temperature": 0.5},
        "deployment_config": {},
        "base_url": "http://10.0.0.7:1",
    }
    assert provider.model == "m"


def test_overrides_of_a_call_leave_the_settings_alone() -> None:
    config = AnthropicConfig.from_mapping({"temperature": 0.5, "tools": [WEATHER]})

    changed = config.overridden({"temperature": 0.1, "cache_control": {"type": "ephemeral"}})

    assert (changed.temperature, changed.cache_control, changed.tools) == (0.1, "5m", [WEATHER])
    assert (config.temperature, config.cache_control) == (0.5, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("base_url", "http://b:1"), ("api_key", "k"), ("betas", ["x"]), ("anthropic_version", "2023-01-01")],
)
def test_one_call_cannot_change_the_address_the_key_or_the_headers(name: str, value: object) -> None:
    config = AnthropicConfig.from_mapping({"max_tokens": 9})

    with pytest.raises(UsageError, match=f"{name} cannot be changed for one call"):
        config.overridden({name: value})
