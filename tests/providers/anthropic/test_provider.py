"""The provider against a server on a real socket that plays what the API sends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.anthropic import (
    AnthropicCapabilityError,
    AnthropicModelNotFoundError,
    AnthropicProvider,
    AnthropicStreamInterruptedError,
)
from namel3ss.providers.base import ProviderMessage, ProviderResponse, ToolCall, Usage
from tests.providers.anthropic.making import KEY, MODEL, PATH, WEATHER, provider_of
from tests.support.anthropic_events import (
    HELLO,
    block_start,
    block_stop,
    data_of,
    delta,
    event_head,
    events,
    message_end,
    message_start,
    refusal,
    text_block,
    thinking_block,
    tool_block,
)
from tests.support.scripted_server import LAST_CHUNK, Gate, ScriptedServer, Send, chunk, document, stall

if TYPE_CHECKING:
    from tests.providers.anthropic.making import Make


async def test_generate_gives_the_whole_answer(server: ScriptedServer, make: Make) -> None:
    server.on(PATH, events(*HELLO, request_id="req_7"))

    response = await make().generate("Hi")

    assert response.output_text == "Hello there."
    assert response.model == MODEL
    assert response.finish_reason == "stop"
    assert response.usage == Usage(12, 7)
    assert response.metadata["provider"] == "anthropic"
    assert response.metadata["request_id"] == "req_7"
    assert response.metadata["message_id"] == "msg_01"
    assert response.metadata["stop_reason"] == "end_turn"
    assert response.metadata["content"] == [{"type": "text", "text": "Hello there."}]
    assert response.timings.first_token_s is not None


async def test_request_has_the_headers_and_the_form_of_the_api(server: ScriptedServer, make: Make) -> None:
    server.on(PATH, events(*HELLO))

    await make(betas=["files-2025", "other"]).generate("Hi", system="Be brief.", temperature=0.5)

    (request,) = server.requests
    assert request.method == "POST"
    assert request.header("x-api-key") == KEY
    assert request.header("anthropic-version") == "2023-06-01"
    assert request.header("anthropic-beta") == "files-2025,other"
    assert request.header("authorization") is None
    assert request.json == {
        "model": MODEL,
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "system": "Be brief.",
        "temperature": 0.5,
    }


async def test_stream_gives_the_pieces_and_at_last_the_totals(server: ScriptedServer, make: Make) -> None:
    server.on(PATH, events(*HELLO))

    chunks = [chunk async for chunk in make().stream("Hi")]

    assert [chunk.output_text for chunk in chunks] == ["Hello", " there.", ""]
    assert [chunk.metadata.get("done", False) for chunk in chunks] == [False, False, True]
    assert chunks[-1].metadata["tokens"] == {"prompt": 12, "completion": 7, "total": 19}


async def test_next_request_uses_the_connection_again(server: ScriptedServer, make: Make) -> None:
    server.on(PATH, events(*HELLO))
    provider = make()

    for _ in range(3):
        await provider.generate("Hi")

    assert server.connections_made == 1


async def test_piece_is_given_out_before_the_next_one_comes(server: ScriptedServer, make: Make) -> None:
    gate = Gate()
    first, rest = HELLO[:4], HELLO[4:]
    server.on(
        PATH,
        [
            Send(event_head()),
            Send(b"".join(chunk(data_of(event)) for event in first)),
            gate,
            Send(b"".join(chunk(data_of(event)) for event in rest) + LAST_CHUNK),
        ],
    )

    async with make().stream("Hi") as stream:
        assert (await anext(stream)).output_text == "Hello"
        gate.open()
        assert (await stream.result()).output_text == "Hello there."


# -- thinking and tools ----------------------------------------------------------------------------------------


async def test_calls_of_tools_come_whole_with_their_ids(server: ScriptedServer, make: Make) -> None:
    server.on(
        PATH,
        events(
            message_start(),
            *text_block(0, "Let me look."),
            *tool_block(1, "toolu_1", "get_weather", '{"ci', 'ty": "Par', 'is"}'),
            *tool_block(2, "toolu_2", "now"),
            *message_end("tool_use"),
        ),
    )

    response = await make().generate("Weather?", tools=[WEATHER, {"name": "now"}])

    assert response.tool_calls == (
        ToolCall("get_weather", {"city": "Paris"}, "toolu_1", 0),
        ToolCall("now", {}, "toolu_2", 1),
    )
    assert response.finish_reason == "tool_calls"
    assert response.output_text == "Let me look."
    assert server.requests[0].json["tools"] == [
        WEATHER,
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
    ]


async def test_turn_with_thinking_goes_back_block_for_block(server: ScriptedServer, make: Make) -> None:
    server.on(
        PATH,
        events(
            message_start(),
            *thinking_block(0, "The user ", "asks.", signature="EqQBCgIYAhIM"),
            block_start(1, type="redacted_thinking", data="EmwKAhgBEgy3"),
            block_stop(1),
            *tool_block(2, "toolu_1", "get_weather", '{"city": "Paris"}'),
            *tool_block(3, "toolu_2", "get_weather", '{"city": "Rome"}'),
            *message_end("tool_use"),
        ),
        events(*HELLO),
    )
    provider = make(thinking=2048, tools=[WEATHER])
    question = {"role": "user", "content": "Weather in Paris and Rome?"}

    first = await provider.generate([question])
    await provider.generate(
        [
            question,
            first.as_message(),
            ProviderMessage("tool", "18 C", tool_call_id="toolu_1"),
            ProviderMessage("tool", "no such city", tool_call_id="toolu_2", is_error=True),
            {"role": "user", "content": "Be brief."},
        ]
    )

    assert first.thinking == "The user asks."
    assert server.requests[0].json["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert server.requests[1].json["messages"] == [
        {"role": "user", "content": "Weather in Paris and Rome?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "The user asks.", "signature": "EqQBCgIYAhIM"},
                {"type": "redacted_thinking", "data": "EmwKAhgBEgy3"},
                {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
                {"type": "tool_use", "id": "toolu_2", "name": "get_weather", "input": {"city": "Rome"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 C"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": "no such city",
                    "is_error": True,
                },
                {"type": "text", "text": "Be brief."},
            ],
        },
    ]


async def test_thinking_streams_apart_from_the_text(server: ScriptedServer, make: Make) -> None:
    answer = (*thinking_block(0, "Hm", "m."), *text_block(1, "Yes."))
    server.on(PATH, events(message_start(), *answer, *message_end()))

    chunks = [chunk async for chunk in make(thinking="adaptive").stream("?")]

    assert [(chunk.thinking, chunk.output_text) for chunk in chunks] == [
        ("Hm", ""),
        ("m.", ""),
        ("", "Yes."),
        ("", ""),
    ]
    assert server.requests[0].json["thinking"] == {"type": "adaptive"}


async def test_tokens_of_the_cache_are_part_of_the_prompt(server: ScriptedServer, make: Make) -> None:
    start = message_start(cache_read_input_tokens=1000, cache_creation_input_tokens=50)
    server.on(PATH, events(start, *text_block(0, "Hi"), *message_end()))

    response = await make(cache_control="1h").generate("Hi")

    assert response.usage == Usage(1062, 7, cache_read_tokens=1000, cache_creation_tokens=50)
    assert response.metadata["tokens"] == {
        "prompt": 1062,
        "completion": 7,
        "total": 1069,
        "cache_read": 1000,
        "cache_creation": 50,
    }
    assert server.requests[0].json["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


async def test_citations_and_events_nobody_knows_do_no_harm(server: ScriptedServer, make: Make) -> None:
    server.on(
        PATH,
        events(
            message_start(),
            {"type": "session_hint", "index": "soon", "message": "of another form"},
            block_start(0, type="text", text=""),
            delta(0, "text_delta", text="As said."),
            delta(0, "citations_delta", citation={"type": "char_location", "cited_text": "said"}),
            delta(0, "mood_delta", mood="good"),
            block_stop(0),
            *message_end(),
        ),
    )

    response = await make().generate("Hi")

    assert response.output_text == "As said."
    assert response.metadata["content"] == [
        {
            "type": "text",
            "text": "As said.",
            "citations": [{"type": "char_location", "cited_text": "said"}],
        }
    ]


# -- batches, other calls --------------------------------------------------------------------------------------


async def test_batch_keeps_the_order_and_the_errors(server: ScriptedServer, make: Make) -> None:
    server.on(PATH, events(*HELLO), refusal(400, "invalid_request_error", "no"), events(*HELLO))

    results = await make().generate_batch(["a", "b", "c"], max_concurrency=1)

    kinds = [type(result).__name__ for result in results]
    assert kinds == ["ProviderResponse", "AnthropicRequestError", "ProviderResponse"]


async def test_batch_is_checked_before_anything_is_sent(server: ScriptedServer, make: Make) -> None:
    with pytest.raises(UsageError, match=r"messages\[0\]"):
        await make().generate_batch(["fine", [{"role": "nobody", "content": "x"}]])

    assert server.requests == []


async def test_tokens_are_counted_by_the_api(server: ScriptedServer, make: Make) -> None:
    server.on(f"{PATH}/count_tokens", document({"input_tokens": 42}))

    tokens = await make(temperature=0.3, tools=[WEATHER]).count_tokens("Hi", system="Be brief.")

    assert tokens == 42
    assert server.requests[0].json == {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Hi"}],
        "system": "Be brief.",
        "tools": [WEATHER],
    }


async def test_models_are_listed_page_after_page(server: ScriptedServer, make: Make) -> None:
    first = {"data": [{"id": "a"}], "has_more": True, "last_id": "a"}
    server.on("/v1/models?limit=1000", document(first))
    server.on("/v1/models?limit=1000&after_id=a", document({"data": [{"id": "b"}], "has_more": False}))

    assert await make().list_models() == [{"id": "a"}, {"id": "b"}]


async def test_embedding_says_what_to_use_instead(server: ScriptedServer, make: Make) -> None:
    with pytest.raises(AnthropicCapabilityError, match="no embeddings") as raised:
        await make().embed(["a"])

    assert "provider: ollama" in (raised.value.suggestion or "")
    assert server.requests == []


@pytest.mark.parametrize(
    ("listed", "asked", "status"),
    [
        (document({"data": [{"id": MODEL}]}), None, "healthy"),
        (document({"data": [{"id": "other"}]}), document({"id": MODEL}), "healthy"),
        (document({"data": []}), refusal(404, "not_found_error", f"model: {MODEL}"), "degraded"),
        (document({"x": 1}, 404), None, "degraded"),
        (refusal(401, "authentication_error", "invalid x-api-key"), None, "unhealthy"),
        (document({"oops": 1}, 500), None, "unhealthy"),
    ],
    ids=["listed", "an alias", "no such model", "no list", "bad key", "failing"],
)
async def test_health_tells_how_api_and_model_are(
    server: ScriptedServer, make: Make, listed: Any, asked: Any, status: str
) -> None:
    server.on("/v1/models?limit=1000", listed)
    if asked is not None:
        server.on(f"/v1/models/{MODEL}", asked)

    health = await make(max_retries=0).health_check()

    assert health["status"] == status
    assert health["model_available"] is (status == "healthy")
    assert (health.get("error") is None) is (status == "healthy")
    assert health["server_health"]["response_time_ms"] >= 0


async def test_health_is_remembered_for_a_while(server: ScriptedServer, make: Make) -> None:
    server.on("/v1/models?limit=1000", document({"data": [{"id": MODEL}]}))
    provider = make()

    await provider.health_check()
    await provider.health_check()
    await provider.health_check(force=True)

    assert len(server.requests) == 2


async def test_model_that_is_missing_is_named(server: ScriptedServer, make: Make) -> None:
    server.on("/v1/models/nope", refusal(404, "not_found_error", "model: nope"))

    with pytest.raises(AnthropicModelNotFoundError, match="no model 'nope'"):
        await make().show_model("nope")


# -- leaving early ---------------------------------------------------------------------------------------------


async def test_leaving_a_stream_drops_the_connection(server: ScriptedServer, make: Make) -> None:
    server.on(PATH, [Send(event_head()), *(Send(chunk(data_of(event))) for event in HELLO[:4]), stall()])

    async with make().stream("Hi") as stream:
        assert (await anext(stream)).output_text == "Hello"

    await server.requests[0].aborted.reached()


async def test_cancelling_the_task_drops_the_connection(server: ScriptedServer, make: Make) -> None:
    server.on(PATH, [Send(event_head()), stall()])
    task = asyncio.create_task(make().generate("Hi"))
    await server.requests_reached(1)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await server.requests[0].aborted.reached()


async def test_closing_the_provider_ends_its_streams_with_a_reason(server: ScriptedServer) -> None:
    server.on(PATH, [Send(event_head()), *(Send(chunk(data_of(event))) for event in HELLO[:4]), stall()])
    provider = provider_of(server.url)
    stream = provider.stream("Hi")
    await anext(stream)

    await provider.aclose()

    with pytest.raises(AnthropicStreamInterruptedError, match="provider was closed") as raised:
        await anext(stream)
    assert raised.value.partial_text == "Hello"
    with pytest.raises(RuntimeError, match="'writer' is closed"):
        await provider.generate("Hi")
    assert (await provider.health_check())["error"] == "The provider 'writer' is closed."


def test_code_without_asyncio_has_the_same_calls(server: ScriptedServer) -> None:
    server.on(PATH, events(*HELLO))
    server.on(f"{PATH}/count_tokens", document({"input_tokens": 42}))

    with provider_of(server.url).sync as provider:
        whole = provider.generate("Hi")
        with provider.stream("Hi") as stream:
            pieces = [chunk.output_text for chunk in stream]
        batch = provider.generate_batch(["a", "b"])
        tokens = provider.count_tokens("Hi")

    assert whole.output_text == "".join(pieces) == "Hello there."
    assert [isinstance(each, ProviderResponse) for each in batch] == [True, True]
    assert tokens == 42
    assert not [thread for thread in threading.enumerate() if "writer" in thread.name]


async def test_two_event_loops_may_share_a_provider(server: ScriptedServer, make: Make) -> None:
    server.on(PATH, events(*HELLO))
    provider = make()

    here = await provider.generate("Hi")
    there = await asyncio.to_thread(asyncio.run, provider.generate("Hi"))
    await asyncio.get_running_loop().shutdown_default_executor()

    assert here.output_text == there.output_text == "Hello there."


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, namel3ss.providers.anthropic as package; package.AnthropicProvider;"
        "print([name for name in ('aiohttp', 'httpx', 'pydantic', 'opentelemetry') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


def test_making_a_provider_contacts_nobody_and_checks_its_settings() -> None:
    provider = AnthropicProvider("writer", MODEL, environ={})

    assert provider.base_url == "https://api.anthropic.com"
    assert (provider.temperature, provider.max_tokens) == (None, 4096)
    with pytest.raises(UsageError, match="is not a model name"):
        AnthropicProvider("writer", "claude sonnet")
    with pytest.raises(UsageError, match=r"temperature must be a number from 0 to 1, not 1\.5"):
        AnthropicProvider("writer", MODEL, {"temperature": 1.5})
