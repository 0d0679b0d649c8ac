"""What goes wrong between here and the API, on real sockets, and the error each of them is."""

from __future__ import annotations

import logging
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.providers.anthropic import (
    AnthropicAuthError,
    AnthropicBadResponseError,
    AnthropicBillingError,
    AnthropicBusyError,
    AnthropicConnectTimeoutError,
    AnthropicError,
    AnthropicFirstTokenTimeoutError,
    AnthropicInterTokenTimeoutError,
    AnthropicKeyMissingError,
    AnthropicModelNotFoundError,
    AnthropicProvider,
    AnthropicRateLimitError,
    AnthropicRequestError,
    AnthropicRequestTimeoutError,
    AnthropicRequestTooLargeError,
    AnthropicServerError,
    AnthropicStreamInterruptedError,
    AnthropicUnreachableError,
)
from tests.providers.anthropic.making import KEY, MODEL, PATH, provider_of
from tests.support.anthropic_events import (
    HELLO,
    data_of,
    event_head,
    events,
    message_start,
    refusal,
    text_block,
)
from tests.support.scripted_server import (
    LAST_CHUNK,
    Close,
    Reset,
    ScriptedServer,
    Send,
    black_hole_url,
    chunk,
    document,
    head,
    refusing_url,
    stall,
)

if TYPE_CHECKING:
    from namel3ss.providers.anthropic._stream import AnthropicStream
    from tests.providers.anthropic.making import Make
    from tests.support.scripted_server import Step

_HALF = event_head() + b"".join(chunk(data_of(event)) for event in HELLO[:4])
_NOW = [("retry-after", "0")]


async def failure_of(provider: AnthropicProvider, **overrides: Any) -> AnthropicError:
    """The error of a stream that fails, with what had arrived."""
    arrived = StringIO()
    with pytest.raises(AnthropicError) as raised:
        await _read(provider.stream("Hi", **overrides), arrived)
    assert raised.value.partial_text == arrived.getvalue()
    assert raised.value.base_url == provider.base_url
    return raised.value


async def _read(stream: AnthropicStream, arrived: StringIO) -> None:
    async for piece in stream:
        arrived.write(piece.output_text)


# -- not reached -----------------------------------------------------------------------------------------------


async def test_nobody_listens_there() -> None:
    with refusing_url() as url:
        async with provider_of(url, max_retries=0) as provider:
            error = await failure_of(provider)

    assert isinstance(error, AnthropicUnreachableError)
    assert isinstance(error, ConnectionError)
    assert error.error_type == "connect_refused"
    assert error.message == f"Could not reach Anthropic's API at {url}: connection refused."
    assert "base_url" in (error.suggestion or "")


@pytest.mark.usefixtures("_threads_of_the_loop_end")
async def test_host_is_unknown() -> None:
    async with provider_of("http://no-such-host.invalid:80", max_retries=0) as provider:
        error = await failure_of(provider)

    assert isinstance(error, AnthropicUnreachableError)
    assert error.error_type == "dns"


async def test_connecting_takes_too_long() -> None:
    with black_hole_url() as url:
        async with provider_of(url, connect_timeout=0.1, max_retries=0) as provider:
            error = await failure_of(provider)

    assert isinstance(error, AnthropicConnectTimeoutError)
    assert isinstance(error, TimeoutError)
    assert "no connection within 0.1 s" in error.message


async def test_server_of_plain_http_is_asked_for_tls(server: ScriptedServer) -> None:
    server.on_connect(Close())
    async with provider_of(server.url.replace("http:", "https:"), max_retries=0) as provider:
        error = await failure_of(provider)

    assert isinstance(error, AnthropicUnreachableError)


@pytest.mark.parametrize("end", [Close(), Reset()], ids=["closed", "reset"])
async def test_connection_ends_before_an_answer(server: ScriptedServer, make: Make, end: Step) -> None:
    """Somebody may have begun to answer: nothing is sent a second time."""
    server.on(PATH, [end])

    error = await failure_of(make())

    assert isinstance(error, AnthropicUnreachableError)
    assert error.error_type == "stream_reset"
    assert "without an answer" in error.message
    assert len(server.requests) == 1


