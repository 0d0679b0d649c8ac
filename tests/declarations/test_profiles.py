"""A profile lies over its file: what it changes, and that it is never applied in part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import ProgramFile, base_of, read_program
from namel3ss.declarations.value_types import ObjectType, describe_type
from namel3ss.errors import UsageError
from tests.declarations.checks import codes, only

if TYPE_CHECKING:
    from pathlib import Path

_APP = """
ai model base {
    provider: ollama
    config: { temperature: 0.1, stop: ["A", "B"], options: { one: 1, two: 2 } }
}
ai model chat { extends: base, model: small, config: { seed: 1 } }
ai model other { extends: base, model: other }
"""


def _read(folder: Path, profile: str, app: str = _APP, name: str = "prod") -> ProgramFile:
    (folder / "app.ai").write_text(app)
    (folder / "app.prod.ai").write_text(profile)
    return read_program(folder / "app.ai", environ={}, profile=name)


def test_the_value_of_a_profile_wins_and_the_rest_stays(tmp_path: Path):
    program = _read(tmp_path, "ai model chat { model: large, config: { temperature: 0.9 } }")

    chat = program.models["chat"]
    assert program.diagnostics == ()
    assert (chat.model, chat.config["temperature"], chat.config["seed"]) == ("large", 0.9, 1)
    assert program.models["other"].config["temperature"] == 0.1


def test_maps_merge_lists_are_replaced_and_null_takes_away(tmp_path: Path):
    program = _read(
        tmp_path, 'ai model chat { config: { stop: ["C"], options: { two: 3, more: 4 }, seed: null } }'
    )

    assert program.models["chat"].config == {
        "temperature": 0.1,
        "stop": ["C"],
        "options": {"one": 1, "two": 3, "more": 4},
    }


def test_the_nearer_address_takes_the_place_of_a_list_of_servers(tmp_path: Path):
    app = """
    ai model base { provider: ollama, model: m, config: { hosts: ["http://a:1", "http://b:2"] } }
    ai model heir { extends: base }
    ai model elsewhere { extends: base, config: { base_url: "http://c:3" } }
    ai model both { extends: base, config: { base_url: "http://c:3", hosts: ["http://d:4"] } }
    """
    program = _read(tmp_path, 'ai model base { config: { base_url: "http://e:5" } }', app)

    assert program.models["base"].config == {"base_url": "http://e:5"}
    assert program.models["heir"].config == {"base_url": "http://e:5"}
    assert program.models["elsewhere"].config == {"base_url": "http://c:3"}
    assert program.models["both"].config == {"base_url": "http://c:3", "hosts": ["http://d:4"]}


def test_what_a_profile_changes_reaches_those_who_extend_it(tmp_path: Path):
    program = _read(tmp_path, "ai model base { config: { temperature: 0.7, seed: 5 } }")

    assert program.models["other"].config["temperature"] == 0.7
    assert program.models["chat"].config["seed"] == 1  # the model itself is nearer than what it extends


def test_a_profile_may_add_models_and_change_what_is_extended(tmp_path: Path):
    program = _read(
        tmp_path,
        "ai model far { provider: ollama, model: far, config: { seed: 9 } }\nai model chat { extends: far }",
    )

    assert codes(program) == []
    assert program.models["far"].config == {"seed": 9}
    assert (program.models["chat"].model, program.models["chat"].config) == ("small", {"seed": 1})


def test_a_profile_that_takes_away_what_is_required_is_an_error(tmp_path: Path):
    program = _read(tmp_path, "ai model other { model: null }")

    assert (codes(program), list(program.models)) == (["N3102"], ["chat"])


def test_a_mistake_in_a_profile_is_shown_in_the_profile(tmp_path: Path):
    program = _read(tmp_path, "ai model chat {\n config: { temprature: 1 }\n}")

    found = only(program)
    assert (found.code, found.location) == ("N3201", f"{tmp_path}/app.prod.ai:2:12")
    assert list(program.models) == ["other"]


def test_a_profile_with_a_syntax_error_is_not_applied_in_part(tmp_path: Path):
    program = _read(tmp_path, "ai model chat { config: { seed: 2 } }\nnonsense: here\n")

    assert program.errors
    assert (dict(program.models), program.broken) == ({}, ("chat", "other"))


def test_without_the_file_of_the_profile_nothing_loads(tmp_path: Path):
    program = _read(tmp_path, "", name="prd")

    found = only(program)
    assert (found.code, found.help) == ("N3410", "did you mean `prod`?")
    assert not program.models


@pytest.mark.parametrize("name", ["../prod", "a/b", "", ".", "x.y", "a b", "-x", "prod\n"])
def test_what_is_no_name_is_no_profile(tmp_path: Path, name: str):
    with pytest.raises(UsageError, match="not the name of a profile"):
        _read(tmp_path, "", name=name)


def test_a_file_beside_its_base_is_recognised_as_a_profile(tmp_path: Path):
    (tmp_path / "app.ai").write_text("")
    (tmp_path / "app.prod.ai").write_text("")

    assert base_of(str(tmp_path / "app.prod.ai")) == (str(tmp_path / "app.ai"), "prod")
    assert base_of(str(tmp_path / "app.ai")) is None
    assert base_of(str(tmp_path / "other.prod.ai")) is None


def test_a_profile_may_import(tmp_path: Path):
    (tmp_path / "more.ai").write_text("ai model more { provider: ollama, model: more }")

    program = _read(tmp_path, 'import "./more.ai"\nai model chat { extends: more }')

    assert codes(program) == []
    assert list(program.models) == ["chat", "other", "more"]


_PARTS = """
ai model small { provider: ollama, model: small }
ai model large { provider: ollama, model: large }
prompt title {
    model: small
    input: { text: str, words: int = 10, mood: { name: str, degree: int = 1 } }
    output: { title: str, tags: list[str] }
    template: "A title for {{ text }} in {{ words }} words, {{ mood.name }} {{ mood.degree }}"
}
chain write {
    input: { text: str }
    step name { prompt: title  input: { text: "{{ input.text }}", words: 5, mood: { name: "calm" } }  output: named }
    step check { model: small  prompt: "Is {{ named }} good?"  output: verdict  retry: 1 }
}
"""


def test_a_profile_changes_a_prompt_key_by_key(tmp_path: Path):
    program = _read(
        tmp_path,
        """
        prompt title {
            model: large
            input: { words: int = 99, mood: { degree: int = 7 } }
            output: { tags: null, score: int }
            system: "In {{ words }} words."
        }
        """,
        _PARTS,
    )

    title = program.prompts["title"]
    mood = title.input.get("mood")
    assert codes(program) == []
    assert (title.model, title.template.location.source.path) == ("large", str(tmp_path / "app.ai"))
    assert title.system is not None
    assert title.system.location.source.path == str(tmp_path / "app.prod.ai")
    assert [(each.name, each.default) for each in title.input.fields if each.has_default] == [("words", 99)]
    assert mood is not None
    assert describe_type(mood.type) == "{ name, degree }"
    assert isinstance(title.output, ObjectType)
    assert title.output.names == ("title", "score")


def test_a_profile_changes_steps_by_name_and_adds_others_at_the_end(tmp_path: Path):
    program = _read(
        tmp_path,
        """
        chain write {
            step check { model: large  retry: null  timeout: 2m }
            step name { input: { words: 7 } }
            step again { model: large  prompt: "Once more: {{ verdict }}"  output: last }
        }
        """,
        _PARTS,
    )

    name, check, again = program.chains["write"].steps
    assert codes(program) == []
    assert (name.name, check.name, again.name) == ("name", "check", "again")
    assert (check.model, check.retries, check.timeout_s, check.names) == ("large", 0, 120.0, ("verdict",))
    assert name.input["words"] == 7
    assert name.input.keys() == {"text", "words", "mood"}
    assert dict(again.needs) == {"verdict": (1,)}


def test_another_kind_of_value_in_a_profile_takes_the_place_of_a_map(tmp_path: Path):
    program = _read(tmp_path, "prompt title { output: str }", _PARTS)

    assert program.prompts["title"].output is None


def test_a_template_of_the_program_is_checked_against_the_inputs_of_the_profile(tmp_path: Path):
    program = _read(tmp_path, "prompt title { input: { words: null } }", _PARTS)

    found = next(each for each in program.diagnostics if each.code == "N3503")
    assert found.source.path == str(tmp_path / "app.ai")


def test_a_mistake_in_a_prompt_of_a_profile_is_shown_in_the_profile(tmp_path: Path):
    program = _read(tmp_path, 'prompt title { template: "{{ txet }}" }', _PARTS)

    found = next(each for each in program.diagnostics if each.code == "N3503")
    assert found.source.path == str(tmp_path / "app.prod.ai")
    assert "title" in program.broken_prompts


def test_a_profile_says_each_thing_once(tmp_path: Path):
    program = _read(tmp_path, "prompt title { model: large }\nprompt title { model: small }", _PARTS)

    assert codes(program) == ["N3104"]
    assert only(program).labels[0].source is None


def test_a_name_of_another_kind_in_a_profile_is_a_second_declaration(tmp_path: Path):
    program = _read(tmp_path, 'prompt write { template: "x", model: small }', _PARTS)

    assert "N3104" in codes(program)


def test_of_a_profile_with_a_syntax_error_no_part_is_applied(tmp_path: Path):
    program = _read(tmp_path, "prompt title { model: small large }", _PARTS)

    assert (dict(program.models), dict(program.prompts), dict(program.chains)) == ({}, {}, {})
    assert (program.broken_prompts, program.broken_chains) == (("title",), ("write",))
