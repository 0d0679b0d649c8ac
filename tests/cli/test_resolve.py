"""`namel3ss resolve`: what is in force, and where it comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import check_text, read_program
from tests.support.command_line import Called, call

if TYPE_CHECKING:
    from pathlib import Path

APP = """ai model base {
    provider: ollama
    config: { num_ctx: 4096, api_key: env.KEY ?? null, headers: { Authorization: env.AUTH } }
}
ai model chat {
    extends: base
    model: tiny
    config: { num_ctx: 8192, seed: 1, temperature: env.HEAT ?? 0.5 }
}
"""
PROD = "ai model chat { config: { num_ctx: 16384, seed: null } }"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "app.prod.ai").write_text(PROD)
    path = tmp_path / "app.ai"
    path.write_text(APP)
    return path


def why(program: Path, key: str, *more: str, **environ: str) -> list[tuple[str, object, str]]:
    done = call("resolve", program, "--why", key, "--json", *more, environ=environ)
    assert done.code == 0, done.stderr
    asked = json.loads(done.stdout)["asked"]
    return [(each["from"], each["value"], f"{each['line']}" if "line" in each else "") for each in asked]


def test_chain_shows_every_place_weakest_first(program: Path) -> None:
    assert why(program, "chat.num_ctx", "--profile", "prod", "--set", "num_ctx=5") == [
        ("default", None, ""),
        ("extends", 4096, "3"),
        ("model", 8192, "8"),
        ("profile", 16384, "1"),
        ("--set", 5, ""),
    ]


def test_address_of_the_environment_stands_between_default_and_file(program: Path) -> None:
    asked = why(program, "chat.base_url", OLLAMA_HOST="10.0.0.5")

    assert asked == [("default", None, ""), ("environment", "http://10.0.0.5:11434", "")]


def test_value_taken_away_leaves_the_default(program: Path) -> None:
    done = call("resolve", program, "--why", "chat.seed", "--profile", "prod", environ={})

    assert done.stdout.splitlines()[:2] == ["chat.seed = the model's own", "-> default  the model's own"]


def test_null_of_a_profile_is_shown_as_null_also_where_an_heir_is_asked(tmp_path: Path) -> None:
    (tmp_path / "app.prod.ai").write_text("ai model base { config: { seed: null } }")
    path = tmp_path / "app.ai"
    path.write_text(
        "ai model base { provider: ollama, model: m, config: { seed: 1 } }\nai model heir { extends: base }"
    )

    done = call("resolve", path, "--why", "heir.seed", "--profile", "prod", environ={})

    assert done.stdout.splitlines()[0] == "heir.seed = the model's own"
    assert done.stdout.splitlines()[-1].split()[:2] == ["profile", "null"]
    assert done.stdout.splitlines()[-1].endswith("app.prod.ai:1:33 (base)")


def test_variable_is_named_beside_its_value(program: Path) -> None:
    done = call("resolve", program, "--why", "temperature", environ={"HEAT": "0.75"})

    assert "chat.temperature = 0.75\n" in done.stdout
    assert f"{program}:8:" in done.stdout
    assert "(env.HEAT)" in done.stdout


def test_no_secret_is_shown(program: Path) -> None:
    environ = {"KEY": "geheim-1", "AUTH": "Bearer geheim-2"}

    shown = [call("resolve", program, *more, environ=environ) for more in ([], ["--json"])]
    shown.append(call("resolve", program, "--why", "chat.api_key", environ=environ))

    assert "env.KEY" in shown[0].stdout
    assert all("geheim" not in done.stdout + done.stderr for done in shown)


def test_program_in_force_is_itself_a_program(program: Path) -> None:
    done = call("resolve", program, "--profile", "prod", environ={})

    again = check_text(done.stdout, environ={"AUTH": "x"})
    assert again.errors == ()
    assert again.models["chat"].config["num_ctx"] == 16384
    assert again.models["chat"].config["connect_timeout"] == 5.0


def test_json_has_every_setting_of_every_model(program: Path) -> None:
    document = json.loads(call("resolve", program, "--json", environ={}).stdout)

    chat = document["models"]["chat"]
    assert list(document["models"]) == ["chat"]
    assert (chat["num_ctx"]["value"], chat["num_ctx"]["from"]) == (8192, "model")
    assert (chat["max_retries"]["value"], chat["max_retries"]["from"]) == (2, "default")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--why", "chat.numctx"], "num_ctx"),
        (["--why", "chatt.num_ctx"], "chat"),
        (["--why", "chat"], "'chat' is a declaration, not one of its values"),
        (["--why", "chat.headers.X-Team"], "Ask for chat.headers as a whole."),
        (["--model", "chatt"], "chat"),
        (["--set", "numctx=1"], "num_ctx"),
    ],
)
def test_misspelt_name_is_recognised(program: Path, arguments: list[str], said: str) -> None:
    done: Called = call("resolve", program, *arguments, environ={})

    assert done.code == 2
    assert said in done.stderr


def test_broken_file_shows_what_loads_and_says_what_does_not(tmp_path: Path) -> None:
    path = tmp_path / "app.ai"
    path.write_text(
        "ai model a { provider: ollama  model: tiny }\nai model b { provider: nobody  model: x }\n"
    )

    done = call("resolve", path, environ={})

    assert done.code == 1
    assert "ai model a {" in done.stdout
    assert "N3103" in done.stderr


PARTS = """ai model chat { provider: ollama, model: tiny }
prompt title {
    input: { text: str, words: int = 10, kind: "a" | "b" = "a", people: list[{ name: str?, age: int }] = [] }
    output: { title: str, tags: list[str] }
    template: |
        A title for {{ text }}
        in {{ words }} words of {{ kind }}, {{ people }}
}
chain write {
    input: { text: str }
    step name { prompt: title  input: { text: "{{ input.text }}", words: 5 }  output: named }
    step check { prompt: "Is {{ named }} good?"  output: verdict  retry: 1  timeout: 2m }
}
server gpu { base_url: "http://10.0.0.5:11434"  slots: 2 }
gateway team {
    queue: { max_wait: 90 }
    database: env.DATABASE ?? "sqlite:///here.db"
    fallback: chat
    whitelist: { default: ["10.0.0.1"] }
}
"""
PARTS_PROD = """
prompt title { input: { words: int = 99 }  system: "Brief." }
chain write { step check { retry: null } }
gateway team { queue: { max_waiting: 7 }  database: null }
"""


@pytest.fixture
def team(tmp_path: Path) -> Path:
    (tmp_path / "team.prod.ai").write_text(PARTS_PROD)
    path = tmp_path / "team.ai"
    path.write_text(PARTS)
    return path


def test_what_resolve_prints_of_every_declaration_is_a_file_that_means_the_same(team: Path) -> None:
    shown = call("resolve", team, "--profile", "prod", environ={})
    whole, again = (
        read_program(team, environ={}, profile="prod"),
        check_text(shown.stdout, environ={}),
    )

    assert [found.message for found in again.errors] == []
    assert again.prompts["title"].input == whole.prompts["title"].input
    assert again.prompts["title"].output == whole.prompts["title"].output
    assert again.prompts["title"].template.text == whole.prompts["title"].template.text
    names = [step.name for step in again.chains["write"].steps]
    assert names == ["name", "check"]
    for before, after in zip(whole.chains["write"].steps, again.chains["write"].steps, strict=True):
        assert (before.retries, before.timeout_s, before.names, before.answer_type) == (
            after.retries,
            after.timeout_s,
            after.names,
            after.answer_type,
        )
    assert again.gateways["team"].settings({}) == whole.gateways["team"].settings({})
    assert again.servers["gpu"].settings({}) == whole.servers["gpu"].settings({})


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        (
            "title.input",
            [
                ("default", None, ""),
                (
                    "prompt",
                    '{ text: str, words: int = 10, kind: "a" | "b" = "a", '
                    "people: list[{ name: str?, age: int }] = [] }",
                    "3",
                ),
                ("profile", "{ words: int = 99 }", "2"),
            ],
        ),
        ("title.system", [("default", None, ""), ("profile", "Brief.", "2")]),
        ("write.check.retry", [("default", None, ""), ("chain", 1, "12"), ("profile", None, "3")]),
        ("team.queue.max_wait", [("default", 120.0, ""), ("gateway", 90, "16")]),
        ("team.queue.max_waiting", [("default", 500, ""), ("profile", 7, "4")]),
        (
            "team.database",
            [
                ("default", "sqlite:///.namel3ss/gateway.db", ""),
                ("gateway", "sqlite:///here.db", "17"),
                ("profile", None, "4"),
            ],
        ),
        ("team.cache", [("default", None, "")]),
        ("gpu.weight", [("default", 1.0, "")]),
    ],
)
def test_chain_of_other_declarations_shows_program_and_profile(
    team: Path, key: str, asked: list[tuple[str, object, str]]
) -> None:
    assert why(team, key, "--profile", "prod") == asked


def test_value_that_a_profile_takes_away_is_the_default(team: Path) -> None:
    done = call("resolve", team, "--profile", "prod", "--why", "team.database", environ={})

    assert done.stdout.splitlines()[0] == 'team.database = "sqlite:///.namel3ss/gateway.db"'


def test_json_has_every_kind_of_declaration(team: Path) -> None:
    document = json.loads(call("resolve", team, "--json", environ={}).stdout)

    assert {
        kind: list(document[kind]) for kind in ("models", "prompts", "chains", "servers", "gateways")
    } == {
        "models": ["chat"],
        "prompts": ["title"],
        "chains": ["write"],
        "servers": ["gpu"],
        "gateways": ["team"],
    }
    assert document["gateways"]["team"]["queue.max_wait"]["value"] == 90


def test_password_of_a_database_is_not_shown(team: Path) -> None:
    environ = {"DATABASE": "postgresql://me:hidden@db/x"}

    assert "hidden" not in call("resolve", team, environ=environ).stdout
    assert "hidden" not in call("resolve", team, "--why", "team.database", environ=environ).stdout


def test_key_that_a_declaration_lacks_is_refused_with_the_nearest(team: Path) -> None:
    done = call("resolve", team, "--why", "team.queue.max_wiat", environ={})

    assert (done.code, "queue.max_wait" in done.stderr) == (2, True)


@pytest.mark.parametrize("before", range(360, 400, 3))
def test_a_long_value_is_rid_of_secrets_before_it_is_cut(tmp_path: Path, before: int) -> None:
    path = tmp_path / "app.ai"
    path.write_text(
        f"""ai model chat {{ provider: ollama  model: tiny }}
prompt ask {{ input: {{ where: str }}  template: "{{{{ input.where }}}}" }}
chain two {{
    step one {{ prompt: ask  input: {{ where: "{"y" * before}http://me:ZQXZQXZQX@host/" }}  output: answer }}
}}
"""
    )

    shown = call("resolve", path).stdout + json.dumps(why(path, "two.one.input"))

    assert "ZQ" not in shown


def test_an_address_that_nobody_wrote_is_shown_as_the_one_in_force(tmp_path: Path) -> None:
    path = tmp_path / "app.ai"
    path.write_text("ai model chat { provider: ollama  model: tiny }\n")

    done = call("resolve", path, "--why", "chat.base_url", environ={})

    assert done.stdout.startswith("chat.base_url = http://localhost:11434")
