"""Whose request it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from namel3ss.declarations import check_text
from namel3ss.declarations.gateway_values import Listener
from namel3ss.errors import UsageError
from namel3ss.gateway.front.credentials import Credentials
from namel3ss.gateway.principal import Scope
from tests.gateway.front.door import Keys, holder, open_door
from tests.gateway.plans import ONE_MODEL, plan_with

ANONYMOUS = "anonymous: guests  priorities: { default: 0, guests: 9 } "


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer secret")],
        [("Authorization", "bearer secret")],
        [("authorization", "BEARER   secret ")],
        [("x-api-key", "secret")],
        [("X-Api-Key", " secret ")],
        [("Authorization", "Bearer secret"), ("x-api-key", "secret")],
    ],
)
async def test_a_key_is_taken_from_either_header(headers: list[tuple[str, str]]) -> None:
    async with open_door() as door:
        answer = await door.ask("GET", "/api/tags", key=None, headers=headers)

    assert answer.json["user"] == "ann"


@pytest.mark.security(1)
@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", "secret")],
        [("Authorization", "Basic c2VjcmV0")],
        [("Authorization", "Bearer secret extra")],
        [("Authorization", "Bearer secret,secret")],
        [("Authorization", "Bearer Bearer secret")],
        [("Authorization", "Bearer SECRET")],
        [("Authorization", "Bearer s\xe9cret")],
        [("Authorization", "Bearer " + "x" * 10_000)],
        [("x-api-key", "")],
        [("x-api-key", "Bearer secret")],
        [("x-api-key", "secret"), ("Authorization", "Bearer other")],
        [("x-api-key", "other"), ("Authorization", "Bearer secret")],
        [("x-api-key", "secret"), ("Authorization", "Basic c2VjcmV0")],
        # No JSON web token is a key, whoever signed it or nobody.
        [("Authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.")],
    ],
)
async def test_what_is_no_key_is_answered_401_with_a_challenge(headers: list[tuple[str, str]]) -> None:
    async with open_door() as door:
        answer = await door.ask("GET", "/api/tags", key=None, headers=headers)

    assert (answer.status, answer.reason) == (401, "bad_key")
    assert answer.header("www-authenticate") == "Bearer"
    assert door.handled.exchanges == []


@pytest.mark.security(1)
@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([("Cookie", "session=secret")], None),
        ([("Proxy-Authorization", "Bearer secret")], None),
        ([("Api-Key", "secret")], None),
        ([("X-Forwarded-User", "ann")], None),
        ([("Remote-User", "ann")], None),
    ],
)
async def test_a_key_anywhere_else_is_none(headers: list[tuple[str, str]], key: str | None) -> None:
    async with open_door() as door:
        answer = await door.ask("GET", "/api/tags?key=secret&api_key=secret", key=key, headers=headers)

    assert (answer.status, answer.reason) == (401, "no_key")
    assert answer.header("www-authenticate") == "Bearer"
    assert door.keys.asked == []


@pytest.mark.security(20)
@pytest.mark.parametrize(
    "name", ["Authorization", "x-api-key", "X-Request-Id", "Origin", "Content-Type", "X-Namel3ss-Server"]
)
async def test_a_header_that_says_who_or_what_may_come_only_once(name: str) -> None:
    async with open_door() as door:
        answer = await door.ask("GET", "/api/tags", key=None, headers=[(name, "secret"), (name, "secret")])

    assert (answer.status, answer.reason) == (400, "bad_framing")
    assert door.keys.asked == []


@pytest.mark.security(47)
async def test_requests_without_a_key_are_of_the_anonymous_class_where_the_file_says_so() -> None:
    async with open_door(ANONYMOUS) as door:
        inference = await door.ask("POST", "/api/chat", key=None, body=b"{}")
        loaded = await door.ask("GET", "/api/ps", key=None)
        push = await door.ask("POST", "/api/push", key=None, body=b"{}")
        queue = await door.ask("GET", "/api/admin/queue", key=None)
        wrong_key = await door.ask("GET", "/api/tags", key="wrong")
        nowhere = await door.ask("GET", "/api/nothing", key=None)

    assert inference.json["user"] == "anonymous"
    principal = door.handled.exchanges[0].principal
    assert principal is not None
    assert (principal.class_name, principal.priority, principal.scopes) == (
        "guests",
        9,
        frozenset({Scope.USE}),
    )
    assert [answer.status for answer in (loaded, push, queue)] == [403, 403, 403]
    assert (wrong_key.status, nowhere.status) == (401, 404)


@pytest.mark.security(18, 47)
async def test_a_web_page_cannot_use_the_gateway_in_the_name_of_nobody() -> None:
    """A page can have the browser on this machine send a plain POST; it only could not read the answer."""
    async with open_door(f'{ANONYMOUS} cors: ["https://chat.example.com"]') as door:
        foreign = await door.ask(
            "POST", "/api/chat", key=None, headers=[("Origin", "https://elsewhere.example")], body=b"{}"
        )
        sandboxed = await door.ask("POST", "/api/chat", key=None, headers=[("Origin", "null")], body=b"{}")
        listed = await door.ask(
            "POST", "/api/chat", key=None, headers=[("Origin", "https://chat.example.com")], body=b"{}"
        )
        with_key = await door.ask(
            "POST", "/api/chat", headers=[("Origin", "https://elsewhere.example")], body=b"{}"
        )

    assert (foreign.status, sandboxed.status) == (403, 403)
    assert (listed.status, with_key.status) == (200, 200)


@pytest.mark.security(47)
def test_nobody_is_served_beyond_this_machine_without_a_key() -> None:
    """The check of the file refuses it, and so does the front, for a listener that was chosen otherwise."""
    text = f'{ONE_MODEL}gateway team {{ {ANONYMOUS} listen: "0.0.0.0:8080" }}'
    plan = plan_with(ANONYMOUS)
    moved = plan.settings.model_copy(update={"listen": Listener("0.0.0.0", 8080)})

    assert check_text(text, "team.ai").errors
    with pytest.raises(
        UsageError, match=r"listens on 0\.0\.0\.0:8080, and requests without a key are only for this"
    ):
        Credentials(replace(plan, settings=moved), Keys())


async def test_the_id_of_a_request_is_the_callers_or_ours() -> None:
    async with open_door() as door:
        named = await door.ask("GET", "/api/tags", headers=[("X-Request-Id", "my.request:1")])
        ours = await door.ask("GET", "/api/tags")
        others = await door.ask("GET", "/api/tags")

    assert named.header("x-request-id") == "my.request:1"
    assert (
        len({named.header("x-request-id"), ours.header("x-request-id"), others.header("x-request-id")}) == 3
    )


@pytest.mark.security(26)
@pytest.mark.parametrize("name", ["", "a b", "a\tb", "x" * 129, "<b>", "a/b", "\xe9", "a\x1b[31m"])
async def test_an_id_that_could_be_anything_but_an_id_is_refused(name: str) -> None:
    async with open_door() as door, door.wire() as wire:
        answer = await wire.ask("GET", "/api/tags", headers=[("X-Request-Id", name)])

    assert answer.status == 400
    assert answer.header("x-request-id") != name


async def test_two_keys_of_one_connection_are_two_callers() -> None:
    keys = {"one": holder(user="ann"), "two": holder(user="bob")}
    async with open_door(keys=keys) as door, door.wire() as wire:
        users = [(await wire.ask("GET", "/api/tags", key=key)).json["user"] for key in ("one", "two", "one")]

    assert users == ["ann", "bob", "ann"]
