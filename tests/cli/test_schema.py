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
