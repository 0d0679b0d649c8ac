"""The comparison itself: it sees what it must see, and nothing else."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.comparing import differences
from tests.contract.recordings import Recording, recording
from tests.contract.wire_client import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN = "ollama-0.24.0/chat/plain"
_STREAM = "ollama-0.24.0/chat/stream"


def _as_answer(recorded: Recording) -> Answer:
    """The recorded answer as it would come over the wire."""
    response = recorded.response
    headers = [*map(tuple, response["headers"]), ("Date", "Sat, 21 Nov 2026 08:12:14 GMT")]
    if "lines" in response:
        chunks = [f"{line}\n".encode() for line in response["lines"] if line]
        return Answer(response["status"], response["reason"], headers, b"".join(chunks), chunks)
    return Answer(response["status"], response["reason"], headers, response["body"].encode())


@pytest.mark.parametrize("name", [_PLAIN, _STREAM, "ollama-0.24.0/server/preflight-localhost"])
def test_a_recording_is_like_itself(name: str) -> None:
    assert differences(recording(name), _as_answer(recording(name))) == []


def test_times_may_differ() -> None:
    changed = _changed(lambda body: body.update(created_at="2030-01-01T00:00:00Z", total_duration=1))
    assert differences(recording(_PLAIN), changed) == []


def _changed(change: Callable[[dict[str, Any]], object]) -> Answer:
    answer = _as_answer(recording(_PLAIN))
    body = json.loads(answer.body)
    change(body)
    answer.body = json.dumps(body).encode()
    return answer


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(done="yes"),
        lambda body: body.update(more=1),
        lambda body: body.pop("done_reason"),
        lambda body: body.update(model=body.pop("model")),
        lambda body: body.update(total_duration="1s"),
        lambda body: body.update(prompt_eval_count=7),
        lambda body: body["message"].update(content="Hello"),
    ],
    ids=["type", "surplus", "missing", "order", "type of a time", "count", "text"],
)
def test_a_change_in_the_body_is_seen(change: Callable[[dict[str, Any]], object]) -> None:
    assert differences(recording(_PLAIN), _changed(change))


@pytest.mark.parametrize("change", ["status", "reason", "header", "no date", "chunks", "lines", "cut"])
def test_a_change_in_the_form_is_seen(change: str) -> None:
    answer = copy.deepcopy(_as_answer(recording(_STREAM)))
    if change == "status":
        answer.status = 201
    elif change == "reason":
        answer.reason = "Fine"
    elif change == "header":
        answer.headers.append(("Server", "uvicorn"))
    elif change == "no date":
        answer.headers = [pair for pair in answer.headers if pair[0] != "Date"]
    elif change == "chunks":
        answer.chunks[:2] = [answer.chunks[0] + answer.chunks[1]]
    elif change == "lines":
        answer.body = b"".join(answer.chunks[1:])
    else:
        answer.complete = False
    assert differences(recording(_STREAM), answer)
