"""Paths in their one spelling. Anything else leads nowhere: it is not mended, and nobody is sent elsewhere."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.gateway.front.targets import aim_at, split_key
from namel3ss.gateway.routes import ROUTES, Action
from tests.gateway.front.door import holder, open_door

# Each would reach /api/tags or /api/push with a server that is kinder, or with two that read differently.
OTHER_SPELLINGS = [
    "//api/tags",
    "/api//tags",
    "/api/tags/",
    "/api/tags//",
    "/API/tags",
    "/api/Tags",
    "/api/%74ags",
    "/%61pi/tags",
    "/api%2Ftags",
    "/api%2ftags",
    "/api/./tags",
    "/api/../api/tags",
    "/api/chat/../tags",
    "/api/%2e/tags",
    "/api/%2e%2e/api/tags",
    "/api/%252e%252e/tags",
    "/api/tags;x=1",
    "/api;x/tags",
    "/api/tags%00",
    "/api/tags%20",
    "/api/tags%0d%0a",
    "/api\\tags",
    "/api/tags%3f",
    "/api/tags.",
    "/./api/tags",
    "/../api/tags",
    "*",
    "/k/",
    "/k",
]


@pytest.mark.security(1, 2)
@pytest.mark.parametrize("target", OTHER_SPELLINGS)
async def test_another_spelling_of_a_path_is_unknown(target: str) -> None:
    async with open_door() as door:
        answer = await door.ask("GET", target)

    # What is no target at all is refused as such; what would be a key in the address is no key.
    assert answer.status in {404, 401 if target.startswith("/k") else 400}
    assert answer.header("location") is None
    assert door.handled.exchanges == []


@pytest.mark.security(2)
@pytest.mark.parametrize(
    "target",
    [
        "/api/tags?x=/api/push",
        "/api/tags?",
        "/api/tags?%2e%2e/push",
        "http://localhost/api/tags",
        "http://elsewhere.example/api/tags",
        "http://localhost:99/api/tags?x",
    ],
)
async def test_what_surrounds_the_path_changes_nothing(target: str) -> None:
    """A target with scheme and host is as good as its path; the Host header is what is held against `hosts`."""
    async with open_door() as door:
        plain = await door.ask("GET", "/api/tags")
        answer = await door.ask("GET", target)
        foreign = await door.ask("GET", target, host="elsewhere.example")

    assert answer.json == plain.json
    assert foreign.status == 421


@pytest.mark.security(2)
@pytest.mark.parametrize(
    "host", ["localhost/health?", "localhost/health#", "localhost#b", "localhost/../", "a#b"]
)
async def test_a_path_in_the_host_header_decides_nothing(host: str) -> None:
    async with open_door(keys={}) as door:
        answer = await door.ask("GET", "/api/tags", host=host)

    assert (answer.status, answer.reason) == (421, "wrong_host")


@pytest.mark.security(2)
@pytest.mark.parametrize(
    ("target", "parameters"),
    [
        ("/v1/models/tiny", {"model": "tiny"}),
        ("/v1/models/tiny:latest", {"model": "tiny:latest"}),
        ("/v1/models/tiny%3Alatest", {"model": "tiny:latest"}),
        ("/v1/models/library/tiny", {"model": "library/tiny"}),
        ("/v1/models/library%2Ftiny", {"model": "library/tiny"}),
        ("/v1/models/library%2ftiny%3a8b", {"model": "library/tiny:8b"}),
        ("/v1/models/a%252Fb", {"model": "a%2Fb"}),
        ("/api/providers/ollama/models/library/tiny", {"name": "library/tiny"}),
        ("/requests/a%3Ab", {"id": "a:b"}),
    ],
)
async def test_a_parameter_is_decoded_once(target: str, parameters: dict[str, str]) -> None:
    async with open_door() as door:
        answer = await door.ask("GET", target)

    assert answer.status == 200
    assert answer.json["parameters"] == parameters


@pytest.mark.security(2)
@pytest.mark.parametrize(
    "target",
    [
        "/v1/models/",
        "/v1/models/..",
        "/v1/models/%2e%2e",
        "/v1/models/a/../b",
        "/v1/models/a%2F..%2Fb",
        "/v1/models/a%2F%2Fb",
        "/v1/models/%2Fa",
        "/v1/models/a%2F",
        "/v1/models/a//b",
        "/v1/models/a%0Ab",
        "/v1/models/a%C2%85b",
        "/v1/models/a%00",
        "/v1/models/a%ff",
        "/v1/models/a%",
        "/v1/models/a%2",
        "/v1/models/a%zz",
        "/v1/models/a%5Cb",
        "/requests/a%2Fb",
        "/requests/",
        "/requests/a/",
        "/api/providers/ollama/models/library%2Ftiny",
        "/api/providers/ollama/pulls/a%2Fb",
    ],
)
async def test_a_parameter_that_is_misspelt_leads_nowhere(target: str) -> None:
    async with open_door() as door:
        answer = await door.ask("GET", target)

    assert (answer.status, answer.reason) == (404, "not_found")
    assert door.handled.exchanges == []


@pytest.mark.security(1)
@given(st.text(max_size=40))
def test_any_path_is_a_route_in_its_own_spelling_or_nothing(text: str) -> None:
    """Whatever is found is spelt as the table spells it, place by place."""
    path = f"/{text}"

    found = aim_at(path)

    for route in found.methods.values():
        parts = route.path.split("/")
        spelt = [part for part in parts if not part.startswith("{")]
        assert path.split("/")[: len(spelt)] == spelt or "{" in route.path
        if "{" not in route.path:
            assert path == route.path


@pytest.mark.security(1)
@given(st.sampled_from([route for route in ROUTES if "{" in route.path]), st.text(min_size=1, max_size=20))
def test_any_name_comes_through_its_parameter_as_it_is_or_not_at_all(route, name: str) -> None:
    place = route.path.index("{")
    parameter, rest = route.path[place:].split("}")[0].strip("{."), route.path[place:].partition("}")[2]

    found = aim_at(f"{route.path[:place]}{quote(name, safe='')}{rest}")

    known = found.methods.get(route.method)
    if known is not None and known.path == route.path:
        assert found.parameters == {parameter: name}
        assert "/" not in name or known.action is Action.SHOW_MODEL


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/k/abc/api/chat", ("abc", "/api/chat")),
        ("/k/abc/", ("abc", "/")),
        ("/k/abc", ("abc", "")),
        ("/k//api/chat", ("", "/api/chat")),
        ("/k/", ("", "")),
        ("/k/abc//api/chat", ("abc", "//api/chat")),
        ("/kk/abc/api/chat", (None, "/kk/abc/api/chat")),
        ("/K/abc/api/chat", (None, "/K/abc/api/chat")),
    ],
)
def test_the_key_of_an_address_is_what_stands_behind_k(path: str, expected: tuple[str | None, str]) -> None:
    assert split_key(path) == expected


async def test_a_key_counts_in_the_address_only_if_it_is_flagged_for_it() -> None:
    keys = {"flagged": holder(user="bob", in_address=True), "plain": holder()}

    async with open_door(keys=keys) as door:
        flagged = await door.ask("GET", "/k/flagged/api/tags", key=None)
        plain = await door.ask("GET", "/k/plain/api/tags", key=None)
        unknown = await door.ask("GET", "/k/unknown/health/live", key=None)
        bare = await door.ask("GET", "/k/flagged", key=None)
        banner = await door.ask("HEAD", "/k/flagged/", key=None)

    assert (flagged.status, flagged.json["user"], flagged.json["path"]) == (200, "bob", "/api/tags")
    assert (plain.status, plain.reason) == (401, "bad_key")
    assert (unknown.status, unknown.reason) == (401, "bad_key")
    assert bare.status == 404
    assert banner.status == 200


async def test_the_key_of_an_address_counts_more_than_one_that_a_client_makes_up() -> None:
    async with open_door(keys={"flagged": holder(user="bob", in_address=True)}) as door:
        answer = await door.ask("GET", "/k/flagged/v1/models", key="ollama")

    assert answer.json["user"] == "bob"
