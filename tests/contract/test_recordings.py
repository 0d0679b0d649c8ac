"""The sandbox answers every recorded request as the recorded server did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from namel3ss.sandbox import SandboxServer
from tests.contract.comparing import differences
from tests.contract.recordings import Recording, all_recordings
from tests.contract.states import Start, starting_state
from tests.contract.wire_client import exchange

_EXCEPTIONS = json.loads((Path(__file__).parent / "exceptions.json").read_text())
_SAMPLED: dict[str, str] = _EXCEPTIONS["sampled"]
_UNMATCHED: dict[str, str] = _EXCEPTIONS["unmatched"]


@pytest.mark.parametrize("recording", [pytest.param(each, id=each.name) for each in all_recordings()])
def test_the_sandbox_answers_as_recorded(recording: Recording) -> None:
    found = _replayed(recording, starting_state(recording), by_shape=recording.name in _SAMPLED)
    if recording.name in _UNMATCHED:
        assert found, "it matches now: take it off the list in exceptions.json"
    else:
        assert not found, "\n".join(found)


def _replayed(recording: Recording, start: Start, *, by_shape: bool) -> list[str]:
    with SandboxServer(start.options) as server:
        for step in start.steps:
            body = step.body if isinstance(step.body, bytes) else json.dumps(step.body).encode()
            before = exchange(
                server.url, step.method, step.path, body=body, leave_after_lines=step.leave_after_lines
            )
            assert before.status in (200, 201), before.body
        request = recording.request
        answer = exchange(
            server.url,
            request["method"],
            request["path"],
            headers=request.get("headers"),
            body=recording.body,
            leave_after_lines=start.leave_after_lines,
        )
    return differences(recording, answer, by_shape=by_shape)


def test_every_recording_of_the_index_is_there() -> None:
    index = (Path(__file__).parent / "wire" / "INDEX.tsv").read_text().splitlines()[1:]
    assert {line.split("\t")[0] for line in index} == {each.name for each in all_recordings()}


def test_exceptions_name_recordings_and_give_a_reason() -> None:
    names = {each.name for each in all_recordings()}
    for name, reason in (_SAMPLED | _UNMATCHED).items():
        assert name in names
        assert len(reason) > 20


def test_the_list_of_unmatched_recordings_stays_short() -> None:
    assert len(_UNMATCHED) <= 3
