"""Recorded exchanges of inference as scripts: what the real server said, byte for byte, to be said again to a gateway."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from namel3ss.gateway.routes import Action, find_route
from tests.contract.recordings import Recording, all_recordings
from tests.support.scripted_server import LAST_CHUNK, Close, Send, Step, chunk

_INFERENCE = (Action.CHAT, Action.GENERATE, Action.EMBED)


@cache
def recordings_of_inference() -> tuple[Recording, ...]:
    """Those of the routes that wait for a slot."""
    found = []
    for each in all_recordings():
        route = find_route(each.request["path"].partition("?")[0]).methods.get(each.request["method"])
        if route is not None and route.action in _INFERENCE:
            found.append(each)
    return tuple(found)


@cache
def differing() -> dict[str, dict[str, Any]]:
    """Recordings that come back otherwise on purpose: name → rule, and the expected answer."""
    document: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("differing.json").read_text())
    return document


def recorded_body(recording: Recording) -> bytes:
    response = recording.response
    if "lines" in response:
        return "\n".join(response["lines"]).encode()
    return str(response.get("body", "")).encode()


def recorded_type(recording: Recording) -> str | None:
    return next(
        (value for name, value in recording.response["headers"] if name.lower() == "content-type"), None
    )


def script_of(recording: Recording) -> list[Step]:
    """What the server sent, chunk by chunk."""
    response = recording.response
    kept = [
        f"{name}: {value}"
        for name, value in response["headers"]
        if name.lower() not in ("connection", "content-length", "transfer-encoding")
    ]
    body = recorded_body(recording)
    status = f"HTTP/1.1 {response['status']} {response['reason']}"
    if "lines" not in response:
        head = "\r\n".join([status, *kept, f"Content-Length: {len(body)}", "", ""]).encode()
        return [Send(head + body)]
    head = "\r\n".join([status, *kept, "Transfer-Encoding: chunked", "", ""]).encode()
    steps: list[Step] = [Send(head), *(Send(chunk(piece)) for piece in _pieces(recording, body))]
    return [*steps, Close()] if response.get("complete") is False else [*steps, Send(LAST_CHUNK)]


def _pieces(recording: Recording, body: bytes) -> list[bytes]:
    sizes: list[int] = recording.response.get("chunk_sizes") or []
    if sum(sizes) != len(body):
        return [line for line in body.splitlines(keepends=True) if line]
    pieces = []
    for size in sizes:
        pieces.append(body[:size])
        body = body[size:]
    return pieces
