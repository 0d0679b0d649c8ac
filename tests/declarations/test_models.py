"""What a model must have, and what is said about it."""

from __future__ import annotations

import pytest

from namel3ss.language import Severity
from tests.declarations.checks import check, codes, line_of, marked, model, only, places


def test_five_mistakes_give_five_findings_each_on_its_own_line_and_the_healthy_model_loads():
    program = check(
        """
        ai model a {
            provider: ollama
            model: llama3:8b
            config: {
                temprature: 0.5
                top_p: 7
                num_ctx: "many"
            }
        }
        ai model b {
            provider: olama
            model: llama3:8b
        }
        ai model c {
            provider: ollama
        }
        ai model healthy { provider: ollama, model: llama3:8b }
        """
    )

    assert places(program) == [
        ("N3201", 5, "temprature"),
        ("N3202", 6, "7"),
        ("N3202", 7, '"many"'),
        ("N3103", 11, "olama"),
        ("N3102", 14, "c"),
    ]
    assert list(program.models) == ["healthy"]
    assert program.broken == ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "code", "message", "help_text"),
    [
        (
            "ai model a { model: x }",
            "N3101",
            "ai model `a` has no provider",
            "add a line: `provider: ollama`",
        ),
        (
            "ai model a { provider: ollama }",
            "N3102",
            "ai model `a` has no model",
            "add a line: `model: llama3:8b`",
        ),
        ('ai model a { provider: ollama, model: "" }', "N3108", "model is empty", "write a model's name"),
        ("ai model a { provider: null, model: x }", "N3101", "ai model `a` has no provider", "add a line"),
        (
            "ai model a { provider: ollama, model: 7 }",
            "N3108",
            "model must be text",
            'write it in quotes: `model: "7"`',
        ),
        ("ai model a { provider: [ollama], model: x }", "N3108", "provider must be text", None),
        (
            "ai model a { provider: ollama, model: x, config: 3 }",
            "N3108",
            "config must be a block",
            "write `config: {",
        ),
        (
            "ai model a { provider: olama, model: x }",
            "N3103",
            "unknown provider `olama`",
            "did you mean `ollama`?",
        ),
        (
            "ai model a { provider: ollama, model: x, extends: b }",
            "N3106",
            "extends `b`, which is not declared",
            "declare",
        ),
    ],
)
def test_a_model_that_is_incomplete_or_of_the_wrong_kind(
    text: str, code: str, message: str, help_text: str | None
):
    found = only(check(text))

    assert found.code == code
    assert found.severity is Severity.ERROR
    assert message in found.message
    assert (help_text is None and found.help is None) or (help_text or "") in (found.help or "")


def test_an_unknown_provider_lists_the_installed_ones():
    found = only(check("ai model a { provider: skynet, model: x }"))

    assert "installed providers:" in found.notes[0]
    assert "ollama" in found.notes[0]


def test_a_key_written_twice_shows_both_places():
    found = only(
        model(
            """
            config: {
                temperature: 0.1
                top_k: 5
                temperature: 0.2
            }
            """
        )
    )

    assert (found.code, line_of(found), marked(found)) == ("N3203", 7, "temperature")
    assert [(label.text, found.source.position(label.span.start).line) for label in found.labels] == [
        ("first here", 5)
    ]


def test_a_name_declared_twice_shows_both_places_and_the_first_counts():
    program = check(
        """
        ai model a { provider: ollama, model: first }
        llm a { provider: ollama, model: second }
        """
    )
    found = only(program)

    assert (found.code, line_of(found)) == ("N3104", 2)
    assert found.source.position(found.labels[0].span.start).line == 1
    assert program.models["a"].model == "first"


def test_two_unnamed_models_are_an_error():
    program = check(
        """
        ai model { provider: ollama, model: one }
        ai model { provider: ollama, model: two }
        """
    )

    assert codes(program) == ["N3105"]


def test_an_unnamed_model_and_one_called_default_are_the_same_name():
    program = check(
        """
        ai model default { provider: ollama, model: one }
        ai model { provider: ollama, model: two }
        """
    )

    assert codes(program) == ["N3104"]
    assert "called `default`" in only(program).notes[0]


