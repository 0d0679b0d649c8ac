"""What goes wrong between here and the server: one typed error each, in time, with what had arrived."""

from __future__ import annotations

import gzip
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.providers.local import openai_compatible as package
from namel3ss.providers.local.openai_compatible import OpenAICompatibleProvider
from namel3ss.providers.transport.lines import MAX_LINE_BYTES
from tests.providers.openai_compatible.making import (
    CHAT,
    DONE,
    HELLO,
    STREAM,
    event,
    piece,
    streamed,
    whole,
)
from tests.support.scripted_server import (
    Close,
    Drip,
    Reset,
    ScriptedServer,
    Send,
    Step,
    chunk,
    cut,
    document,
    head,
    refusing_url,
    stall,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Connect = Callable[..., OpenAICompatibleProvider]

BEGUN = Send(head(200, STREAM, chunked=True) + chunk(piece("Hel")))
LONG = MAX_LINE_BYTES + 10


async def failure(provider: OpenAICompatibleProvider, **call: Any) -> package.OpenAICompatibleError:
    with pytest.raises(package.OpenAICompatibleError) as caught:
        await provider.generate("Hi", **call)
    assert caught.value.base_url
    return caught.value


async def test_refused_connection_is_unreachable_and_a_connection_error():
    with refusing_url() as url:
        async with OpenAICompatibleProvider("x", "m", {"base_url": url}, kind="vllm") as provider:
            error = await failure(provider)

    assert isinstance(error, package.OpenAICompatibleUnreachableError)
    assert isinstance(error, ConnectionError)
    assert error.error_type == "connect_refused"
    assert "Could not reach the vLLM server" in error.message


@pytest.mark.parametrize(
    ("script", "kind", "error_type", "partial"),
    [
        ([Reset()], package.OpenAICompatibleUnreachableError, "stream_reset", ""),
        ([Close()], package.OpenAICompatibleUnreachableError, "stream_reset", ""),
        ([BEGUN, Reset()], package.OpenAICompatibleStreamInterruptedError, "stream_reset", "Hel"),
        ([BEGUN, Close()], package.OpenAICompatibleStreamInterruptedError, "stream_reset", "Hel"),
        (
            [BEGUN, Send(chunk(piece("lo")[:20]) + b"0\r\n\r\n")],
            package.OpenAICompatibleStreamInterruptedError,
            "stream_incomplete",
            "Hel",
        ),
        (streamed(piece("Hel")), package.OpenAICompatibleStreamInterruptedError, "stream_incomplete", "Hel"),
        (streamed(), package.OpenAICompatibleStreamInterruptedError, "stream_incomplete", ""),
        (
            streamed(piece("Hel"), b"data: {nonsense\n\n", DONE),
            package.OpenAICompatibleBadResponseError,
            "invalid_response",
            "Hel",
        ),
        (
            streamed(piece("Hel"), event([1, 2])),
            package.OpenAICompatibleBadResponseError,
            "invalid_response",
            "Hel",
        ),
        (
            [BEGUN, Send(chunk(b"data: " + b"x" * LONG))],
            package.OpenAICompatibleBadResponseError,
            "invalid_response",
            "Hel",
        ),
        (
            document(b"<html>Welcome</html>", 200, {"Content-Type": "text/html"}),
            package.OpenAICompatibleBadResponseError,
            "invalid_response",
            "",
        ),
        (
            document(whole({"content": "Hi"})),
            package.OpenAICompatibleBadResponseError,
            "invalid_response",
            "",
        ),
        (
            [
                Send(
                    head(200, {**STREAM, "Content-Encoding": "gzip"}, chunked=True)
                    + chunk(gzip.compress(DONE))
                )
            ],
            package.OpenAICompatibleBadResponseError,
            "invalid_response",
            "",
        ),
        ([Send(b"SSH-2.0-OpenSSH_9.6\r\n"), Close()], package.OpenAICompatibleError, None, ""),
    ],
    ids=[
        "reset at once",
        "closed at once",
        "reset in the middle",
        "closed in the middle",
        "cut in an event",
        "no end",
        "nothing at all",
        "not JSON",
        "not an object",
        "endless line",
        "HTML",
        "JSON in place of a stream",
        "gzip",
        "not HTTP",
    ],
)
async def test_broken_answer_is_one_typed_error_with_what_had_arrived(
    server: ScriptedServer,
    connect: Connect,
    script: list[Step],
    kind: type[package.OpenAICompatibleError],
    error_type: str | None,
    partial: str,
):
    server.on(CHAT, script)

    error = await failure(connect(server))

    assert isinstance(error, kind)
    assert error_type is None or error.error_type == error_type
    assert error.partial_text == partial
    assert len(server.requests) == 1
    assert pickle.loads(pickle.dumps(error)).partial_text == partial


@pytest.mark.parametrize("offset", [0, 40, 333])
async def test_stream_cut_anywhere_is_an_error_and_never_a_short_answer(
    server: ScriptedServer, connect: Connect, offset: int
):
    whole_size = len(b"".join(step.data for step in HELLO if isinstance(step, Send)))
    provider = connect(server)
    for after in range(10 + offset, whole_size - 40, 331):
        server.on(CHAT, cut(HELLO, after))
        assert (await failure(provider)).partial_text in ("", "Hel", "Hello")


async def test_stream_that_comes_byte_by_byte_is_read(server: ScriptedServer, connect: Connect):
    data = b"".join(step.data for step in HELLO if isinstance(step, Send))
    server.on(CHAT, [Drip(data, 0)])

    assert (await connect(server).generate("Hi")).output_text == "Hello"


async def test_half_a_surrogate_and_broken_utf8_lose_no_answer(server: ScriptedServer, connect: Connect):
    broken = b'data: {"choices":[{"delta":{"content":"a\xffb\\ud800"}}]}\n\n'
    server.on(CHAT, streamed(broken, piece(finish="stop"), DONE))

    assert (await connect(server).generate("Hi")).output_text == "a\N{REPLACEMENT CHARACTER}b\ud800"


@pytest.mark.parametrize(
    ("script", "setting", "kind"),
    [
        ([stall()], "first_token_timeout", package.OpenAICompatibleFirstTokenTimeoutError),
        ([BEGUN, stall()], "idle_timeout", package.OpenAICompatibleInterTokenTimeoutError),
        ([BEGUN, stall()], "total_timeout", package.OpenAICompatibleRequestTimeoutError),
    ],
)
async def test_silence_ends_at_its_limit(
    server: ScriptedServer, connect: Connect, script: list[Step], setting: str, kind: type[Exception]
):
    server.on(CHAT, script)

    error = await failure(connect(server), **{setting: 0.05})

    assert isinstance(error, kind)
    assert isinstance(error, TimeoutError)
    await server.requests[0].aborted.reached()


async def test_plain_answer_that_never_comes_ends_at_the_total_limit(
    server: ScriptedServer, connect: Connect
):
    server.on(CHAT, [stall()])

    error = await failure(connect(server, wire="plain", total_timeout=0.05))

    assert isinstance(error, package.OpenAICompatibleRequestTimeoutError)


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{"message": None}]}, [], "text"], ids=str)
async def test_plain_answer_without_an_answer_is_an_error(
    server: ScriptedServer, connect: Connect, body: object
):
    server.on(CHAT, document(body))

    assert isinstance(await failure(connect(server, wire="plain")), package.OpenAICompatibleBadResponseError)


