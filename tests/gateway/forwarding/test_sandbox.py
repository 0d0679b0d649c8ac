"""Every recorded request of inference through a gateway in front of the sandbox: the answer is the sandbox's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from namel3ss.sandbox import SandboxServer
from tests.contract.states import starting_state
from tests.gateway.forwarding.play import open_gateway, request
from tests.gateway.forwarding.recorded import differing, recordings_of_inference
from tests.gateway.forwarding.test_recordings import GROUPS, PROGRAM
from tests.gateway.front.door import Answer, Wire

if TYPE_CHECKING:
    from tests.contract.recordings import Recording

# Times, durations and made-up ids differ from one answer to the next.
_VOLATILE = re.compile(
    rb'"(created_at|created|completed_at|[a-z_]*duration|id|item_id|request_id)":("[^"]*"|\d+)'
)


def replayed(group: str) -> list[Recording]:
    """Without those of servers that were killed, of endless answers, and of answers picked at random."""
    return [
        recording
        for recording in recordings_of_inference()
        if recording.group == group
        and recording.version == "0.24.0"
        and recording.response.get("complete") is not False
        and starting_state(recording).leave_after_lines is None
        and recording.name not in differing()
        and not recording.case.endswith("format-json-stream")
    ]


async def direct(server: SandboxServer, recording: Recording) -> Answer:
    port = int(server.url.rpartition(":")[2])
    async with Wire.to(port) as wire:
        wire.send(request(recording.request["path"], recording.body or b""))
        answer = await wire.answer()
    assert answer is not None
    return answer


@pytest.mark.long
@pytest.mark.parametrize("group", [group for group in GROUPS if replayed(group)])
async def test_recorded_requests_are_answered_as_without_a_gateway(group: str) -> None:
    for recording in replayed(group):
        start = starting_state(recording)
        with SandboxServer(start.options) as server:
            without = await direct(server, recording)
            async with open_gateway(server.url, models=PROGRAM) as gateway:
                through = await gateway.ask(recording.request["path"], recording.body or b"")

        expected, found = (
            (answer.status, answer.header("content-type"), _VOLATILE.sub(rb'"\1":0', answer.body))
            for answer in (without, through)
        )
        assert (recording.name, *expected) == (recording.name, *found)
