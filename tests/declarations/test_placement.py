"""Where settings may stand, and what unknown ones are taken for."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from namel3ss.declarations import check_text
from namel3ss.language import Block, Pair, Severity, parse
from namel3ss.language.fixing import fix_until_stable
from tests.declarations.checks import codes, declared, marked, model, only
from tests.language.nodes import walk


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


def mended(text: str, *, unsafe: bool = False) -> str:
    return fix_until_stable(text, lambda text: check_text(text).diagnostics, unsafe=unsafe).text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (  # into a block of its own lines
            "ai model m {\n    provider: ollama\n    model: x\n    temperature: 0.5\n    config: {\n        top_k: 3\n    }\n}\n",
            "ai model m {\n    provider: ollama\n    model: x\n    config: {\n        top_k: 3\n        temperature: 0.5\n    }\n}\n",
        ),
        (  # into a block on one line
            "ai model m {\n    provider: ollama\n    model: x\n    temperature: 0.5\n    config: { top_k: 3 }\n}\n",
            "ai model m {\n    provider: ollama\n    model: x\n    config: { top_k: 3, temperature: 0.5 }\n}\n",
        ),
        (  # into a block that is not there yet, and another into the same
            "ai model m {\n    provider: ollama\n    temperature: 0.5\n    model: x\n    top_k: 3\n}\n",
            "ai model m {\n    provider: ollama\n    config: { temperature: 0.5, top_k: 3 }\n    model: x\n}\n",
        ),
        (  # all on one line
            "ai model m { temperature: 0.5, provider: ollama, model: x, top_k: 3 }",
            "ai model m { config: { temperature: 0.5, top_k: 3 }, provider: ollama, model: x }",
        ),
        (  # separated by blanks
            "ai model m { provider: ollama  temperature: 0.5  model: x  config: {} }",
            "ai model m { provider: ollama  model: x  config: { temperature: 0.5 } }",
        ),
        (  # out of the wrong block
            "ai model m {\n    provider: ollama\n    model: x\n    deployment_config: { temperature: 0.5, num_gpu: 9 }\n}\n",
            "ai model m {\n    provider: ollama\n    model: x\n    deployment_config: { num_gpu: 9 }\n    config: { temperature: 0.5 }\n}\n",
        ),
        (  # the last of its block
            "ai model m {\n    provider: ollama\n    model: x\n    config: { top_k: 3, num_gpu: 9 }\n}\n",
            "ai model m {\n    provider: ollama\n    model: x\n    config: { top_k: 3 }\n    deployment_config: { num_gpu: 9 }\n}\n",
        ),
        (  # the only one of its block, with a comment
            "ai model m {\n    provider: ollama\n    model: x\n    config: {\n        num_gpu: 9  # layers\n    }\n    deployment_config: {\n    }\n}\n",
            "ai model m {\n    provider: ollama\n    model: x\n    config: {\n    }\n    deployment_config: {\n        num_gpu: 9  # layers\n    }\n}\n",
        ),
        (  # a key of the model itself
            "ai model m {\n    provider: ollama\n    config: {\n        model: x\n        top_k: 3,\n    }\n}\n",
            "ai model m {\n    provider: ollama\n    config: {\n        top_k: 3,\n    }\n    model: x\n}\n",
        ),
    ],
)
def test_a_misplaced_key_is_moved_by_its_fix(before: str, after: str):
    assert mended(before) == after
    assert codes(check_text(after)) == []
    crlf = before.replace("\n", "\r\n")
    assert mended(crlf) == after.replace("\n", "\r\n")


@pytest.mark.parametrize(
    "text",
    [
        'ai model m {\n provider: ollama\n model: x\n stop: [\n  "a",\n ]\n}',  # more than one line
        "ai model m {\n provider: ollama\n config: { model: x }\n model: y\n}",  # it is there already
    ],
)
def test_what_cannot_simply_be_moved_has_no_fix(text: str):
    (found,) = check_text(text).diagnostics

    assert (found.code in ("N3205", "N3206"), found.fixes) == (True, ())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.sampled_from(["temperature: 0.5", "top_k: 3", "num_gpu: 9", "seed: 1"]), max_size=4, unique=True
    ),
    st.lists(
        st.sampled_from(["min_p: 0.1", "num_thread: 2", "model: x", "port: 1"]), max_size=4, unique=True
    ),
    st.lists(st.sampled_from(["top_p: 1", "use_mmap: true", "provider: ollama"]), max_size=3, unique=True),
    st.sampled_from([", ", "  ", "\n    ", ",\n    ", "  # c, d: 1 }\n    "]),
    st.sampled_from(["{ ", "{\n    ", "{"]),
)
def test_moving_keys_changes_no_value_and_keeps_every_comment(
    own: list[str], config: list[str], deployment: list[str], between: str, opener: str
):
    def block(name: str, pairs: list[str]) -> list[str]:
        return [f"{name}: {opener}{between.join(pairs)}\n }}"] if pairs else []

    entries = [*own, *block("config", config), *block("deployment_config", deployment)]
    text = f"ai model m {opener}{between.join(entries)}\n}}\n"

    after = mended(text)

    def values(text: str) -> dict[str, object]:
        return {
            node.key.text: getattr(node.value, "value", None)
            for node in walk(parse(text).tree)
            if isinstance(node, Pair) and not isinstance(node.value, Block)
        }

    assert parse(text).diagnostics == parse(after).diagnostics == ()
    assert values(after) == values(text)
    assert after.count("#") == text.count("#")
    assert mended(after) == after
    assert not {"N3205"} & set(codes(check_text(after)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "ai model m {\n    provider: ollama\n    model: x\n    model: x\n}\n",
            "ai model m {\n    provider: ollama\n    model: x\n}\n",
        ),
        ("ai model m { provider: ollama, model: x, model: x }", "ai model m { provider: ollama, model: x }"),
        (
            "ai model m { provider: ollama, provider: ollama  model: x }",
            "ai model m { provider: ollama, model: x }",
        ),
    ],
)
def test_a_key_that_says_the_same_again_is_taken_out_by_its_fix(before: str, after: str):
    assert mended(before) == after


def test_a_key_that_says_something_else_again_has_no_fix():
    (found,) = check_text("ai model m { provider: ollama, model: x, model: y }").diagnostics

    assert (found.code, found.fixes) == ("N3203", ())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ai model m { provider: ollama, model: 3 }", 'ai model m { provider: ollama, model: "3" }'),
        ("ai model m { provider: olama, model: x }", "ai model m { provider: ollama, model: x }"),
        (
            "ai model m {\n    provider: ollama\n    model: x\n    system:\n}\n",
            "ai model m {\n    provider: ollama\n    model: x\n    system: null\n}\n",
        ),
    ],
)
def test_an_insertion_is_offered_where_it_mends(before: str, after: str):
    assert mended(before, unsafe=True) == after
