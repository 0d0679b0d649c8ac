"""Comments that ignore findings."""

from __future__ import annotations

from namel3ss.language.fixing import fix_until_stable
from tests.declarations.checks import check, codes, model, only


def test_warning_on_the_line_of_the_comment_is_ignored() -> None:
    assert codes(model("deployment_config: { num_gpu: 1 }")) == ["N3801"]
    assert codes(model("deployment_config: { num_gpu: 1 }  # n3: ignore[N3801] a small card")) == []


def test_warning_on_the_line_below_a_comment_of_its_own_is_ignored() -> None:
    assert codes(model("# n3: ignore[N3801] a small card\ndeployment_config: { num_gpu: 1 }")) == []


def test_comment_behind_something_does_not_reach_the_next_line() -> None:
    program = model("system: x  # n3: ignore[N3801] a small card\ndeployment_config: { num_gpu: 1 }")

    assert codes(program) == ["N3891", "N3801"]


def test_comment_may_list_codes_and_those_without_a_finding_are_named() -> None:
    program = model("deployment_config: { num_gpu: 1 }  # n3: ignore[N3801, N3803] a small card")

    found = only(program)
    assert (found.code, found.fixes) == ("N3891", ())
    assert found.message == "this comment ignores nothing: there is no N3803 here"


def test_comment_without_a_reason_ignores_and_is_a_warning() -> None:
    assert codes(model("deployment_config: { num_gpu: 1 }  # n3: ignore[N3801]")) == ["N3892"]


def test_comment_without_a_code_ignores_nothing() -> None:
    assert codes(model("deployment_config: { num_gpu: 1 }  # n3: ignore please")) == ["N3801", "N3891"]


def test_error_cannot_be_ignored() -> None:
    program = model("config: { temperature: 9 }  # n3: ignore[N3202] warm")

    assert codes(program) == ["N3202", "N3891"]
    assert not program.models


def test_such_a_text_inside_a_string_or_block_text_is_no_comment() -> None:
    assert codes(model('system: "# n3: ignore[N3801] x"')) == []
    assert codes(model("system: |\n    # n3: ignore[N3801] x")) == []


def test_comment_that_ignores_nothing_is_taken_out_by_its_fix() -> None:
    text = "ai model m { provider: ollama, model: tiny }  # n3: ignore[N3801] x\n"

    fixed = fix_until_stable(text, lambda text: check(text).diagnostics, unsafe=False)

    assert fixed == ("ai model m { provider: ollama, model: tiny }\n", 1)
