"""Where settings may stand, and what unknown ones are taken for."""

from __future__ import annotations

import pytest

from namel3ss.language import Severity
from tests.declarations.checks import codes, declared, marked, model, only


@pytest.mark.parametrize("setting", ["base_url: http://h:1", "host: h", "port: 1", "keep_alive: 5m"])
@pytest.mark.parametrize("block", ["config", "deployment_config"])
def test_address_and_keep_alive_may_stand_in_either_block_with_a_hint(setting: str, block: str):
    name = setting.partition(":")[0]
    usual = "config" if name == "base_url" else "deployment_config"

    program = model(f"{block}: {{ {setting} }}")

    assert name in program.models["m"].settings({})
    if block == usual:
        assert codes(program) == []
    else:
        found = only(program)
        assert (found.code, found.severity) == ("N3205", Severity.INFO)
        assert found.message == f"{name} is usually written in {usual}"
        assert found.help == f"write `{usual}: {{ {setting} }}`"


@pytest.mark.parametrize("name", ["auto_pull_model", "auto_start_server", "stop_server_on_exit"])
@pytest.mark.parametrize("block", ["config", "deployment_config"])
def test_what_is_usual_in_both_blocks_needs_no_hint(name: str, block: str):
    assert codes(model(f"{block}: {{ {name}: false }}")) == []


@pytest.mark.parametrize(
    ("line", "usual"),
    [
        ("temperature: 0.5", "config"),
        ("num_gpu: 3", "deployment_config"),
        ("keep_alive: 5m", "deployment_config"),
    ],
)
def test_settings_directly_in_the_model_are_accepted_with_a_hint(line: str, usual: str):
    program = model(line)
    found = only(program)

    assert (found.code, found.severity) == ("N3205", Severity.INFO)
    assert usual in found.message
    assert line.partition(":")[0] in getattr(program.models["m"], usual)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("config: { num_gpu: 3 }", "num_gpu belongs in deployment_config, not in config"),
        ("deployment_config: { temperature: 1 }", "temperature belongs in config, not in deployment_config"),
        ("config: { model: x }", "model belongs in the ai model itself, not in config"),
        ("config: { system: x }", "system belongs in the ai model itself, not in config"),
    ],
)
def test_a_setting_in_the_wrong_block_is_led_to_the_right_one(settings: str, message: str):
    program = model(settings)
    found = only(program)

    assert (found.code, found.message) == ("N3206", message)
    assert found.severity is Severity.ERROR
    assert program.models == {}


@pytest.mark.parametrize(
    ("settings", "help_text"),
    [
        ("config: { temprature: 1 }", "did you mean `temperature`?"),
        ("config: { num_predict: 1 }", "did you mean `max_tokens`?"),
        ("config: { num_gpus: 1 }", "did you mean `num_gpu`? It belongs in deployment_config"),
        ("deployment_config: { num_threads: 1 }", "did you mean `num_thread`?"),
        ("deployment_config: { keepalive: 5m }", "did you mean `keep_alive`?"),
        ("configg: { temperature: 1 }", "did you mean `config`?"),
        ("sytem: x", "did you mean `system`?"),
        ("temprature: 1", "did you mean `temperature`?"),
        ("config: { num_keep: 1 }", "write it inside options: `options: { num_keep: … }`"),
        ("config: { zzzz: 1 }", "known settings: temperature"),
    ],
)
def test_an_unknown_key_is_led_to_the_nearest_of_its_block_first(settings: str, help_text: str):
    found = only(model(settings))

    assert found.code == "N3201"
    assert help_text in (found.help or "")


def test_the_fix_of_a_misspelt_key_replaces_the_key_alone():
    found = only(model("config: { temprature: 1 }"))

    (fix,) = found.fixes
    assert [(found.source.text[slice(*edit.span)], edit.text) for edit in fix.edits] == [
        ("temprature", "temperature")
    ]
    assert not fix.safe


def test_two_blocks_may_agree_but_not_disagree():
    agreed = declared("config: { keep_alive: 5m }\ndeployment_config: { keep_alive: 5m }")
    assert agreed.settings({}) == {"keep_alive": "5m"}

    program = model("config: { keep_alive: 5m }\ndeployment_config: { keep_alive: 1m }")
    found = next(found for found in program.diagnostics if found.severity is Severity.ERROR)
    assert (found.code, marked(found)) == ("N3204", "keep_alive")
    assert found.message == "keep_alive has one value in config and another in deployment_config"
    assert [found.source.text[slice(*label.span)] for label in found.labels] == ["keep_alive"]


def test_a_value_in_the_model_and_another_in_a_block_disagree():
    program = model("temperature: 1\nconfig: { temperature: 0 }")

    assert "N3204" in codes(program)


@pytest.mark.parametrize(
    ("settings", "message", "place"),
    [
        ("config: { temperature: 3 }", "temperature must be a number from 0 to 2, not 3", "3"),
        ("config: { num_ctx: 4k }", 'num_ctx must be a whole number of at least 1 (tokens), not "4k"', "4k"),
        ("config: { idle_timeout: soon }", "idle_timeout must be a duration such as 30s", "soon"),
        ("config: { base_url: localhost }", "base_url 'localhost' is not a URL", "localhost"),
        ("config: { hosts: [http://a, nope] }", "hosts 'nope' is not a URL", "[http://a, nope]"),
        ("config: { hosts: [http://a, 3] }", "hosts[1] must be text, not 3", "3"),
        ("config: { stop: [1, 2] }", "stop must be text or a list of texts, not a list", "[1, 2]"),
        (
            "deployment_config: { port: 70000 }",
            "port must be a whole number from 1 to 65535, not 70000",
            "70000",
        ),
    ],
)
def test_a_wrong_value_is_said_at_its_place_with_range_and_unit(settings: str, message: str, place: str):
    found = only(model(settings))

    assert found.code == "N3202"
    assert message in found.message
    assert marked(found) == place


@pytest.mark.parametrize(
    ("settings", "code", "place"),
    [
        ("deployment_config: { num_gpu: 1 }", "N3801", "num_gpu"),
        (
            "config: { auto_start_server: true, base_url: http://10.0.0.5:11434 }",
            "N3802",
            "auto_start_server",
        ),
        ("config: { num_ctx: 1000000 }", "N3803", "num_ctx"),
    ],
)
def test_a_suspicious_setting_is_a_warning(settings: str, code: str, place: str):
    program = model(settings)
    found = only(program)

    assert (found.code, found.severity, marked(found)) == (code, Severity.WARNING, place)
    assert "m" in program.models


def test_num_gpu_one_says_that_it_means_one_layer():
    assert "one layer" in only(model("deployment_config: { num_gpu: 1 }")).message
