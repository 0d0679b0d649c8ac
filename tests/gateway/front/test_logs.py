"""What logs may say of a request: no key, no query, no body, and nothing that could pass for another line."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.gateway.exchange import Exchange
from namel3ss.gateway.front.access_log import write_line
from namel3ss.observability.logs import JsonFormatter, LineFormatter
from tests.gateway.front.door import ALL_SCOPES, holder, open_door

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "n3k_abcdefgh_canaryCanaryCanaryCanaryCanaryCanary0000000"
KEYS = {KEY: holder(*ALL_SCOPES, in_address=True)}


class Lines(logging.Handler):
    """Every record under `namel3ss`, as both formatters write it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [LineFormatter().format(record), JsonFormatter().format(record), record.getMessage()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def log() -> Iterator[Lines]:
    lines, root = Lines(), logging.getLogger()
    before = {name: logging.getLogger(name).level for name in ("", "namel3ss", "uvicorn")}
    root.addHandler(lines)
    for name in before:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield lines
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    root.removeHandler(lines)


@pytest.mark.security(25)
@pytest.mark.parametrize(
    "target",
    [
        f"/k/{KEY}/api/chat",
        f"/k/{KEY}/api/nothing",
        f"/k/{KEY}/api//chat",
        f"/k/{KEY}",
        f"/k/{KEY}?query=1",
        f"/k/{KEY}x/api/chat",
        f"/k/%6e{KEY}/api/chat",
        f"http://localhost/k/{KEY}/api/chat",
        f"/api/chat?key={KEY}",
    ],
)
@pytest.mark.parametrize("host", ["localhost", "elsewhere.example"])
async def test_a_key_in_an_address_is_in_no_log_and_no_answer(target: str, host: str, log: Lines) -> None:
    async with open_door(keys=KEYS) as door:
        answer = await door.ask("POST", target, key=None, host=host, body=b"{}")

    assert KEY not in log.text
    assert KEY[12:30] not in log.text
    assert KEY.encode() not in answer.body
    for exchange in door.handled.exchanges:
        # Whatever else looks at the scope, such as a server's own log, finds no key there either.
        assert KEY not in json.dumps({name: repr(exchange.scope[name]) for name in ("path", "raw_path")})


@pytest.mark.security(25)
async def test_a_line_says_who_asked_for_what_and_how_it_ended(log: Lines) -> None:
    async with open_door(keys=KEYS) as door:
        await door.ask("GET", f"/k/{KEY}/api/tags?a=b", key=None, headers=[("X-Request-Id", "mine")])

    line = next(line for line in log.lines if "mine" in line)
    assert line.startswith("127.0.0.1 GET /k/***/api/tags 200 ")
    assert line.endswith(" ms ann mine")


@pytest.mark.security(24, 25)
async def test_a_handler_that_fails_tells_the_caller_where_to_look_and_nothing_else(log: Lines) -> None:
    async def fail(exchange: Exchange) -> None:
        await exchange.read_body(1000)
        raise RuntimeError("a mistake of ours")

    async with open_door(keys=KEYS, CHAT=fail) as door:
        answer = await door.ask(
            "POST", "/v1/chat/completions", key=KEY, body=b'{"prompt": "canary of a prompt"}'
        )

    assert (answer.status, answer.reason) == (500, "internal")
    assert "mistake" not in answer.body.decode()
    assert f"request {answer.header('x-request-id')} failed" in log.text
    assert "a mistake of ours" in log.text
    assert "canary" not in log.text


@pytest.mark.security(24, 25)
async def test_an_answer_that_breaks_off_is_noted_and_its_connection_ends(log: Lines) -> None:
    async def break_off(exchange: Exchange) -> None:
        await exchange.start(200, [(b"content-type", b"application/x-ndjson")])
        await exchange.send_piece(b'{"done":false}\n')
        raise RuntimeError("a mistake of ours")

    async with open_door(keys=KEYS, CHAT=break_off) as door, door.wire() as wire:
        wire.send(f"GET /api/tags HTTP/1.1\r\nHost: localhost\r\nx-api-key: {KEY}\r\n\r\n".encode())
        assert (await wire.answer()) is not None
        wire.send(
            f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nx-api-key: {KEY}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        rest = await wire.rest()

    assert rest.endswith(b'{"done":false}\n\r\n')
    assert b"\r\n0\r\n" not in rest
    assert "its answer broke off" in log.text


@pytest.mark.security(26)
@given(st.text(st.characters(codec="utf-8"), max_size=60), st.text(st.characters(codec="utf-8"), max_size=20))
def test_nothing_that_a_caller_sends_makes_a_second_line(path: str, user: str) -> None:
    logger, lines = logging.getLogger("namel3ss.gateway.access"), Lines()
    scope = {"type": "http", "method": "GET", "path": f"/{path}", "headers": []}
    exchange = Exchange(scope, None, None, request_id="mine", client="127.0.0.1")  # type: ignore[arg-type]  # not used
    exchange.principal = holder(user=user)
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    try:
        write_line(exchange, 0.1, has_key_in_address=False)
    finally:
        logger.removeHandler(lines)
        logger.setLevel(level)

    assert len(lines.lines) == 3
    for line in lines.lines:
        assert len(line.splitlines()) == 1
        assert "\x1b" not in line
        assert "\x9b" not in line


async def test_where_nobody_listens_nothing_is_written(log: Lines) -> None:
    logging.getLogger("namel3ss").setLevel(logging.WARNING)
    async with open_door() as door:
        await door.ask("GET", "/api/tags")

    assert log.lines == []


@pytest.mark.security(25)
async def test_a_path_is_rid_of_secrets_before_it_is_cut(log: Lines) -> None:
    async with open_door() as door:
        for before in range(150, 202):
            await door.ask("GET", f"/{'y' * before}/http://me:ZQXZQXZQX@host/", key=None)

    written = log.lines[0::3] + log.lines[1::3]  # as the two formatters write them
    assert len(written) >= 2 * 52
    assert [line for line in written if "ZQX" in line] == []