@pytest.mark.parametrize(
    "said",
    [
        event({"error": {"message": "The engine died", "type": "server_error", "code": 500}}),
        event({"object": "error", "message": "The engine died", "type": "InternalServerError", "code": 500}),
        b"event: error\n" + event({"error": "The engine died"}),
    ],
    ids=["object", "flat", "named"],
)
async def test_error_inside_a_stream_ends_it_with_the_servers_words(
    server: ScriptedServer, connect: Connect, said: bytes
):
    server.on(CHAT, streamed(piece("Hel"), said, DONE))

    error = await failure(connect(server))

    assert isinstance(error, package.OpenAICompatibleServerError)
    assert "The engine died" in error.message
    assert error.partial_text == "Hel"
    assert error.request_id == "req_1"


async def test_error_document_in_place_of_a_stream_is_read(server: ScriptedServer, connect: Connect):
    server.on(
        CHAT, document({"error": {"message": "The model `m` does not exist", "code": "model_not_found"}})
    )

    assert isinstance(await failure(connect(server)), package.OpenAICompatibleModelNotFoundError)


# -- again, and never again -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
async def test_request_that_was_turned_away_is_sent_again(
    server: ScriptedServer, connect: Connect, status: int
):
    server.on(CHAT, document({"error": {"message": "later"}}, status, {"Retry-After": "0"}), HELLO)

    assert (await connect(server).generate("Hi")).output_text == "Hello"
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("script", "retry"),
    [
        (document({"error": {"message": "x"}}, 500), 0),
        (document(b"<html>Bad gateway</html>", 502), 0),
        (document({"error": {"message": "x", "code": "insufficient_quota"}}, 429), 0),
        (document({"error": {"message": "x"}}, 503, {"Retry-After": "3600"}), 3600),
        ([Close()], 0),
    ],
    ids=["500", "502", "quota", "asks too much", "closed"],
)
async def test_request_that_may_have_begun_or_would_fail_again_is_not_sent_again(
    server: ScriptedServer, connect: Connect, script: list[Step], retry: int
):
    server.on(CHAT, script)

    error = await failure(connect(server))

    assert len(server.requests) == 1
    assert getattr(error, "retry_after_s", None) in (None, retry)


