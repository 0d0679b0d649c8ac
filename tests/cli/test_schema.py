from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from namel3ss.providers.registry import installed_providers
from namel3ss.providers.settings import setting_infos
from tests.support.command_line import call


@pytest.fixture(scope="module")
def schema() -> Any:
    return json.loads(call("schema").stdout)


def test_schema_is_one_and_has_every_setting_of_every_provider(schema: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    registry = installed_providers()
    assert set(schema["$defs"]) == set(registry.names())
    for name in registry.names():
        model = registry.config_model(name)
        assert model is not None
        assert set(schema["$defs"][name]["properties"]) == set(setting_infos(model))


@pytest.mark.parametrize(
    ("model", "is_valid"),
    [
        ({"provider": "ollama", "model": "x", "config": {"temperature": 0.5, "connect_timeout": 5}}, True),
        ({"provider": "ollama", "model": "x", "config": {"temperature": 9}}, False),
        ({"provider": "ollama", "model": "x", "deployment_config": {"nothing": 1}}, False),
        ({"provider": "ollama"}, False),
        ({"provider": "nobody", "model": "x"}, False),
    ],
)
def test_schema_says_what_a_check_says(schema: Any, model: dict[str, Any], is_valid: bool) -> None:
    assert jsonschema.Draft202012Validator(schema).is_valid(model) is is_valid


def test_schema_of_one_provider_has_no_other() -> None:
    assert list(json.loads(call("schema", "--provider", "ollama").stdout)["$defs"]) == ["ollama"]


def test_unknown_provider_is_refused() -> None:
    done = call("schema", "--provider", "olama")

    assert done.code == 2
    assert "ollama" in done.stderr


@pytest.mark.parametrize(
    ("kind", "written", "is_valid"),
    [
        ("server", {"base_url": "http://10.0.0.5:11434", "slots": 2}, True),
        ("server", {"slots": 2}, False),
        ("gateway", {}, True),
        ("gateway", {"queue": {"max_wait": "2m"}, "limits": {"body": "20MB", "num_ctx": "none"}}, True),
        ("gateway", {"fallback": "other", "priorities": {"chat": 5}, "listen": "127.0.0.1:1"}, True),
        (
            "gateway",
            {"fallback": {"model": "other", "when": {"wait_over": "30s"}}, "cache": {"ttl": 60}},
            True,
        ),
        ("gateway", {"queue": {"max_wating": 1}}, False),
        ("gateway", {"priorities": {"chat": -1}}, False),
    ],
)
def test_schema_of_servers_and_gateways(
    schema: Any, kind: str, written: dict[str, Any], is_valid: bool
) -> None:
    whole = {"declarations": schema["declarations"], "$ref": f"#/declarations/{kind}"}

    jsonschema.Draft202012Validator.check_schema(schema["declarations"][kind])
    assert jsonschema.Draft202012Validator(whole).is_valid(written) is is_valid


def test_schema_takes_durations_as_a_file_writes_them(schema: Any) -> None:
    model = {"provider": "ollama", "model": "x", "config": {"connect_timeout": "5s", "pull_timeout": "none"}}

    assert jsonschema.Draft202012Validator(schema).is_valid(model)
