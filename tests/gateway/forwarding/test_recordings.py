"""What a real server said comes back as it said it: status, content type and every byte of the body.

`differing.json` names the recordings that come back otherwise on purpose, each with its rule and its own answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.gateway.forwarding.play import open_gateway, with_models
from tests.gateway.forwarding.recorded import (
    differing,
    recorded_body,
    recorded_type,
    recordings_of_inference,
    script_of,
)
from tests.support.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.recordings import Recording

MODELS = ("tiny", "tiny-endless", "tiny-short:64", "tiny-tools", "tiny-thinker", "tiny-embed", "tiny-repeat")
PROGRAM = "".join(
    f'ai model model_{number} {{ provider: ollama  model: "{name}" }}\n' for number, name in enumerate(MODELS)
)
GROUPS = sorted({recording.group for recording in recordings_of_inference()})
_REQUEST_ID = re.compile(rb'"request_id":"[^"]*"')


def of_group(group: str) -> list[Recording]:
    return [recording for recording in recordings_of_inference() if recording.group == group]


def in_one_gateway(recordings: list[Recording]) -> Iterator[list[Recording]]:
    """A server that has failed is given less for a while: what comes after it is asked through another gateway."""
    together: list[Recording] = []
    for recording in recordings:
        together.append(recording)
        response = recording.response
        if response["status"] >= 500 or response.get("complete") is False or recording.name in differing():
            yield together
            together = []
    if together:
        yield together


def expected(recording: Recording) -> tuple[int, str | None, bytes]:
    """Ids of requests are each server's own."""
    status, kind, body = recording.response["status"], recorded_type(recording), recorded_body(recording)
    if (other := differing().get(recording.name)) is not None:
        status, kind = other.get("status", status), other.get("type", kind)
        body = other["body"].encode() if "body" in other else body + other["appended"].encode()
    return status, kind, _REQUEST_ID.sub(b'"request_id":""', body)


@pytest.mark.parametrize("group", GROUPS)
async def test_recorded_answers_come_back_byte_for_byte(group: str) -> None:
    found = {}
    with ScriptedServer() as server:
        with_models(server, *MODELS)
        for together in in_one_gateway(of_group(group)):
            async with open_gateway(server.url, models=PROGRAM) as gateway:
                for recording in together:
                    path = recording.request["path"]
                    server.on(path, script_of(recording))
                    headers = (recording.request.get("headers") or {}).items()
                    answer = await gateway.ask(path, recording.body or b"", headers=headers)
                    body = _REQUEST_ID.sub(b'"request_id":""', answer.body)
                    found[recording.name] = (answer.status, answer.header("content-type"), body)

    assert found == {recording.name: expected(recording) for recording in of_group(group)}


def test_list_of_what_differs_names_recordings_and_gives_rules() -> None:
    names = {recording.name for recording in recordings_of_inference()}

    assert set(differing()) <= names
    assert all(len(entry["rule"]) > 30 for entry in differing().values())
    assert len(differing()) <= 11


def test_there_are_recordings_of_every_kind_of_inference() -> None:
    paths = {recording.request["path"] for recording in recordings_of_inference()}

    assert {"/api/generate", "/api/chat", "/api/embed", "/api/embeddings"} <= paths
    assert {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/messages"} <= paths
