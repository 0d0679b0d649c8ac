"""The names by which the gateway may be called."""

from __future__ import annotations

import pytest

from tests.gateway.front.door import open_door


@pytest.mark.security(17)
@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost",
        "localhost.",
        "localhost:8080",
        "localhost:1",
        "127.0.0.1",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:8080",
        "llm.example.com",
        "LLM.example.com:443",
    ],
)
async def test_a_listed_host_is_served_on_any_port(host: str) -> None:
    async with open_door('hosts: ["localhost", "127.0.0.1", "[::1]", "llm.example.com"]') as door:
        assert (await door.ask("GET", "/api/tags", host=host)).status == 200


@pytest.mark.security(17)
@pytest.mark.parametrize(
    "host",
    [
        "elsewhere.example",
        "localhost.elsewhere.example",
        "elsewhere.localhost",
        "127.0.0.2",
        "0.0.0.0",
        "2130706433",
        "127.1",
        "[::]",
        "[::ffff:127.0.0.1]",
        "::1",
        "localhost:",
        "localhost:x",
        "localhost:123456",
        "localhost, elsewhere.example",
        "localhost elsewhere.example",
        "user@localhost",
        "localhost/",
        "localhost?",
        "http://localhost",
        "localhost\t",
        "lоcalhost".encode().decode("latin-1"),
        "",
        "x" * 5000,
    ],
)
@pytest.mark.parametrize("target", ["/api/tags", "/", "/health/live"])
async def test_any_other_host_is_misdirected(host: str, target: str) -> None:
    """A page that bends its own name towards this machine gets nothing, not even what asks for no key."""
    async with open_door() as door:
        answer = await door.ask("GET", target, host=host)

    assert (answer.status, answer.reason) == (421, "wrong_host")
    assert door.keys.asked == []


@pytest.mark.security(17)
async def test_a_request_without_a_host_is_no_request() -> None:
    async with open_door() as door, door.wire() as wire:
        without = await door.ask("GET", "/api/tags", host=None)
        twice = await door.ask("GET", "/api/tags", headers=[("Host", "localhost")])
        wire.send(b"GET /api/tags HTTP/1.0\r\nAuthorization: Bearer secret\r\n\r\n")
        old = await wire.answer()

    assert (without.status, without.reason) == (400, "bad_framing")
    assert (twice.status, twice.reason) == (400, "bad_framing")
    assert old is not None
    assert (old.status, old.reason) == (400, "bad_framing")


@pytest.mark.security(17)
async def test_what_others_say_the_host_was_does_not_count() -> None:
    async with open_door('trusted_proxies: ["127.0.0.1"]') as door:
        answer = await door.ask(
            "GET",
            "/api/tags",
            host="elsewhere.example",
            headers=[("X-Forwarded-Host", "localhost"), ("Forwarded", "host=localhost")],
        )

    assert answer.status == 421
