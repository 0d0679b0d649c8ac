"""Values come out as they are written, with their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from namel3ss.declarations import EnvironmentValue, read_program
from tests.declarations.checks import check, codes, declared, marked, model, only

CORPUS = Path(__file__).parents[2] / "grammar/corpus/valid"


def test_the_guides_full_example_comes_out_as_written():
    program = read_program(CORPUS / "full.ai", environ={})
    model = program.models["production_ollama"]

    assert program.errors == ()
    assert (model.provider, model.model) == ("ollama", "mistral:7b")
    assert dict(model.config) == {
        "temperature": 0.8,
        "top_k": 40,
        "top_p": 0.9,
        "repeat_penalty": 1.1,
        "num_ctx": 4096,
        "max_tokens": 2048,
        "base_url": "http://localhost:11434",
        "auto_pull_model": True,
        "auto_start_server": False,
        "model_cache_ttl": 60,
        "health_check_interval": 30,
    }
    assert dict(model.deployment_config) == {"num_gpu": 1, "num_thread": 8, "keep_alive": "10m"}
    assert isinstance(model.config["num_ctx"], int)
    assert codes(program) == ["N3801"]


@pytest.mark.parametrize("name", ["basic.ai", "full.ai", "remote.ai", "two_servers.ai", "angle_unnamed.ai"])
def test_every_snippet_of_the_guide_loads(name: str):
    program = read_program(CORPUS / name, environ={})

    assert program.errors == ()
    assert program.models


def test_two_servers_keep_their_addresses():
    models = read_program(CORPUS / "two_servers.ai", environ={}).models

    assert {name: model.config["base_url"] for name, model in models.items()} == {
        "production": "http://localhost:11434",
        "experimental": "http://localhost:11435",
    }


def test_an_unnamed_model_is_called_default():
    assert list(check("ai model { provider: ollama, model: llama3:8b }").models) == ["default"]


def test_llm_declares_a_model_too():
    assert list(check("llm small { provider: ollama, model: llama3:8b }").models) == ["small"]


def test_texts_and_nested_values_are_plain_data():
    model = declared(
        """
        description: "A model."
        system: |
            You are kind.
            You are brief.
        local_model_path: ./models/a.gguf
        config: {
            stop: ["a", 'b', c]
            options: { num_keep: 5, deep: { list: [1, 2.5, true, null, word] } }
        }
        """
    )

    assert model.description == "A model."
    assert model.system == "You are kind.\nYou are brief."
    assert model.local_model_path == "./models/a.gguf"
    assert model.config["stop"] == ["a", "b", "c"]
    assert model.config["options"] == {"num_keep": 5, "deep": {"list": [1, 2.5, True, None, "word"]}}


def test_null_means_that_nobody_wrote_it():
    model = declared("system: null\nconfig: { temperature: null, idle_timeout: null }")

    assert model.system is None
    assert model.settings({}) == {}


def test_every_value_knows_its_place():
    model = declared("config: { headers: { X-Team: red }, hosts: [http://a:1, http://b:2] }")

    spelled = {path: place.source.text[slice(*place.span)] for path, place in model.locations.items()}
    assert spelled[("headers", "X-Team")] == "red"
    assert spelled[("hosts", 1)] == "http://b:2"
    assert spelled[("model",)] == "llama3:8b"
    assert str(model.location) == "app.ai:1:10"


def test_settings_are_flat_for_the_provider():
    model = declared("config: { temperature: 0 }\ndeployment_config: { num_gpu: 3 }\ntop_k: 5")

    assert model.settings({}) == {"temperature": 0, "num_gpu": 3, "top_k": 5}


def test_a_reference_to_the_environment_stays_one_until_it_is_used():
    model = declared("config: { num_ctx: env.SIZE ?? 4096, seed: env.A ?? env.B ?? 7 }")

    assert model.config["num_ctx"] == EnvironmentValue(("SIZE",), has_default=True, default=4096)
    assert model.config["seed"] == EnvironmentValue(("A", "B"), has_default=True, default=7)
    assert model.settings({}) == {"num_ctx": 4096, "seed": 7}
    assert model.settings({"SIZE": "8192", "B": "2"}) == {"num_ctx": 8192, "seed": 2}


def test_a_declaration_does_not_change():
    model = declared("config: { temperature: 0 }")

    with pytest.raises(TypeError):
        model.config["temperature"] = 1  # type: ignore[index]  # that it refuses is the point


def test_keys_of_a_doubled_line_are_one_finding():
    program = model(
        "config: {\n    temperature: 0.7, top_k: 40, seed: 1, min_p: 0.1\n    temperature: 0.7, top_k: 40, seed: 1, min_p: 0.1\n}"
    )

    found = only(program)
    assert (found.code, marked(found)) == ("N3203", "temperature")
    assert found.message == "temperature, top_k, seed and 1 more are written twice"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ai model a {\nai model a {\n    provider: ollama\n    model: x\n}", "N3003"),
        (
            "ai model a {\n    provider: ollama\n    model: x\n    config: {\n    config: {\n        seed: 1\n    }\n}",
            "N3003",
        ),
        (
            "ai model a {\n    provider: ollama\n    model: x\n    system: |\n    system: |\n        text\n}",
            "N3017",
        ),
        (
            'ai model a { provider: ollama, model: x }\nchain c {\n    step s {\n    step s {\n        prompt: "x"\n    }\n}',
            "N3003",
        ),
        (
            "ai model a { provider: ollama, model: x }\nprompt p {\n    input: {\n    input: {\n        text: str\n"
            '    }\n    template: "{{ text }}"\n}',
            "N3003",
        ),
    ],
)
def test_a_doubled_line_that_opens_something_is_one_finding(text: str, code: str):
    assert codes(check(text)) == [code]


def test_a_name_that_is_there_twice_beside_another_mistake_is_still_reported():
    program = check("ai model a { provider: ollama, model: x y }\nai model a { provider: ollama, model: z }")

    assert codes(program) == ["N3002", "N3104"]


def test_a_number_beyond_all_bounds_is_refused():
    found = only(model(f"config: {{ seed: {'9' * 400} }}"))

    assert found.message == (
        "seed must be a whole number of at most 9223372036854775807, not a number of more than 300 digits"
    )


@pytest.mark.parametrize(
    ("written", "meant"), [('"0.7"', "0.7"), ("'1'", "1"), ('"hot"', None), ('"3"', None), ('"007"', None)]
)
def test_a_number_in_quotes_is_offered_without_them_where_it_fits(written: str, meant: str | None):
    found = only(model(f"config: {{ temperature: {written} }}"))

    assert found.code == "N3202"
    assert [edit.text for fix in found.fixes for edit in fix.edits] == ([meant] if meant else [])


@pytest.mark.parametrize(("word", "meant"), [("yes", "true"), ("True", "true"), ("off", "false")])
def test_a_word_for_true_or_false_is_offered_as_this_language_writes_it(word: str, meant: str):
    found = only(model(f"config: {{ auto_pull_model: {word} }}"))

    assert (found.code, found.help) == ("N3202", f"write `{meant}`")


@pytest.mark.parametrize("key", ["url", "base_ulr"])
def test_a_required_setting_under_another_name_is_one_mistake(key: str):
    texts = [
        f'ai model m {{ provider: openai_compatible model: x config: {{ {key}: "http://a:1" }} }}',
        f'server s {{ {key}: "http://a:1" }}',
    ]

    found = [only(check(text)) for text in texts]

    assert [(each.code, each.help) for each in found] == [("N3201", "did you mean `base_url`?")] * 2
