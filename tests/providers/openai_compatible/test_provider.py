"""OpenAICompatibleProvider on real sockets: what goes out, what comes back, and what stops."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from namel3ss.errors import UsageError
from namel3ss.providers.base import ProviderMessage, ToolCall
from namel3ss.providers.local import openai_compatible as package
from namel3ss.providers.local.openai_compatible import OpenAICompatibleProvider
from tests.contract.recordings import recording
from tests.providers.openai_compatible.making import (
    CHAT,
    DONE,
    HELLO,
    STREAM,
    call_piece,
    event,
    piece,
    replayed,
    streamed,
    usage,
    whole,
)
from tests.support.scripted_server import Send, chunk, document, head, stall

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.scripted_server import ScriptedServer

    Connect = Callable[..., OpenAICompatibleProvider]

PNG = b"\x89PNG\r\n\x1a\n"
TOOL = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


# -- answers --------------------------------------------------------------------------------------------------


async def test_whole_answer_has_text_usage_reason_model_and_metadata(
    server: ScriptedServer, connect: Connect
):
    server.on(CHAT, HELLO)

    response = await connect(server).generate("Hi")

    assert response.output_text == "Hello"
    assert response.model == "served-model"
    assert response.finish_reason == "stop"
    assert dict(response.usage) == {"prompt_tokens": 6, "completion_tokens": 7, "total_tokens": 13}
    assert response.metadata["provider"] == "vllm"
    assert response.metadata["done"] is True
    assert response.metadata["served_by"] == f"{server.url}/v1"
    assert response.metadata["tokens"] == {"prompt": 6, "completion": 7, "total": 13}
    assert response.metadata["request_id"] == "req_1"
    assert response.timings.first_token_s is not None
    assert server.requests[0].json == {
        "model": "asked-model",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": "Hi"}],
    }


@pytest.mark.parametrize("together", [False, True])
async def test_stream_gives_each_piece_and_the_totals_last(
    server: ScriptedServer, connect: Connect, together: bool
):
    events = (piece("Hel"), piece("lo"), piece(finish="length"), usage(), DONE)
    server.on(CHAT, streamed(*events, together=together))

    async with connect(server).stream("Hi") as stream:
        chunks = [each async for each in stream]

    assert [each.output_text for each in chunks] == ["Hel", "lo", ""]
    assert chunks[0].metadata == {}
    assert chunks[-1].metadata["done"] is True
    assert chunks[-1].metadata["finish_reason"] == "length"
    assert chunks[-1].metadata["tokens"]["total"] == 13
    await server.requests[0].answered.reached()


async def test_plain_wire_asks_for_one_document(server: ScriptedServer, connect: Connect):
    message = {"content": "Hello", "reasoning_content": "Hm."}
    server.on(CHAT, document(whole(message)))

    response = await connect(server, wire="plain").generate("Hi")

    assert (response.output_text, response.thinking) == ("Hello", "Hm.")
    assert response.usage.total_tokens == 13
    assert "stream_options" not in server.requests[0].json
    assert server.requests[0].json["stream"] is False


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_reasoning_is_thinking_under_both_of_its_names(
    server: ScriptedServer, connect: Connect, name: str
):
    server.on(CHAT, streamed(piece(**{name: "Let me"}), piece("Yes"), piece(finish="stop"), DONE))

    async with connect(server).stream("Hi") as stream:
        chunks = [each async for each in stream]
        response = await stream.result()

    assert chunks[0].thinking == "Let me"
    assert (response.thinking, response.output_text) == ("Let me", "Yes")


async def test_details_of_usage_are_kept_and_nonsense_is_left_out(server: ScriptedServer, connect: Connect):
    details = {
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }
    server.on(CHAT, streamed(piece("x", finish="stop"), usage(**details), DONE))
    odd = {"prompt_tokens": -1, "completion_tokens": True, "prompt_tokens_details": 7}

    response = await connect(server).generate("Hi")
    server.on(CHAT, streamed(piece("x", finish="stop"), event({"choices": [], "usage": odd}), DONE))
    without = await connect(server).generate("Hi")

    assert response.usage.cache_read_tokens == 4
    assert response.metadata["tokens"]["reasoning"] == 5
    assert dict(without.usage) == {}


async def test_missing_usage_is_absent_not_zero(server: ScriptedServer, connect: Connect):
    server.on(CHAT, streamed(piece("Hi", finish="stop"), DONE))

    response = await connect(server, stream_usage=False).generate("Hi")

    assert dict(response.usage) == {}
    assert response.metadata["tokens"] == {}
    assert "stream_options" not in server.requests[0].json


async def test_missing_done_after_a_finish_reason_is_a_complete_answer(
    server: ScriptedServer, connect: Connect
):
    server.on(CHAT, streamed(piece("Hi", finish="stop")))
    provider = connect(server)

    assert (await provider.generate("Hi")).output_text == "Hi"
    async with provider.stream("Hi") as stream:
        assert [each.output_text async for each in stream] == ["Hi", ""]


async def test_done_without_a_finish_reason_is_a_complete_answer(server: ScriptedServer, connect: Connect):
    server.on(CHAT, streamed(piece("Hi"), DONE))

    response = await connect(server).generate("Hi")

    assert (response.output_text, response.finish_reason) == ("Hi", None)


async def test_words_of_a_model_that_declines_are_its_text_and_marked(
    server: ScriptedServer, connect: Connect
):
    server.on(CHAT, streamed(piece(refusal="I cannot."), piece(finish="stop"), DONE))

    response = await connect(server).generate("Hi")

    assert response.output_text == "I cannot."
    assert response.metadata["refusal"] is True


async def test_log_probabilities_of_all_pieces_are_in_the_metadata(server: ScriptedServer, connect: Connect):
    one, two = {"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -0.2}

    def with_logprobs(text: str, found: object) -> bytes:
        choice = {"delta": {"content": text}, "logprobs": {"content": [found]}}
        return event({"choices": [choice]})

    server.on(CHAT, streamed(with_logprobs("a", one), with_logprobs("b", two), piece(finish="stop"), DONE))

    response = await connect(server).generate("Hi", logprobs=True, top_logprobs=2)

    assert response.metadata["logprobs"] == [one, two]
    assert server.requests[0].json["logprobs"] is True
    assert server.requests[0].json["top_logprobs"] == 2


async def test_odd_pieces_of_other_servers_are_read(server: ScriptedServer, connect: Connect):
    parts = [{"type": "text", "text": "Hel"}, {"type": "reference"}]
    server.on(
        CHAT,
        streamed(
            event({"choices": [], "prompt_filter_results": []}),
            b": keep-alive\n\n",
            piece(parts, finish=""),
            event({"choices": [{"index": 1, "delta": {"content": "another"}, "finish_reason": "stop"}]}),
            piece("lo"),
            event({"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}], "usage": None}),
            DONE,
        ),
    )

    response = await connect(server).generate("Hi")

    assert (response.output_text, response.finish_reason) == ("Hello", "stop")


async def test_long_answer_is_whole(server: ScriptedServer, connect: Connect):
    words = [f"w{number} " for number in range(3000)]
    server.on(CHAT, streamed(*map(piece, words), piece(finish="stop"), DONE, together=True))

    response = await connect(server).generate("Hi")

    assert response.output_text == "".join(words)


# -- tools ----------------------------------------------------------------------------------------------------


async def test_fragments_of_parallel_calls_are_put_together_by_index(
    server: ScriptedServer, connect: Connect
):
    server.on(
        CHAT,
        streamed(
            call_piece(0, call_id="a", name="weather", arguments=""),
            call_piece(0, arguments='{"ci'),
            call_piece(1, call_id="b", name="time", arguments='{"zone"'),
            call_piece(0, arguments='ty": "Par'),
            call_piece(1, arguments=': "CET"}'),
            call_piece(0, arguments='is"}'),
            piece(finish="tool_calls"),
            usage(),
            DONE,
        ),
    )

    async with connect(server).stream("Hi", tools=[TOOL]) as stream:
        chunks = [each async for each in stream]
        response = await stream.result()

    expected = (ToolCall("weather", {"city": "Paris"}, "a", 0), ToolCall("time", {"zone": "CET"}, "b", 1))
    assert [each.tool_calls for each in chunks if each.tool_calls] == [expected]
    assert response.tool_calls == expected
    assert response.finish_reason == "tool_calls"
    assert server.requests[0].json["tools"] == [{"type": "function", "function": TOOL}]


@pytest.mark.parametrize("indexes", [(0, 0), (None, None)])
async def test_whole_calls_that_are_numbered_badly_stay_apart(
    server: ScriptedServer, connect: Connect, indexes: tuple[int | None, int | None]
):
    first, second = indexes
    server.on(
        CHAT,
        streamed(
            call_piece(first, call_id="a", name="one", arguments="{}"),
            call_piece(second, call_id="b", name="two", arguments={"n": 1}),
            piece(finish="tool_calls"),
            DONE,
        ),
    )

    response = await connect(server).generate("Hi", tools=[TOOL])

    assert [(call.name, call.arguments) for call in response.tool_calls] == [("one", {}), ("two", {"n": 1})]


@pytest.mark.parametrize(("finish", "advice"), [("length", "Raise max_tokens"), ("tool_calls", "Retry")])
async def test_call_with_broken_arguments_is_an_error_that_keeps_the_text(
    server: ScriptedServer, connect: Connect, finish: str, advice: str
):
    broken = call_piece(0, call_id="a", name="weather", arguments='{"city": "Par')
    server.on(CHAT, streamed(piece("Looking"), broken, piece(finish=finish), DONE))

    with pytest.raises(package.OpenAICompatibleBadResponseError) as caught:
        await connect(server).generate("Hi", tools=[TOOL])

    assert "'weather' are no JSON object" in caught.value.message
    assert advice in (caught.value.suggestion or "")
    assert caught.value.partial_text == "Looking"


async def test_round_trip_of_a_tool_goes_out_in_the_protocols_form(server: ScriptedServer, connect: Connect):
    server.on(CHAT, HELLO)
    call = ToolCall("weather", {"city": "Paris"}, "call_9")

    await connect(server).generate(
        [
            ProviderMessage("user", "Weather?"),
            ProviderMessage("assistant", tool_calls=[call]),
            ProviderMessage("tool", "18 C", tool_call_id="call_9", tool_name="weather"),
        ],
        tools=[TOOL],
        tool_choice="weather",
        parallel_tool_calls=False,
    )

    sent = server.requests[0].json
    assert sent["messages"][1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_9",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Paris"}'},
                }
            ],
        },
        {"role": "tool", "content": "18 C", "tool_call_id": "call_9"},
    ]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert sent["parallel_tool_calls"] is False


async def test_calls_without_ids_get_them_and_their_answers_follow(server: ScriptedServer, connect: Connect):
    server.on(CHAT, HELLO)

    await connect(server).generate(
        [
            {"role": "user", "content": "?"},
            {
                "role": "assistant",
                "tool_calls": [
                    {"function": {"name": "a", "arguments": {}}},
                    {"function": {"name": "b", "arguments": {}}},
                ],
            },
            {"role": "tool", "content": "of b", "name": "b"},
            {"role": "tool", "content": "of a", "name": "a"},
        ]
    )

    sent = server.requests[0].json["messages"]
    ids = [call["id"] for call in sent[1]["tool_calls"]]
    assert len(set(ids)) == 2
    assert [message["tool_call_id"] for message in sent[2:]] == [ids[1], ids[0]]


async def test_answer_of_a_tool_that_nobody_called_is_refused_before_sending(
    server: ScriptedServer, connect: Connect
):
    with pytest.raises(UsageError, match="nobody called"):
        await connect(server).generate([{"role": "tool", "content": "18 C"}])
    assert server.requests == []


# -- what goes out --------------------------------------------------------------------------------------------


async def test_images_are_sent_as_data_uris_beside_the_text(server: ScriptedServer, connect: Connect):
    server.on(CHAT, HELLO)

    await connect(server).generate("Look", images=[PNG, b"\xff\xd8\xff\xe0"])

    content = server.requests[0].json["messages"][0]["content"]
    assert content[0] == {"type": "text", "text": "Look"}
    assert content[1]["image_url"]["url"].startswith("data:image/png;base64,iVBORw")
    assert content[2]["image_url"]["url"].startswith("data:image/jpeg;base64,")


class City(BaseModel):
    name: str


@pytest.mark.parametrize("name", ["format", "response_format"])
@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ("json", {"type": "json_object"}),
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            City,
            {"type": "json_schema", "json_schema": {"name": "City", "schema": City.model_json_schema()}},
        ),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "object"}, "strict": True},
            },
            {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"type": "object"}, "strict": True},
            },
        ),
        (
            {"type": "object", "title": "My answer"},
            {
                "type": "json_schema",
                "json_schema": {"name": "Myanswer", "schema": {"type": "object", "title": "My answer"}},
            },
        ),
        (None, None),
    ],
    ids=["json", "object", "model", "openai", "schema", "none"],
)
async def test_formats_of_other_apis_become_a_response_format(
    server: ScriptedServer, connect: Connect, name: str, wanted: Any, sent: object
):
    server.on(CHAT, HELLO)

    await connect(server).generate("Hi", **{name: wanted})

    assert server.requests[0].json.get("response_format") == sent


async def test_system_replaces_the_instruction_and_overrides_replace_settings(
    server: ScriptedServer, connect: Connect
):
    server.on(CHAT, HELLO)
    provider = connect(server, temperature=0.1, max_tokens=5, top_k=3, extra={"priority": 2})

    await provider.generate(
        [{"role": "system", "content": "Be long."}, {"role": "user", "content": "Hi"}],
        system="Be brief.",
        temperature=0.9,
        max_completion_tokens=9,
    )

    sent = server.requests[0].json
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (sent["temperature"], sent["top_k"], sent["priority"]) == (0.9, 3, 2)
    assert sent["max_completion_tokens"] == 9
    assert "max_tokens" not in sent


async def test_settings_of_the_server_are_never_sent(server: ScriptedServer, connect: Connect):
    server.on(CHAT, HELLO)
    deployment = {"gpu_memory_utilization": 0.9, "tensor_parallel_size": 2, "dtype": "half"}

    await connect(server, deployment_config=deployment).generate("Hi")

    assert not server.requests[0].json.keys() & deployment.keys()


async def test_key_account_and_headers_go_with_every_request(server: ScriptedServer, connect: Connect):
    server.on(CHAT, HELLO)
    provider = connect(
        server,
        kind="openai",
        api_key="sk-secret-1",
        organization="org-1",
        project="proj-1",
        headers={"X-Team": "blue-team"},
    )

    await provider.generate("Hi")

    request = server.requests[0]
    assert request.header("authorization") == "Bearer sk-secret-1"
    assert request.header("openai-organization") == "org-1"
    assert request.header("openai-project") == "proj-1"
    assert request.header("x-team") == "blue-team"
    assert "sk-secret-1" not in repr(provider) + repr(provider.config)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"temprature": 1}, "Unknown setting `temprature`"),
        ({"temperature": 3}, "temperature must be a number from 0 to 2, not 3"),
        ({"format": "xml"}, "neither 'json' nor a JSON Schema"),
        ({"format": "json", "response_format": "json"}, "mean the same"),
        ({"tools": [{"nonsense": 1}]}, "does not describe a tool"),
        ({"images": "x.png"}, "images must be a list"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "mean the same"),
    ],
)
async def test_wrong_call_is_refused_before_anything_is_sent(
    server: ScriptedServer, connect: Connect, call: dict[str, Any], words: str
):
    with pytest.raises(UsageError, match=words):
        await connect(server).generate("Hi", **call)
    assert server.requests == []


# -- batches, vectors, models ---------------------------------------------------------------------------------


async def test_batch_answers_in_order_with_errors_in_their_places(server: ScriptedServer, connect: Connect):
    server.on(CHAT, HELLO, document({"error": {"message": "broken"}}, 500), HELLO)

    results = await connect(server).generate_batch(["a", "b", "c"], max_concurrency=1)

    assert [type(result).__name__ for result in results] == [
        "ProviderResponse",
        "OpenAICompatibleServerError",
        "ProviderResponse",
    ]


async def test_vectors_come_in_the_order_of_the_texts(server: ScriptedServer, connect: Connect):
    data = [{"index": 1, "embedding": [3, 4]}, {"index": 0, "embedding": [1, 2]}]
    server.on("/v1/embeddings", document({"data": data, "model": "e", "usage": {"prompt_tokens": 2}}))

    response = await connect(server, temperature=1).embed(["a", "b"], dimensions=2)

    assert response.embeddings == [[1.0, 2.0], [3.0, 4.0]]
    assert response.usage.prompt_tokens == 2
    assert server.requests[0].json == {
        "model": "asked-model",
        "input": ["a", "b"],
        "encoding_format": "float",
        "dimensions": 2,
    }


@pytest.mark.parametrize(
    "data",
    [[], [{"index": 0, "embedding": [1]}] * 2, [{"index": 0, "embedding": [1]}]],
    ids=["none", "twice", "one"],
)
async def test_vectors_that_miss_a_text_are_an_error(
    server: ScriptedServer, connect: Connect, data: list[Any]
):
    server.on("/v1/embeddings", document({"data": data}))

    with pytest.raises(package.OpenAICompatibleBadResponseError, match="vectors for 2 texts"):
        await connect(server).embed(["a", "b"])


async def test_models_are_listed_and_shown_as_the_server_describes_them(
    server: ScriptedServer, connect: Connect
):
    server.on("/v1/models", document({"data": [{"id": "a", "max_model_len": 4096}, {"no": "id"}]}))
    server.on("/v1/models/org/a", document({"id": "org/a"}))
    provider = connect(server)

    assert await provider.list_models() == [{"id": "a", "max_model_len": 4096}]
    assert await provider.show_model("org/a") == {"id": "org/a"}


@pytest.mark.parametrize(
    ("listed", "shown", "status", "is_available"),
    [
        (document({"data": [{"id": "asked-model"}]}), None, "healthy", True),
        (
            document({"data": [{"id": "asked-model:latest"}]}),
            document({"id": "asked-model"}),
            "healthy",
            True,
        ),
        (
            document({"data": None}),
            document({"error": {"message": "x", "code": "model_not_found"}}, 404),
            "degraded",
            False,
        ),
        (document(b"404 page not found", 404), None, "degraded", False),
        (document({"error": "no"}, 401), None, "unhealthy", False),
    ],
    ids=["listed", "alias", "missing", "no list", "refused"],
)
async def test_health_tells_server_and_model_apart(
    server: ScriptedServer, connect: Connect, listed: Any, shown: Any, status: str, is_available: bool
):
    server.on("/v1/models", listed)
    if shown is not None:
        server.on("/v1/models/asked-model", shown)

    health = await connect(server).health_check()

    assert (health["status"], health["model_available"]) == (status, is_available)
    assert health["server_health"]["status"] == ("unhealthy" if status == "unhealthy" else "healthy")


async def test_health_is_remembered_and_never_raises(server: ScriptedServer, connect: Connect):
    server.on("/v1/models", document({"data": [{"id": "asked-model"}]}))
    provider = connect(server)

    await provider.health_check()
    await provider.health_check()
    assert len(server.requests) == 1
    await provider.health_check(force=True)
    assert len(server.requests) == 2
    await provider.aclose()
    assert (await provider.health_check(force=True))["status"] == "unhealthy"


# -- the end --------------------------------------------------------------------------------------------------


async def test_leaving_a_stream_drops_its_connection(server: ScriptedServer, connect: Connect):
    server.on(CHAT, [Send(head(200, STREAM, chunked=True) + chunk(piece("Hi"))), stall()])

    async with connect(server).stream("Hi") as stream:
        async for _ in stream:
            break

    await server.requests[0].aborted.reached()


async def test_cancelled_task_drops_its_connection(server: ScriptedServer, connect: Connect):
    gate = stall()
    server.on(CHAT, [Send(head(200, STREAM, chunked=True) + chunk(piece("Hi"))), gate])
    task = asyncio.create_task(connect(server).generate("Hi"))
    await gate.arrived.reached()

    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    await server.requests[0].aborted.reached()


async def test_closing_the_provider_ends_its_streams_with_an_error(server: ScriptedServer, connect: Connect):
    gate = stall()
    server.on(CHAT, [Send(head(200, STREAM, chunked=True) + chunk(piece("Hi"))), gate])
    provider = connect(server)
    stream = provider.stream("Hi")
    assert (await anext(stream)).output_text == "Hi"

    await provider.aclose()

    with pytest.raises(package.OpenAICompatibleStreamInterruptedError, match="provider was closed"):
        await anext(stream)
    with pytest.raises(RuntimeError, match="closed"):
        await provider.generate("Hi")


def test_sync_face_answers_streams_and_closes(server: ScriptedServer):
    server.on(CHAT, HELLO)
    server.on("/v1/models", document({"data": [{"id": "asked-model"}]}))
    settings = {"base_url": f"{server.url}/v1"}
    provider = OpenAICompatibleProvider("x", "asked-model", settings, kind="local_ai")

    with provider.sync as sync:
        assert sync.generate("Hi").output_text == "Hello"
        with sync.stream("Hi") as stream:
            assert "".join(each.output_text for each in stream) == "Hello"
        assert [type(each).__name__ for each in sync.generate_batch(["a"])] == ["ProviderResponse"]
        assert sync.list_models() == [{"id": "asked-model"}]
        assert sync.health_check()["status"] == "healthy"


# -- recorded servers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "thinking", "counts"),
    [
        ("openai/chat-stream", "Hello from a tiny model.", None, {}),
        ("openai/chat-stream-usage", "Hello from a tiny model.", None, {"total_tokens": 13}),
    ],
)
async def test_recorded_streams_are_read(
    server: ScriptedServer,
    connect: Connect,
    name: str,
    text: str,
    thinking: str | None,
    counts: dict[str, int],
):
    server.on(CHAT, replayed(recording(f"ollama-0.24.0/{name}")))

    response = await connect(server).generate("hi")

    assert (response.output_text, response.thinking) == (text, thinking)
    assert counts.items() <= dict(response.usage).items()


async def test_recorded_documents_are_read(server: ScriptedServer, connect: Connect):
    provider = connect(server, wire="plain")
    server.on(CHAT, replayed(recording("ollama-0.24.0/openai/chat-tools")))
    server.on("/v1/models", replayed(recording("ollama-0.24.0/openai/models")))
    server.on("/v1/embeddings", replayed(recording("ollama-0.24.0/openai/embeddings")))

    tools = await provider.generate("hi")
    thinking = await connect(
        server.on(CHAT, replayed(recording("ollama-0.24.0/openai/chat-think"))), wire="plain"
    ).generate("hi")

    assert tools.tool_calls[0].arguments == {"city": "Paris"}
    assert thinking.thinking
    assert len(await provider.list_models()) == 7
    assert len((await provider.embed("hello"))[0]) == 8


async def test_recorded_silent_end_of_a_stream_is_an_error_with_what_arrived(
    server: ScriptedServer, connect: Connect
):
    server.on(CHAT, replayed(recording("ollama-0.24.0/died/openai-stream")))

    with pytest.raises(package.OpenAICompatibleStreamInterruptedError) as caught:
        await connect(server).generate("hi")

    assert caught.value.partial_text.startswith(" w0 w1 w2")
    assert caught.value.error_type == "stream_incomplete"


def test_importing_the_package_loads_no_http_library_and_no_pydantic():
    import subprocess
    import sys

    program = (
        "import sys, namel3ss.providers.local.openai_compatible as p, namel3ss.providers.local.openai_compatible._plugin\n"
        "p.OpenAICompatibleProvider\n"
        "print([name for name in ('httpx', 'aiohttp', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