# -- refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "kind", "error_type"),
    [
        (refusal(400, "invalid_request_error", "max_tokens: too big"), AnthropicRequestError, "bad_request"),
        (refusal(401, "authentication_error", "invalid x-api-key"), AnthropicAuthError, "auth"),
        (refusal(402, "billing_error", "pay first"), AnthropicBillingError, "auth"),
        (refusal(403, "permission_error", "not for you"), AnthropicAuthError, "auth"),
        (refusal(404, "not_found_error", "model: nope"), AnthropicModelNotFoundError, "model_not_found"),
        (refusal(404, "not_found_error", "Not Found"), AnthropicBadResponseError, "invalid_response"),
        (
            refusal(413, "request_too_large", "Request exceeds the maximum size"),
            AnthropicRequestTooLargeError,
            "bad_request",
        ),
        (refusal(429, "rate_limit_error", "slow down"), AnthropicRateLimitError, "queue_full"),
        (refusal(500, "api_error", "Internal server error"), AnthropicServerError, "upstream_error"),
        (refusal(504, "timeout_error", "too long"), AnthropicServerError, "upstream_error"),
        (refusal(529, "overloaded_error", "Overloaded"), AnthropicBusyError, "queue_full"),
        (document(b"<html>Bad Gateway</html>", 502), AnthropicBadResponseError, "invalid_response"),
        (document(b"<html>Too large</html>", 413), AnthropicRequestTooLargeError, "bad_request"),
        (document(b"", 503), AnthropicBusyError, "queue_full"),
        (document(b"denied", 401), AnthropicAuthError, "auth"),
        (document(b"", 404), AnthropicBadResponseError, "invalid_response"),
    ],
    ids=lambda value: None,
)
async def test_refusal_has_its_error(
    server: ScriptedServer, make: Make, script: list[Step], kind: type[AnthropicError], error_type: str
) -> None:
    server.on(PATH, script)

    error = await failure_of(make(max_retries=0))

    assert type(error) is kind
    assert error.error_type == error_type
    assert error.suggestion or kind is AnthropicRequestError
    assert error.model == MODEL


async def test_redirect_is_not_followed(server: ScriptedServer, make: Make) -> None:
    with ScriptedServer() as other:
        server.on(PATH, document(b"", 307, [("Location", f"{other.url}{PATH}")]))

        error = await failure_of(make())

        assert isinstance(error, AnthropicBadResponseError)
        assert "redirect (HTTP 307)" in error.message
        assert other.requests == []


async def test_missing_key_is_told_before_anything_is_sent(server: ScriptedServer) -> None:
    """The scripted server stands on this machine, so the address is one that is not; nobody connects to it."""
    async with AnthropicProvider("writer", MODEL, environ={}) as provider:
        with pytest.raises(AnthropicKeyMissingError, match="`ANTHROPIC_API_KEY` is not set") as raised:
            await provider.generate("Hi")
        health = await provider.health_check()

    assert "Set ANTHROPIC_API_KEY" in (raised.value.suggestion or "")
    assert health["status"] == "unhealthy"
    assert "ANTHROPIC_API_KEY" in health["error"]


# -- broken answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ([Send(_HALF), Reset()], AnthropicStreamInterruptedError, "connection was lost"),
        ([Send(_HALF), Close()], AnthropicStreamInterruptedError, "connection was lost"),
        ([Send(_HALF + LAST_CHUNK)], AnthropicStreamInterruptedError, "without its last event"),
        (
            [Send(_HALF + chunk(b'event: content_block_delta\ndata: {"type": "cont') + LAST_CHUNK)],
            AnthropicStreamInterruptedError,
            "middle of an event",
        ),
        (
            [Send(_HALF + chunk(b"data: {oops}\n\n") + LAST_CHUNK)],
            AnthropicBadResponseError,
            "not the API's: '{oops}'",
        ),
        (
            [Send(_HALF + chunk(data_of({"type": "content_block_delta", "index": 9, "delta": {}})))],
            AnthropicBadResponseError,
            "has not begun",
        ),
    ],
    ids=["reset", "closed", "no message_stop", "cut inside an event", "no JSON", "a piece of no block"],
)
async def test_answer_breaks_off(
    server: ScriptedServer, make: Make, script: list[Step], kind: type[AnthropicError], words: str
) -> None:
    server.on(PATH, script)

    error = await failure_of(make())

    assert type(error) is kind
    assert words in error.message
    assert error.partial_text == "Hello"
    assert error.chunks == 1
    assert len(server.requests) == 1  # what has begun is never asked for again


