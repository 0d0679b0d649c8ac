from __future__ import annotations

from dataclasses import replace

import pytest

from namel3ss.cli.diagnosis import (
    DiskFacts,
    Facts,
    FileFacts,
    Finding,
    ModelFacts,
    ServerFacts,
    Variable,
    diagnose,
    verdict,
)
from namel3ss.cli.exit_codes import ExitCode

MODEL = ModelFacts("chat", "llama3:8b", is_installed=True, may_pull=False)
SERVER = ServerFacts("http://localhost:11434", "default", "0.24.0", 1.5, is_local=True, models=(MODEL,))
HEALTHY = Facts(
    version="0.1.0",
    python="3.11.7",
    program="/usr/bin/ollama",
    how_to_install="Install it: …",
    servers=(SERVER,),
    file=FileFacts("app.ai", models=1, errors=0, warnings=0),
    disk=DiskFacts("/models", 10**12),
)


def with_server(**changes: object) -> Facts:
    return replace(HEALTHY, servers=(replace(SERVER, **changes),))  # type: ignore[arg-type]  # a test's shorthand


def with_model(**changes: object) -> Facts:
    return with_server(models=(replace(MODEL, **changes),))  # type: ignore[arg-type]  # a test's shorthand


def about(facts: Facts, subject: str) -> list[Finding]:
    return [finding for finding in diagnose(facts) if finding.subject == subject]


def test_healthy_machine_has_no_problem_and_nothing_to_do() -> None:
    findings = diagnose(HEALTHY)

    assert [finding for finding in findings if finding.level != "ok" or finding.next_step] == []
    assert verdict(findings) is ExitCode.OK


def test_address_is_shown_with_the_rule_that_gave_it() -> None:
    facts = with_server(origin="NAMEL3SS_OLLAMA_BASE_URL")

    assert "http://localhost:11434 (from NAMEL3SS_OLLAMA_BASE_URL)" in about(facts, "server")[0].text


@pytest.mark.parametrize(
    ("facts", "code", "step"),
    [
        (with_server(version=None), ExitCode.SERVER, "namel3ss server start"),
        (with_server(version=None, is_local=False), ExitCode.SERVER, "address is right"),
        (replace(with_server(version=None), program=None), ExitCode.SERVER, "--sandbox"),
        (with_model(is_installed=False), ExitCode.MODEL, "namel3ss models pull llama3:8b"),
        (with_model(is_installed=False, nearest=("llama3:7b",)), ExitCode.MODEL, "Similar: llama3:7b"),
        (with_server(models=(), installed_count=0), ExitCode.MODEL, "namel3ss models pull"),
        (replace(HEALTHY, unset=("GPU_KEY",)), ExitCode.PROGRAM, "export GPU_KEY="),
        (
            replace(HEALTHY, file=FileFacts("app.ai", models=0, errors=2, warnings=0)),
            ExitCode.PROGRAM,
            "namel3ss check app.ai",
        ),
        (
            replace(HEALTHY, file=FileFacts("app.ai", models=0, errors=0, warnings=0)),
            ExitCode.PROGRAM,
            "Add: ai model",
        ),
    ],
)
def test_what_keeps_a_model_from_running_is_a_problem_with_a_next_step(
    facts: Facts, code: ExitCode, step: str
) -> None:
    problems = [finding for finding in diagnose(facts) if finding.level == "problem"]

    assert verdict(diagnose(facts)) is code
    assert step in (problems[0].next_step or "")


@pytest.mark.parametrize(
    "facts",
    [
        with_model(is_installed=False, may_pull=True),
        with_server(version=None, may_start=True),
        with_server(models=(), installed_count=3),
        replace(HEALTHY, program=None),
        replace(HEALTHY, disk=DiskFacts("/models", 10**9)),
        replace(HEALTHY, file=FileFacts("app.ai", models=1, errors=1, warnings=0)),
    ],
)
def test_what_can_still_run_is_no_problem(facts: Facts) -> None:
    assert verdict(diagnose(facts)) is ExitCode.OK


def test_model_of_another_provider_is_named_and_not_judged() -> None:
    facts = replace(HEALTHY, elsewhere=("cloud uses big on theirs",))

    assert Finding("info", "models", "cloud uses big on theirs, which is not examined") in diagnose(facts)
    assert verdict(diagnose(facts)) is ExitCode.OK


def test_variables_in_force_are_shown_with_what_they_do() -> None:
    facts = replace(HEALTHY, variables=(Variable("OLLAMA_HOST", "10.0.0.5", "the address"),))

    assert about(facts, "environment") == [
        Finding("info", "environment", "OLLAMA_HOST=10.0.0.5 (the address)")
    ]


def test_failure_of_the_server_is_quoted() -> None:
    facts = with_server(version=None, failure="the answer is a web page")

    assert "the answer is a web page" in about(facts, "server")[0].text


def test_missing_program_matters_only_where_a_local_server_does_not_answer() -> None:
    remote = replace(with_server(is_local=False), program=None)

    assert about(remote, "program") == []
    assert about(replace(HEALTHY, program=None), "program")[0].level == "info"
    assert about(replace(with_server(version=None), program=None), "program")[0].level == "warning"


@pytest.mark.security(47)
def test_server_that_others_can_ask_is_warned_of_with_what_to_do() -> None:
    found = about(with_server(outside="10.0.0.5:11434"), "server")

    assert [finding.level for finding in found] == ["ok", "warning"]
    assert "10.0.0.5:11434" in found[1].text
    assert "OLLAMA_HOST=127.0.0.1:11434" in (found[1].next_step or "")
    assert verdict(found) is ExitCode.OK
