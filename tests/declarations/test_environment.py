"""References to the environment, and secrets that may not stand in a file."""

from __future__ import annotations

import pytest

from namel3ss.errors import ProgramError
from namel3ss.language import Diagnostic, Severity
from tests.declarations.checks import check, codes, declared, marked, model, only


@pytest.mark.security(41)
def test_an_unset_variable_is_a_warning_in_the_check_and_an_error_when_the_model_is_used():
    program = model("config: { num_ctx: env.SIZE }")
    found = only(program)

    assert (found.code, found.severity, marked(found)) == ("N3301", Severity.WARNING, "env.SIZE")
    assert found.message == "num_ctx comes from the environment, and SIZE is not set"
    with pytest.raises(ProgramError, match="SIZE is not set") as caught:
        program.models["m"].settings({})
    (diagnostic,) = caught.value.diagnostics
    assert isinstance(diagnostic, Diagnostic)
    assert diagnostic.severity is Severity.ERROR
    assert program.models["m"].settings({"SIZE": "5"}) == {"num_ctx": 5}


@pytest.mark.parametrize("environ", [{}, {"SIZE": ""}])
def test_an_empty_variable_counts_as_unset(environ: dict[str, str]):
    assert codes(model("config: { num_ctx: env.SIZE }", **environ)) == ["N3301"]
    assert declared("config: { num_ctx: env.SIZE ?? 7 }", **environ).settings(environ) == {"num_ctx": 7}


def test_a_chain_asks_each_variable_in_turn():
    program = model("config: { num_ctx: env.A ?? env.B }")

    assert only(program).message == "num_ctx comes from the environment, and none of A, B is set"
    assert program.models["m"].settings({"B": "5"}) == {"num_ctx": 5}


@pytest.mark.parametrize(
    ("settings", "text", "value"),
    [
        ("config: { num_ctx: env.X }", "8192", 8192),
        ("config: { temperature: env.X }", "0.5", 0.5),
        ("config: { auto_pull_model: env.X }", "false", False),
        ("config: { base_url: env.X }", "http://h:1", "http://h:1"),
        ("config: { hosts: env.X }", "http://a:1, http://b:2", ["http://a:1", "http://b:2"]),
        ("config: { idle_timeout: env.X }", "2m", "2m"),
        ("config: { api_key: env.X }", "12345", "12345"),
        ("config: { headers: { Authorization: env.X } }", "1", {"Authorization": "1"}),
        ("config: { options: { num_keep: env.X } }", "5", {"num_keep": 5}),
        ("config: { stop: [env.X, end] }", "5", ["5", "end"]),
        ("config: { headers: { Authorization: env.Y ?? null, X-A: env.X } }", "5", {"X-A": "5"}),
        ("config: { options: { a: env.Y ?? null } }", "5", {"a": None}),
    ],
)
def test_the_text_of_a_variable_is_read_by_the_settings_type(settings: str, text: str, value: object):
    (read,) = declared(settings, X=text).settings({"X": text}).values()

    assert (read, type(read)) == (value, type(value))


@pytest.mark.security(41)
def test_a_variable_that_does_not_fit_is_an_error_that_does_not_show_it():
    found = only(model("config: { num_ctx: env.SIZE }", SIZE="hunter2"))

    assert (found.code, found.severity, marked(found)) == ("N3303", Severity.ERROR, "env.SIZE")
    assert "num_ctx must be a whole number of at least 1" in found.message
    assert "hunter2" not in repr(found.message) + repr(found.help) + found.label


def test_a_default_that_does_not_fit_is_a_wrong_value():
    assert codes(model("config: { num_ctx: env.SIZE ?? many }")) == ["N3202"]


def test_a_default_of_null_means_that_nobody_wrote_it():
    assert declared("config: { num_ctx: env.SIZE ?? null }").settings({}) == {"num_ctx": None}


def test_model_and_provider_may_come_from_the_environment():
    text = "ai model m { provider: env.P ?? ollama, model: env.M }"

    program = check(text, M="mistral:7b")
    assert (program.models["m"].provider, program.models["m"].model) == ("ollama", "mistral:7b")

    unset = check(text)
    assert codes(unset) == ["N3301"]
    with pytest.raises(ProgramError, match="model comes from the environment, and M is not set"):
        unset.models["m"].settings({})


@pytest.mark.security(41)
@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ('config: { api_key: "hunter2" }', "api_key"),
        ("config: { api_key: hunter2 }", "api_key"),
        ('config: { api_key: env.KEY ?? "hunter2" }', "api_key"),
        ('config: { headers: { Authorization: "Bearer hunter2" } }', "headers.Authorization"),
        ('config: { headers: { x-api-key: "hunter2" } }', "headers.x-api-key"),
        ('config: { headers: { Cookie: "hunter2" } }', "headers.Cookie"),
    ],
)
def test_a_secret_in_the_file_is_an_error_that_does_not_show_it(settings: str, name: str):
    program = model(settings)
    found = only(program)

    assert (found.code, found.severity) == ("N3302", Severity.ERROR)
    assert found.message == f"{name} is a secret, and the file says it in clear"
    assert "env." in (found.help or "")
    assert "hunter2" not in found.message + (found.help or "")
    assert program.models == {}


@pytest.mark.security(41)
@pytest.mark.parametrize(
    "settings",
    [
        "config: { api_key: env.KEY }",
        "config: { api_key: env.KEY ?? null }",
        "config: { headers: { Authorization: env.KEY, X-Team: red } }",
    ],
)
def test_a_secret_from_the_environment_is_fine_and_shows_nowhere(settings: str):
    model_declaration = declared(settings, KEY="hunter2")

    assert "hunter2" not in repr(model_declaration)
    assert "hunter2" in repr(model_declaration.settings({"KEY": "hunter2"}))


@pytest.mark.parametrize(
    "written", ["$CTX", "${CTX}", '"${CTX}"', "ENV.CTX", 'env("CTX")', "process.env.CTX", '"{{ env.CTX }}"']
)
def test_a_variable_as_other_languages_write_it_is_told_how_this_one_does(written: str):
    found = model(f"config: {{ num_ctx: {written} }}").diagnostics[0]

    assert (found.code, found.help) == ("N3202", "a variable is written `env.CTX`")


@pytest.mark.parametrize(
    "text",
    [
        "ai model m { provider: openai_compatible model: x config: { base_url: env.URL } }",
        "server s { base_url: env.URL }",
    ],
)
def test_a_required_setting_whose_variable_is_not_set_is_a_warning_too(text: str):
    found = only(check(text))

    assert (found.code, found.severity) == ("N3301", Severity.WARNING)


def test_a_model_whose_required_setting_is_not_set_loads_and_says_so_when_it_is_used():
    program = check("ai model m { provider: openai_compatible model: x config: { base_url: env.URL } }")

    with pytest.raises(ProgramError, match="URL is not set"):
        program.models["m"].settings({})
    assert program.models["m"].settings({"URL": "http://a:1"}) == {"base_url": "http://a:1"}
