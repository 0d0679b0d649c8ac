"""What a real server answered about models, the gateway answers as well; what differs on purpose is listed with its rule."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.gateway.dialects import error_body, error_content_type
from namel3ss.gateway.errors import Refusal
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.routes import Action, find_route
from namel3ss.sandbox import SandboxServer
from tests.contract.comparing import differences
from tests.contract.recordings import all_recordings
from tests.contract.states import starting_state
from tests.contract.wire_client import Answer, exchange
from tests.gateway.management.calling import managing, principal, start_call

if TYPE_CHECKING:
    from namel3ss.gateway.routes import Route
    from tests.contract.recordings import Recording
    from tests.contract.states import Start

_MODELS = (
    "made", "made2", "made3", "tiny", "tiny-embed", "tiny-endless", "tiny-repeat", "tiny-short:64", "tiny-thinker",
    "tiny-tools", "registry.example/library/tiny", "registry.example/library/tiny-tools",
    "registry.example/library/tiny-thinker",
)  # fmt: skip
_PROGRAM = "".join(
    f'ai model m{number} {{ provider: ollama  model: "{name}" }}\n' for number, name in enumerate(_MODELS)
)
_ALLOWING = _PROGRAM + 'gateway team { pull: { allow: ["*"] } }\n'
_ACTIONS = frozenset(
    {
        Action.LIST_MODELS,
        Action.SHOW_MODEL,
        Action.LIST_LOADED,
        Action.VERSION,
        Action.PULL,
        Action.PUSH,
        Action.CREATE,
        Action.COPY,
        Action.DELETE,
        Action.BLOB,
        Action.BANNER,
    }
)
# What the front decides, before any of this is reached.
_OF_THE_FRONT = ("server/host-foreign", "server/origin-foreign")
_ROOT = principal(*Scope, user="root", allows_cloud=True)

_DIFFERING: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("differing.json").read_text(encoding="utf-8")
)


def _route(recording: Recording) -> Route | None:
    return find_route(recording.request["path"]).methods.get(recording.request["method"])


def _of_management() -> list[Recording]:
    return [
        each
        for each in all_recordings()
        if (route := _route(each)) is not None
        and route.action in _ACTIONS
        and not each.case.endswith(_OF_THE_FRONT)
    ]


@pytest.mark.parametrize("recording", [pytest.param(each, id=each.name) for each in _of_management()])
async def test_the_gateway_answers_as_recorded_or_as_its_rule_says(recording: Recording):
    start = starting_state(recording)
    with SandboxServer(start.options) as server:
        _begin(server.url, start)
        answer = await _asked(recording, server.url, version=recording.version)

    differing = _DIFFERING.get(recording.name)
    if differing is None:
        assert differences(recording, answer) == []
    elif "also" in differing:
        assert differences(recording, answer), "it is the same now: take it off the list"
        assert differences(recording, _without(answer, differing["also"])) == differing.get("and", [])
    else:
        assert (answer.status, answer.body.decode()) == (differing["status"], differing["body"])


_REGISTRY = "http://registry.example/library/"
_PULLS = [each for each in _of_management() if each.group == "pull" and _REGISTRY in str(each.request)]
# These tell of the registry's address, and of a registry that speaks plain HTTP.
_OF_ANOTHER_REGISTRY = frozenset(
    {
        "pull/http-without-insecure",
        "pull/registry-down",
        "pull/registry-down-plain",
        "pull/cancelled-by-client",
    }
)


_ALL_THE_SAME = {
    "pull/corrupt-layer": "could not be pulled: digest mismatch",
    "pull/not-found-plain": "application/json; charset=utf-8",  # the type of every refusal
}


@pytest.mark.parametrize(
    "recording",
    [pytest.param(each, id=each.name) for each in _PULLS if each.case not in _OF_ANOTHER_REGISTRY],
)
async def test_a_pull_from_the_default_registry_is_told_as_recorded(recording: Recording):
    """The recorded server pulled from a registry of its own; the lines of a pull do not name it."""
    start = starting_state(recording)
    options = replace(
        start.options,
        unknown_models=("nope",),
        installed=tuple(name.rpartition("/")[2] for name in start.options.installed),
    )
    body = {"model": recording.request["json"]["model"].removeprefix(_REGISTRY)}
    if "stream" in recording.request["json"]:
        body["stream"] = recording.request["json"]["stream"]
    pulled = replace(recording, request={**recording.request, "json": body})
    with SandboxServer(options) as server:
        for step in start.steps:
            assert isinstance(step.body, dict)
            before = {**step.body, "model": str(step.body["model"]).removeprefix(_REGISTRY)}
            exchange(
                server.url,
                step.method,
                step.path,
                body=json.dumps(before).encode(),
                leave_after_lines=step.leave_after_lines,
            )
        answer = await _asked(pulled, server.url, version=recording.version)

    found = differences(pulled, answer)
    if (words := _ALL_THE_SAME.get(recording.case)) is None:
        assert found == []
    else:
        assert [words in each for each in found] == [True]


def test_the_list_of_what_differs_names_recordings_and_rules():
    names = {each.name for each in _of_management()}
    for name, differing in _DIFFERING.items():
        assert name in names
        assert len(differing["rule"]) > 20


def _begin(url: str, start: Start) -> None:
    for step in start.steps:
        body = step.body if isinstance(step.body, bytes) else json.dumps(step.body).encode()
        exchange(url, step.method, step.path, body=body, leave_after_lines=step.leave_after_lines)


async def _asked(recording: Recording, url: str, *, version: str) -> Answer:
    route = _route(recording)
    assert route is not None
    async with managing(_ALLOWING, {"gpu1": url}) as here:
        here.servers.versions["gpu1"] = version
        asked = start_call(
            here.handlers, recording.request["method"], recording.request["path"], recording.body, by=_ROOT
        )
        try:
            await asked.answered()
            status, body, content_type = asked.status, asked.body, asked.headers.get("content-type")
        except Refusal as refusal:
            status, body = refusal.status, error_body(route.dialect, refusal, "r1")
            content_type = error_content_type(route.dialect, refusal).decode()
    # Only what management decides: the rest of the headers is the front's.
    kept = [pair for pair in recording.response["headers"] if pair[0].lower() != "content-type"]
    headers = [(name, value) for name, value in kept] + [("Date", "now")]
    if content_type:
        headers.append(("Content-Type", content_type))
    chunks = [each + b"\n" for each in body.split(b"\n")[:-1]]
    return Answer(status, recording.response["reason"], headers, body, chunks)


def _without(answer: Answer, fields: list[str]) -> Answer:
    """The answer without fields that the gateway adds to the object or to its entries."""
    document = json.loads(answer.body)
    for value in (document, *document.get("models", ())):
        for field in fields:
            value.pop(field, None)
    body = json.dumps(document).encode() + (b"\n" if answer.body.endswith(b"\n") else b"")
    return Answer(answer.status, answer.reason, answer.headers, body, answer.chunks)
