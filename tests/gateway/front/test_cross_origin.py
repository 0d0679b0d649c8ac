"""What web pages of other origins may do."""

from __future__ import annotations

import pytest

from tests.gateway.front.door import Answer, open_door

LISTED = "https://chat.example.com"
CORS = f'cors: ["{LISTED}", "http://localhost:3000"] '

# All that must not be taken for a listed origin.
OTHERS = [
    "https://elsewhere.example",
    "http://chat.example.com",
    "https://chat.example.com:8443",
    "https://chat.example.com.elsewhere.example",
    "https://elsewhere.example/https://chat.example.com",
    "https://chat.example.com/",
    "HTTPS://chat.example.com",
    "https://CHAT.example.com",
    "https://xchat.example.com",
    "https://chat_example.com",
    "null",
    "*",
    "",
    "https://chat.example.com, https://elsewhere.example",
    "http://localhost",
    "file://",
    "app://x",
]


def cors_headers(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers if name.lower().startswith("access-control-")}


def preflight(origin: str, method: str = "POST", headers: str | None = None) -> list[tuple[str, str]]:
    asked = [("Origin", origin), ("Access-Control-Request-Method", method)]
    return asked if headers is None else [*asked, ("Access-Control-Request-Headers", headers)]


@pytest.mark.security(18)
@pytest.mark.parametrize("origin", [LISTED, "http://localhost:3000"])
async def test_a_listed_origin_hears_its_own_name_with_every_answer(origin: str) -> None:
    async with open_door(CORS) as door:
        ok = await door.ask("GET", "/api/tags", headers=[("Origin", origin)])
        refused = await door.ask("GET", "/api/nothing", headers=[("Origin", origin)])
        without_key = await door.ask("GET", "/api/tags", key=None, headers=[("Origin", origin)])

    assert [answer.status for answer in (ok, refused, without_key)] == [200, 404, 401]
    for answer in (ok, refused, without_key):
        assert answer.header("access-control-allow-origin") == origin
        assert answer.header("access-control-allow-credentials") == "true"
        assert "X-Request-Id" in (answer.header("access-control-expose-headers") or "")
        assert answer.header("vary") == "Origin"


@pytest.mark.security(18)
@pytest.mark.parametrize("origin", OTHERS)
async def test_no_other_origin_is_ever_reflected(origin: str) -> None:
    async with open_door(CORS) as door:
        plain = await door.ask("GET", "/api/tags", headers=[("Origin", origin)])
        asked_before = await door.ask("OPTIONS", "/api/chat", key=None, headers=preflight(origin))

    assert (plain.status, cors_headers(plain)) == (200, {})
    assert (asked_before.status, asked_before.reason) == (403, "forbidden")
    assert cors_headers(asked_before) == {}
    assert plain.header("vary") == "Origin"


@pytest.mark.security(18)
async def test_without_a_list_there_is_no_word_for_browsers() -> None:
    async with open_door() as door:
        plain = await door.ask("GET", "/api/tags", headers=[("Origin", LISTED)])
        asked_before = await door.ask("OPTIONS", "/api/chat", key=None, headers=preflight(LISTED))

    assert (cors_headers(plain), plain.header("vary")) == ({}, None)
    assert (asked_before.status, cors_headers(asked_before)) == (403, {})


@pytest.mark.security(18)
@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions", "/api/nothing", "/k/secret/api/chat"])
async def test_a_preflight_of_a_listed_origin_is_answered_without_a_key(path: str) -> None:
    """The same for every path: what there is, is told to nobody without a key."""
    asked = "authorization, content-type,x-stainless-os"
    async with open_door(CORS) as door:
        answer = await door.ask("OPTIONS", path, key=None, headers=preflight(LISTED, headers=asked))

    assert (answer.status, answer.body) == (204, b"")
    assert cors_headers(answer) == {
        "access-control-allow-origin": LISTED,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "DELETE, GET, HEAD, POST",
        "access-control-allow-headers": asked,
        "access-control-expose-headers": (
            "Retry-After, X-Namel3ss-Error, X-Queue-ETA, X-Queue-Position, X-Queue-Wait, X-Request-Id"
        ),
        "access-control-max-age": "600",
    }
    assert door.keys.asked == []
    assert door.handled.exchanges == []


@pytest.mark.security(18)
@pytest.mark.parametrize("asked", ["", "a b", "a,,b", "a;b", "a: b", "<script>", ",", "a,"])
async def test_only_names_of_headers_are_given_back_to_a_preflight(asked: str) -> None:
    async with open_door(CORS) as door:
        answer = await door.ask("OPTIONS", "/api/chat", key=None, headers=preflight(LISTED, headers=asked))

    assert answer.status == 204
    assert answer.header("access-control-allow-headers") is None


@pytest.mark.security(17, 18)
async def test_a_preflight_comes_after_host_and_address() -> None:
    async with open_door(f'{CORS} allow_addresses: ["10.0.0.0/8"]') as door:
        host = await door.ask("OPTIONS", "/api/chat", host="elsewhere.example", headers=preflight(LISTED))
        address = await door.ask("OPTIONS", "/api/chat", headers=preflight(LISTED))

    assert (host.status, address.status) == (421, 403)


@pytest.mark.security(18)
async def test_options_that_is_no_preflight_is_a_method_like_any_other() -> None:
    async with open_door(CORS) as door:
        without_key = await door.ask("OPTIONS", "/api/chat", key=None)
        with_key = await door.ask("OPTIONS", "/api/chat", headers=[("Origin", LISTED)])

    assert (without_key.status, with_key.status) == (401, 405)