def test_a_step_in_a_model_is_an_error():
    program = check("ai model a { provider: ollama, model: x\n step s { model: y } }")

    assert [code for code in codes(program) if code == "N3108"] == ["N3108"]


def test_a_syntax_error_breaks_only_its_own_model():
    program = check(
        """
        ai model a {
            provider: ollama
            model: llama3 8b
        }
        ai model b { provider: ollama, model: x }
        """
    )

    assert codes(program) == ["N3002"]
    assert list(program.models) == ["b"]
    assert program.broken == ("a",)


def test_what_the_syntax_check_lost_is_not_reported_as_missing():
    program = check("ai model a {\n    provider: ollama\n    model:\n}\n")

    assert codes(program) == ["N3005"]
    assert program.models == {}


def test_an_empty_file_has_no_models_and_no_findings():
    program = check("")

    assert (dict(program.models), program.diagnostics) == ({}, ())


def test_thousands_of_mistakes_end_in_a_bounded_list():
    program = check("\n".join(f"ai model m{n} {{ provider: nobody{n}, model: x }}" for n in range(3000)))

    assert len(program.diagnostics) == 501
    assert "N3906" in codes(program)
    assert len(program.broken) == 3000


@pytest.mark.parametrize(
    "text",
    [
        "ai model m { provider: ollama, model: x, config: { "
        + ", ".join(f"k{n}: 1" for n in range(9000))
        + " } }",
        "ai model m { provider: ollama, model: x, config: { " + "k" * 200_000 + ": 1 } }",
        "\n".join(
            f"ai model m{n} {{ provider: ollama, model: x, extends: m{n - 1} }}" for n in range(1, 3000)
        ),
    ],
)
def test_large_bad_files_are_checked_in_bounded_time(text: str):
    program = check(text)

    assert program.errors
    assert sum(len(found.message) for found in program.diagnostics) < 1_000_000


@pytest.mark.parametrize("name", ["a//b", '"llama3:"', '"two words"', "llama3@sha256:abc"])
def test_a_name_that_no_model_can_have_is_an_error(name: str):
    found = only(check(f"ai model a {{ provider: ollama, model: {name} }}"))

    assert (found.code, marked(found)) == ("N3111", name)
    assert "is not the name of a model" in found.message


@pytest.mark.parametrize(
    "name", ["llama3", "hf.co/org/repo:Q4_K_M", "user/model:tag", "env.MODEL", 'env.MODEL ?? "x"']
)
def test_names_that_models_can_have_pass(name: str):
    assert not check(f"ai model a {{ provider: ollama, model: {name} }}").errors


@pytest.mark.parametrize(
    ("lines", "code", "marked_text"),
    [
        ("ollama: provider\nmodel: x", "N3101", "ollama"),
        ("providr: ollama\nmodel: x", "N3101", "providr"),
        ("provider: ollama\nmodle: x", "N3201", "modle"),
        ("provider: ollama\nx: model", "N3201", "x"),
        ('provider: ollama\nconfig: { stop: "model" }', "N3102", "m"),
    ],
)
def test_a_misspelt_or_swapped_required_key_is_one_finding_on_its_line(
    lines: str, code: str, marked_text: str
):
    program = check(f"ai model m {{\n{lines}\n}}\nai model n {{ provider: ollama, model: y }}\n")

    found = only(program)
    assert (found.code, marked(found)) == (code, marked_text)
    assert list(program.models) == ["n"]


@pytest.mark.parametrize(
    ("second", "warned"),
    [
        ("model: x, config: { num_ctx: 8192 }", ["N3805"]),
        ("model: x, config: { num_ctx: 4096 }", []),
        ("model: y, config: { num_ctx: 8192 }", []),
        ("model: x", []),
        ('model: x, config: { num_ctx: 8192, base_url: "http://10.0.0.5:11434" }', []),
    ],
)
def test_one_model_with_two_windows_on_one_server_is_a_warning(second: str, warned: list[str]):
    program = check(
        "ai model a { provider: ollama, model: x, config: { num_ctx: 4096 } }\n"
        f"ai model b {{ provider: ollama, {second} }}\n"
    )

    assert codes(program) == warned
    assert [line_of(found) for found in program.diagnostics] == [2] * len(warned)
    assert list(program.models) == ["a", "b"]
