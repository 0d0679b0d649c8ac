"""`fallback`: which model answers in another's place, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations.fallbacks import Fallback, FallbackWhen
from namel3ss.declarations.json_schema import language_schema
from namel3ss.declarations.provenance import resolve_model
from namel3ss.errors import ProgramError
from namel3ss.providers.registry import installed_providers
from tests.declarations.checks import check, codes, marked, only

if TYPE_CHECKING:
    from namel3ss.declarations import ProgramFile


def with_fallback(written: str, **environ: str) -> ProgramFile:
    return check(
        f"ai model chat {{ provider: ollama, model: tiny, fallback: {written} }}\n"
        "ai model cloud { provider: ollama, model: tiny-cloud }",
        **environ,
    )


def test_without_a_fallback_no_other_model_is_asked():
    assert check("ai model chat { provider: ollama, model: tiny }").models["chat"].fallback is None


@pytest.mark.parametrize(
    ("written", "when"),
    [
        ("cloud", FallbackWhen(server_down=True)),
        ('"cloud"', FallbackWhen(server_down=True)),
        ("{ model: cloud }", FallbackWhen(server_down=True)),
        ("{ model: cloud, when: { wait_over: 30s } }", FallbackWhen(wait_over=30.0, server_down=False)),
        (
            "{ model: cloud, when: { wait_over: 90, server_down: true } }",
            FallbackWhen(wait_over=90.0, server_down=True),
        ),
    ],
)
def test_what_is_not_written_under_when_is_no_reason(written: str, when: FallbackWhen):
    program = with_fallback(written)

    assert codes(program) == []
    assert program.models["chat"].fallback == Fallback(model="cloud", when=when)


@pytest.mark.parametrize(
    ("written", "code", "mark"),
    [
        ("clowd", "N3112", "clowd"),
        ("{ model: clowd }", "N3112", "clowd"),
        ("chat", "N3113", "chat"),
        ("3", "N3108", "3"),
        ("{ when: { server_down: true } }", "N3207", "fallback"),
        ("{ modle: cloud, model: cloud }", "N3201", "modle"),
        ("{ model: cloud, when: { wait_ovr: 3s } }", "N3201", "wait_ovr"),
        ("{ model: cloud, when: { wait_over: soon } }", "N3202", "soon"),
        ("{ model: cloud, when: { wait_over: -3 } }", "N3202", "-3"),
        ("{ model: cloud, when: { server_down: 1 } }", "N3202", "1"),
        ("{ model: cloud, when: { server_down: false } }", "N3202", "{ server_down: false }"),
        ("{ model: cloud, when: {} }", "N3202", "{}"),
        ("{ model: cloud, when: always }", "N3202", "always"),
    ],
)
def test_a_fallback_that_cannot_be_is_reported_where_it_stands(written: str, code: str, mark: str):
    program = with_fallback(written)

    assert (only(program).code, marked(only(program))) == (code, mark)
    assert list(program.models) == ["cloud"]


def test_a_misspelt_fallback_has_a_fix():
    (fix,) = only(with_fallback("clowd")).fixes

    assert (fix.title, fix.safe) == ("Write cloud", False)


def test_a_fallback_may_come_from_the_environment():
    program = with_fallback("env.ELSEWHERE ?? null", ELSEWHERE="cloud")

    assert program.models["chat"].fallback == Fallback(model="cloud")
    assert with_fallback("env.ELSEWHERE ?? null").models["chat"].fallback is None


def test_a_fallback_whose_variable_is_not_set_is_a_warning_and_an_error_when_the_model_is_used():
    program = with_fallback("env.ELSEWHERE")

    assert codes(program) == ["N3301"]
    with pytest.raises(ProgramError, match="ELSEWHERE"):
        program.models["chat"].settings({})


def test_an_inherited_fallback_merges_key_by_key_and_null_takes_it_away():
    program = check(
        """
        ai model base { provider: ollama, model: tiny, fallback: { model: cloud, when: { wait_over: 5s } } }
        ai model near { extends: base, fallback: { when: { server_down: true } } }
        ai model cloud { extends: base, model: tiny-cloud, fallback: null }
        """
    )

    assert codes(program) == []
    assert program.models["near"].fallback == Fallback(
        model="cloud", when=FallbackWhen(wait_over=5.0, server_down=True)
    )
    assert program.models["cloud"].fallback is None


def test_a_fallback_is_resolved_with_its_defaults_and_described():
    program = with_fallback("cloud")

    value = resolve_model(program, "chat", {}, {}).values["fallback"]

    assert value.value == {"model": "cloud", "when": {"server_down": True}}
    assert value.origin.kind == "model"
    schema = language_schema(installed_providers(), ("ollama",))
    assert schema["properties"]["fallback"]["anyOf"][1]["required"] == ["model"]