@pytest.mark.parametrize(
    ("event_kind", "kind"),
    [
        ("overloaded_error", AnthropicBusyError),
        ("api_error", AnthropicServerError),
        ("rate_limit_error", AnthropicRateLimitError),
        ("some_new_error", AnthropicServerError),
    ],
)
async def test_error_event_ends_the_answer(
    server: ScriptedServer, make: Make, event_kind: str, kind: type[AnthropicError]
) -> None:
    told = {"type": "error", "error": {"type": event_kind, "message": "it happens"}}
    server.on(PATH, events(*HELLO[:4], told, request_id="req_9"))

    error = await failure_of(make())

    assert type(error) is kind
    assert "it happens" in error.message
    assert (error.partial_text, error.request_id) == ("Hello", "req_9")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([Send(head(200, {"Content-Type": "text/html"}, length=6) + b"<html>")], "'text/html', not a stream"),
        (document({"type": "message"}), "'application/json; charset=utf-8', not a stream"),
        ([Send(b"SSH-2.0-OpenSSH_9.6\r\n"), Close()], "not valid HTTP"),
    ],
    ids=["a page", "an answer in one piece", "no HTTP at all"],
)
async def test_something_else_answers(
    server: ScriptedServer, make: Make, script: list[Step], words: str
) -> None:
    server.on(PATH, script)

    error = await failure_of(make())

    assert isinstance(error, AnthropicBadResponseError)
    assert words in error.message


async def test_event_without_end_is_bounded(server: ScriptedServer, make: Make) -> None:
    megabyte = chunk(b"x" * 2**20)
    server.on(PATH, [Send(event_head() + chunk(b"data: ")), *([Send(megabyte)] * 12), stall()])

    error = await failure_of(make())

    assert isinstance(error, AnthropicBadResponseError)
    assert "longer than" in error.message
    assert len(error.message) < 500


async def test_tool_call_that_is_no_json_is_refused(server: ScriptedServer, make: Make) -> None:
    start = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
    broken = [
        message_start(),
        {"type": "content_block_start", "index": 0, "content_block": start},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": '{"ci'},
        },
        {"type": "content_block_stop", "index": 0},
    ]
    cut = {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 5}}
    wrong = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}}
    server.on(PATH, events(*broken, cut, {"type": "message_stop"}), events(*broken, wrong))
    provider = make()

    cut_off = await provider.generate("Hi")
    error = await failure_of(provider)

    assert (cut_off.finish_reason, cut_off.tool_calls, cut_off.metadata["content"]) == ("length", (), [])
    assert isinstance(error, AnthropicBadResponseError)
    assert "tool call of the model is broken" in error.message


# -- too late --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "limits", "kind", "words"),
    [
        ([stall()], {"first_token_timeout": 0.05}, AnthropicFirstTokenTimeoutError, "within 0.05 s"),
        (
            [Send(event_head()), stall()],
            {"first_token_timeout": 0.05},
            AnthropicFirstTokenTimeoutError,
            "within 0.05 s",
        ),
        (
            [Send(_HALF), stall()],
            {"idle_timeout": 0.2},
            AnthropicInterTokenTimeoutError,
            "nothing came for 0.2 s",
        ),
        ([stall()], {"total_timeout": 0.05}, AnthropicRequestTimeoutError, "longer than 0.05 s"),
    ],
    ids=["silence", "only headers", "a pause", "the whole"],
)
async def test_waiting_ends(
    server: ScriptedServer,
    make: Make,
    script: list[Step],
    limits: dict[str, float],
    kind: type[AnthropicError],
    words: str,
) -> None:
    server.on(PATH, script)

    error = await failure_of(make(**limits))

    assert type(error) is kind
    assert isinstance(error, TimeoutError)
    assert words in error.message
    for request in server.requests:  # on a slow machine the limit passes before one is sent
        await request.aborted.reached()