async def test_retries_end_at_their_number(server: ScriptedServer, connect: Connect):
    server.on(CHAT, document({"error": {"message": "later"}}, 429, {"Retry-After": "0"}))

    error = await failure(connect(server, max_retries=3))

    assert isinstance(error, package.OpenAICompatibleRateLimitError)
    assert error.retry_after_s == 0
    assert len(server.requests) == 4


# -- secrets --------------------------------------------------------------------------------------------------


async def test_redirect_is_not_followed_and_the_key_goes_nowhere(server: ScriptedServer, connect: Connect):
    with ScriptedServer() as other:
        other.on(CHAT, HELLO)
        server.on(CHAT, document(b"", 307, {"Location": f"{other.url}{CHAT}"}))

        error = await failure(connect(server, api_key="sk-secret-1"))

        assert "redirect" in error.message
        assert other.requests == []


@pytest.mark.parametrize(
    "script",
    [
        document({"error": {"message": "Bad key sk-secret-1", "code": "invalid_api_key"}}, 401),
        document(b"<html>Authorization: Bearer sk-secret-1</html>", 403),
        document(b"<html>sk-secret-1</html>", 200, {"Content-Type": "text/html"}),
        streamed(event({"error": {"message": "sk-secret-1 is wrong"}})),
        streamed(b"data: {sk-secret-1\n\n"),
    ],
    ids=["401", "403", "HTML", "event", "nonsense"],
)
async def test_key_that_a_server_repeats_is_in_no_error(
    server: ScriptedServer, connect: Connect, script: list[Step]
):
    server.on(CHAT, script)

    error = await failure(connect(server, api_key="sk-secret-1"))

    assert "sk-secret-1" not in str(error) + repr(error)


async def test_missing_key_for_openai_names_the_variable_and_sends_nothing():
    provider = OpenAICompatibleProvider("x", "gpt-4o", environ={})

    error = await failure(provider)
    health = await provider.health_check()
    await provider.aclose()

    assert isinstance(error, package.OpenAICompatibleKeyMissingError)
    assert "OPENAI_API_KEY" in error.message
    assert health["status"] == "unhealthy"


async def test_key_of_the_environment_goes_to_no_address_of_the_file(server: ScriptedServer):
    server.on(CHAT, HELLO)
    environ = {"OPENAI_API_KEY": "sk-secret-1"}
    settings = {"base_url": f"{server.url}/v1"}

    async with OpenAICompatibleProvider("x", "m", settings, environ=environ) as provider:
        await provider.generate("Hi")
    environ["OPENAI_BASE_URL"] = f"{server.url}/v1"
    async with OpenAICompatibleProvider("x", "m", {}, environ=environ) as provider:
        await provider.generate("Hi")

    assert [request.header("authorization") for request in server.requests] == [None, "Bearer sk-secret-1"]
