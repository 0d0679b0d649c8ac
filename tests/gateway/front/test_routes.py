"""The route table is the only source: every method on every path with every scope, and everything else that Ollama has."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from namel3ss.gateway.front import Front
from namel3ss.gateway.live import LiveRequests
from namel3ss.gateway.principal import Scope
from namel3ss.gateway.routes import ROUTES, Action, Route
from tests.gateway.front.door import Handled, Keys, holder, open_door
from tests.gateway.plans import plan_with

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE")

# The keys of the matrix, and what each is good for; written down here, not read from the code.
MAY: dict[str, set[Scope]] = {
    "nothing": set(),
    "use": {Scope.USE},
    "operator": {Scope.USE, Scope.OPERATOR},
    "write": {Scope.USE, Scope.MODELS_WRITE},
    "admin": {Scope.USE, Scope.OPERATOR, Scope.ADMIN},
}
KEYS = {
    "nothing": replace(holder(), scopes=frozenset()),
    "use": holder(Scope.USE),
    "operator": holder(Scope.USE, Scope.OPERATOR),
    "write": holder(Scope.USE, Scope.MODELS_WRITE),
    "admin": holder(Scope.ADMIN),
}

# What Ollama 0.24 to 0.33 serves besides the routes of the table. None of it may be reached.
OLLAMA_ONLY = [
    ("POST", "/api/me"),
    ("POST", "/api/signout"),
    ("DELETE", "/api/user/keys/abc"),
    ("POST", "/api/experimental/web_search"),
    ("POST", "/api/experimental/web_fetch"),
    ("GET", "/api/experimental/model-recommendations"),
    ("POST", "/v1/audio/transcriptions"),
    ("POST", "/v1/images/generations"),
    ("POST", "/v1/images/edits"),
    ("GET", "/debug/pprof/"),
    ("POST", "/v1/messages/count_tokens"),
    ("GET", "/metrics"),
    ("GET", "/api"),
    ("GET", "/v1"),
]
PATHS = sorted({route.path for route in ROUTES})


def example(path: str) -> str:
    """A target that the path of a route stands for."""
    return re.sub(r"\{\w+(\.\.\.)?\}", "tiny", path)


def expected(methods: dict[str, Route], method: str, may: set[Scope]) -> int:
    if method not in methods:
        return 405
    scope = methods[method].scope
    return 200 if scope is None or scope in may else 403


@pytest.mark.security(1)
@pytest.mark.parametrize("path", PATHS)
async def test_each_method_on_a_path_is_answered_by_the_table_alone(path: str) -> None:
    methods = {route.method: route for route in ROUTES if route.path == path}

    async with open_door(keys=KEYS) as door, door.wire() as wire:
        found = {
            (method, key): (await wire.ask(method, example(path), key=key)).status
            for method in METHODS
            for key in MAY
        }

    assert found == {(method, key): expected(methods, method, MAY[key]) for method, key in found}


@pytest.mark.security(1)
@pytest.mark.parametrize("path", PATHS)
async def test_without_a_key_only_what_asks_for_none_is_answered(path: str) -> None:
    methods = {route.method: route for route in ROUTES if route.path == path}

    async with open_door() as door, door.wire() as wire:
        for method in METHODS:
            without = await wire.ask(method, example(path), key=None)
            wrong = await wire.ask(method, example(path), key="wrong")

            is_open = method in methods and methods[method].scope is None
            assert (without.status, without.reason) == ((200, None) if is_open else (401, "no_key"))
            assert (wrong.status, wrong.reason) == ((200, None) if is_open else (401, "bad_key"))


@pytest.mark.security(1)
@pytest.mark.parametrize(("method", "path"), OLLAMA_ONLY)
async def test_what_ollama_has_beyond_the_table_is_nowhere(method: str, path: str) -> None:
    async with open_door() as door:
        answer = await door.ask(method, path)
        without_key = await door.ask(method, path, key=None)

    assert (answer.status, answer.reason) == (404, "not_found")
    assert without_key.status == 401


@pytest.mark.security(1)
async def test_a_wrong_method_is_told_which_ones_there_are() -> None:
    async with open_door() as door:
        answer = await door.ask("DELETE", "/api/tags")

    assert answer.header("allow") == "GET, HEAD"
    assert answer.json == {"error": "The method DELETE is not for this address; it takes GET, HEAD."}


async def test_nothing_starts_with_a_route_that_nobody_handles() -> None:
    plan, handlers = plan_with(), Handled().handlers()
    del handlers[Action.CHAT], handlers[Action.PULL]

    with pytest.raises(TypeError, match="nothing handles chat, pull"):
        Front(plan, Keys(), handlers, live=LiveRequests())


@pytest.mark.parametrize("path", ["/api/nothing", "/v1/nothing", "/v1/messages/batches"])
async def test_a_refusal_has_the_shape_of_the_protocol_that_was_called(path: str) -> None:
    async with open_door() as door:
        answer = await door.ask("POST", path, headers=[("X-Request-Id", "mine")])

    text = "There is nothing at this address."
    shapes = {
        "/api/nothing": {"error": text},
        "/v1/nothing": {"error": {"message": text, "type": "not_found_error", "param": None, "code": None}},
        "/v1/messages/batches": {
            "type": "error",
            "error": {"type": "not_found_error", "message": text},
            "request_id": "mine",
        },
    }
    assert answer.json == shapes[path]
    assert answer.header("x-request-id") == "mine"