async def test_whole_answer_of_another_call_comes_too_late(server: ScriptedServer, make: Make) -> None:
    server.on(f"{PATH}/count_tokens", [stall()])

    with pytest.raises(AnthropicRequestTimeoutError, match=r"count_tokens took longer than 0\.05 s"):
        await make(total_timeout=0.05).count_tokens("Hi")


# -- trying again ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "turned_away",
    [
        refusal(429, "rate_limit_error", "slow down", _NOW),
        refusal(503, "overloaded_error", "busy", _NOW),
        refusal(529, "overloaded_error", "Overloaded", [("retry-after-ms", "1")]),
        refusal(500, "api_error", "oops", [("x-should-retry", "true")]),
    ],
    ids=["429", "503", "529", "the API says so"],
)
async def test_what_was_turned_away_is_sent_again(
    server: ScriptedServer, make: Make, turned_away: list[Step]
) -> None:
    server.on(PATH, turned_away, turned_away, events(*HELLO))

    response = await make(max_retries=2).generate("Hi")

    assert response.output_text == "Hello there."
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "final",
    [
        refusal(500, "api_error", "oops"),
        refusal(400, "invalid_request_error", "no"),
        refusal(401, "authentication_error", "no"),
        refusal(529, "overloaded_error", "Overloaded", [("x-should-retry", "false")]),
        refusal(429, "rate_limit_error", "tomorrow", [("retry-after", "3600")]),
        document(b"<html>Bad Gateway</html>", 502),
    ],
    ids=["500", "400", "401", "the API forbids it", "much later", "502"],
)
async def test_anything_else_is_final(server: ScriptedServer, make: Make, final: list[Step]) -> None:
    server.on(PATH, final, events(*HELLO))

    await failure_of(make())

    assert len(server.requests) == 1


async def test_retries_are_counted(server: ScriptedServer, make: Make) -> None:
    server.on(PATH, refusal(529, "overloaded_error", "Overloaded", _NOW))

    error = await failure_of(make(max_retries=1))

    assert isinstance(error, AnthropicBusyError)
    assert error.retry_after_s == 0.0
    assert error.retryable
    assert len(server.requests) == 2


async def test_refused_connection_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing can have reached anybody."""
    caplog.set_level(logging.INFO)

    with refusing_url() as url:
        async with provider_of(url, max_retries=1) as provider:
            error = await failure_of(provider)

    assert error.error_type == "connect_refused"
    assert [record.message.split(" in ")[0] for record in caplog.records].count("Retrying") == 1


# -- secrets ---------------------------------------------------------------------------------------------------


async def test_no_key_shows_anywhere(
    server: ScriptedServer, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where a server repeats it."""
    caplog.set_level(logging.DEBUG)
    told = {"type": "error", "error": {"type": "api_error", "message": f"I was sent {KEY} and failed"}}
    server.on(
        PATH,
        refusal(401, "authentication_error", f"{KEY} is not valid"),
        document(f"<html>{KEY}</html>".encode(), 502),
        document(b"hello " + KEY.encode(), headers=[("Content-Type", "text/plain")]),
        events(message_start(), *text_block(0, "Hi"), told),
    )
    provider = make(headers={"X-Proxy": "proxy-secret-77"})

    for _ in range(4):
        error = await failure_of(provider)
        for shown in (str(error), repr(error), str(error.args), repr(provider), repr(provider.config)):
            assert KEY not in shown
            assert "proxy-secret-77" not in shown

    assert KEY not in caplog.text
    assert "proxy-secret-77" not in caplog.text
