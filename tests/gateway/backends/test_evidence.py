"""Whom a failure speaks against. Mistakes of users never speak against a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from namel3ss.gateway.backends.evidence import Blame, judge_answer, judge_failure, judge_text
from namel3ss.providers.transport.failure_kinds import Failure

RECORDINGS = Path("tests/contract/wire").resolve()


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_of_a_transport_speaks_against_the_server_or_is_ours(failure: Failure) -> None:
    blame = judge_failure(failure)

    assert blame in (Blame.UNREACHABLE, Blame.SERVER) or failure is Failure.NOTHING_LEFT


@pytest.mark.parametrize(
    ("status", "text", "blame"),
    [
        (400, "invalid option", Blame.NOBODY),
        (400, 'registry.example/x does not support "thinking"', Blame.NOBODY),
        (404, "model 'tiny' not found", Blame.MISSING),
        (422, "unprocessable", Blame.NOBODY),
        (400, 'time: missing unit in duration "out of memory"', Blame.NOBODY),
        (
            500,
            'invalid format: "\\"server busy\\""; expected "json" or a valid JSON Schema object',
            Blame.NOBODY,
        ),
        (500, "llama runner process has terminated: exit status 2", Blame.MODEL),
        (500, "model requires more system memory (9.0 GiB) than is available (2.0 GiB)", Blame.MEMORY),
        (500, "CUDA error: out of memory", Blame.MEMORY),
        (500, "something nobody has seen", Blame.MODEL),
        (503, "server busy, please try again.  maximum pending requests exceeded", Blame.BUSY),
    ],
)
@pytest.mark.fault(61, 65)
def test_ollamas_own_words_speak_against_the_model_or_nobody(status: int, text: str, blame: Blame) -> None:
    assert judge_answer(status, json.dumps({"error": text}).encode()) is blame
    assert judge_answer(status, json.dumps({"error": {"message": text}}).encode()) is blame


@pytest.mark.parametrize(("status", "blame"), [(502, Blame.SERVER), (500, Blame.SERVER), (404, Blame.NOBODY)])
def test_words_that_are_not_ollamas_speak_against_what_listens_there(status: int, blame: Blame) -> None:
    assert judge_answer(status, b"<html>Bad Gateway</html>") is blame


@pytest.mark.fault(61)
def test_errors_inside_an_answer_are_judged_by_their_words() -> None:
    assert judge_text("llama runner process no longer running: 2") is Blame.MODEL
    assert judge_text("an error was encountered while running the model: CUDA error: out of memory") is (
        Blame.MEMORY
    )


def refusals() -> list[tuple[str, int, bytes]]:
    found = []
    for file in sorted(RECORDINGS.rglob("*.json")):
        response = json.loads(file.read_text())["response"]
        body = response.get("body")
        if 400 <= response["status"] < 500 and response["status"] != 404 and isinstance(body, str):
            found.append((file.stem, response["status"], body.encode()))
    return found


@pytest.mark.parametrize(("name", "status", "body"), refusals())
def test_no_recorded_refusal_of_a_users_mistake_speaks_against_anybody(
    name: str, status: int, body: bytes
) -> None:
    assert judge_answer(status, body) is Blame.NOBODY, name
