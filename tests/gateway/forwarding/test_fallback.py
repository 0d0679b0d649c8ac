"""Another model answers when the servers cannot: for keys that allow it, in the caller's own protocol."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.gateway.dialects import StreamReader, usage_of_body
from namel3ss.gateway.errors import Reason, Refusal
from namel3ss.gateway.principal import Scope
from namel3ss.providers.transport.client import import_libraries
from tests.gateway.dialects.routes import post
from tests.gateway.forwarding.play import calling, eventually, key_of, open_gateway
from tests.gateway.forwarding.sayings import DONE, END_OF_CHAT, STOP, delta, event, pieces, stream, token
from tests.support.scripted_server import LAST_CHUNK, Gate, ScriptedServer, Send, chunk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateway.front.door import Answer


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    """What the providers import at their first request they import on a thread, which outlives the test."""
    import_libraries()


KEYS = {"yes": key_of("ann", Scope.USE, allows_fallback=True), "no": key_of("bob", Scope.USE)}
LOCAL = 'ai model local { provider: ollama  model: "tiny"  system: "Be kind." }\n'
SCRIPTED = 'ai model cloud { provider: scripted  model: "big"  config: { answers: ["Hello there"] } }\n'
DOWN = "fallback: cloud"
USER = {"role": "user", "content": "hi"}
NOWHERE = "http://127.0.0.1:9"
"""No server listens at the port of `discard`."""


def cloud_at(url: str, provider: str = "openai_compatible") -> str:
    at = f'base_url: "{url}/v1"' if provider == "openai_compatible" else f'base_url: "{url}"'
    return f'ai model cloud {{ provider: {provider}  model: "big"  config: {{ {at} }} }}\n'


def marked(answer: Answer) -> str | None:
    return answer.header("x-namel3ss-fallback")


async def ask(path: str, body: dict[str, Any], *, key: str = "yes", cloud: str = SCRIPTED) -> Answer:
    """What a gateway answers whose only server is down."""
    async with open_gateway(NOWHERE, settings=DOWN, models=LOCAL + cloud, keys=KEYS) as gateway:
        answer = await gateway.ask(path, body, key=key)
        assert await gateway.is_at_rest()
    return answer


BODIES: dict[str, dict[str, Any]] = {
    "/api/chat": {"messages": [USER]},
    "/api/generate": {"prompt": "hi"},
    "/v1/chat/completions": {"messages": [USER], "stream_options": {"include_usage": True}},
    "/v1/completions": {"prompt": "hi", "stream_options": {"include_usage": True}},
    "/v1/messages": {"messages": [USER], "max_tokens": 50},
}


@pytest.mark.parametrize("path", BODIES)
async def test_whole_answer_has_the_callers_shape_and_says_who_gave_it(path: str) -> None:
    answer = await ask(path, {"model": "local", "stream": False} | BODIES[path])

    assert (answer.status, marked(answer)) == (200, "cloud")
    said = json.loads(answer.body)
    assert said["model"] == "big"
    text = {
        "/api/chat": lambda: said["message"]["content"],
        "/api/generate": lambda: said["response"],
        "/v1/chat/completions": lambda: said["choices"][0]["message"]["content"],
        "/v1/completions": lambda: said["choices"][0]["text"],
        "/v1/messages": lambda: said["content"][0]["text"],
    }[path]()
    assert text == "Hello there"
    assert usage_of_body(post(path), answer.body) is not None


@pytest.mark.parametrize("path", BODIES)
async def test_stream_has_the_callers_shape_and_its_proper_end(path: str) -> None:
    answer = await ask(path, {"model": "local", "stream": True} | BODIES[path])

    assert (answer.status, marked(answer)) == (200, "cloud")
    reader = StreamReader(post(path))
    assert reader.feed(answer.body) + reader.finish() == answer.body
    assert (reader.ended_well, reader.error) == (True, None)
    assert reader.usage is not None
    assert b"Hello" in answer.body


async def test_simple_chat_names_the_provider_that_answered() -> None:
    answer = await ask("/api/chat", {"message": "hi"})
    said = json.loads(answer.body)
    assert (said["response"], said["model"], said["provider"]) == ("Hello there", "big", "scripted")

    answer = await ask("/api/chat", {"message": "hi", "stream": True})
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert "".join(line["response"] for line in lines) == "Hello there"
    assert lines[-1]["done"] is True
    assert lines[-1]["usage"]["total_tokens"] > 0


@pytest.mark.security(37)
@pytest.mark.parametrize("prefix", ["", "file://", "http://127.0.0.1:9"])
async def test_image_is_never_a_path_of_the_gateways_machine(tmp_path: Path, prefix: str) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"canary")
    path = f"{prefix}{secret}"
    source = {"type": "base64", "media_type": "image/png", "data": path}
    part = {"type": "image_url", "image_url": {"url": path}}
    with ScriptedServer() as other:
        other.on("/v1/chat/completions", stream(delta("Seen"), END_OF_CHAT, sse=True))
        for route, body in (
            ("/api/chat", {"messages": [USER | {"images": [path]}]}),
            ("/api/generate", {"prompt": "hi", "images": [path]}),
            ("/v1/chat/completions", {"messages": [USER | {"images": [path]}]}),
            ("/v1/chat/completions", {"messages": [USER | {"content": [part]}]}),
            ("/v1/messages", {"messages": [USER | {"content": [{"type": "image", "source": source}]}]}),
        ):
            answer = await ask(route, {"model": "local", "max_tokens": 5} | body, cloud=cloud_at(other.url))
            assert answer.status == 503, (route, body)
        assert not other.requests


async def test_images_go_with_the_request() -> None:
    image = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()
    with ScriptedServer() as other:
        other.on("/v1/chat/completions", stream(delta("Seen"), STOP, END_OF_CHAT, sse=True))
        body = {"model": "local", "stream": False, "messages": [USER | {"images": [image]}]}
        answer = await ask("/api/chat", body, cloud=cloud_at(other.url))
        assert json.loads(answer.body)["message"]["content"] == "Seen"
        assert image in other.requests[-1].body.decode()


@pytest.mark.security(24)
async def test_logs_of_the_fallback_hold_nothing_of_the_request(caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary-in-a-prompt"
    for role, cloud in ((canary, SCRIPTED), ("user", cloud_at(NOWHERE, "ollama"))):
        messages = [{"role": role, "content": canary}]
        await ask("/api/chat", {"model": "local", "messages": messages}, cloud=cloud)
    assert "cannot take a request" in caplog.text
    assert "failed" in caplog.text
    assert canary not in caplog.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/embed", {"input": "hi"}),
        ("/v1/embeddings", {"input": "hi"}),
        ("/v1/responses", {"input": "hi"}),
        ("/api/generate", {"prompt": "hi", "raw": True}),
        ("/api/chat", {"messages": [{"role": "nobody", "content": "hi"}]}),
    ],
)
async def test_what_no_other_provider_can_say_stays_refused(path: str, body: dict[str, Any]) -> None:
    answer = await ask(path, {"model": "local"} | body)
    assert (answer.status, marked(answer)) == (503, None)
    assert answer.header("retry-after")


async def test_key_that_does_not_allow_it_is_refused() -> None:
    answer = await ask("/api/chat", {"model": "local", "messages": [USER]}, key="no")
    assert (answer.status, marked(answer)) == (503, None)


async def test_messages_tools_and_limits_reach_the_other_provider_in_its_own_words() -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    end = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    reply = [
        event({"id": "1", "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}),
        event({"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        event({"id": "1", "choices": [], "usage": end}),
        END_OF_CHAT,
    ]
    tool = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}
    spoken = [{"type": "tool_use", "id": "c0", "name": "f", "input": {"a": 0}}]
    result = [{"type": "tool_result", "tool_use_id": "c0", "content": "zero"}]
    messages = [USER, {"role": "assistant", "content": spoken}, {"role": "user", "content": result}]
    with ScriptedServer() as other:
        other.on("/v1/chat/completions", stream(*reply, sse=True))
        body = {"model": "local", "max_tokens": 50, "temperature": 0.5, "messages": messages, "tools": [tool]}
        answer = await ask("/v1/messages", body, cloud=cloud_at(other.url))

        said = json.loads(answer.body)
        assert said["content"] == [{"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}}]
        assert (said["stop_reason"], said["usage"]) == ("tool_use", {"input_tokens": 3, "output_tokens": 4})
        [request] = [each for each in other.requests if each.path == "/v1/chat/completions"]
        sent = json.loads(request.body)
        assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
        assert sent["messages"][0]["content"] == "Be kind."
        assert sent["messages"][3]["content"] == "zero"
        assert (sent["max_tokens"], sent["temperature"]) == (50, 0.5)
        assert sent["tools"][0]["function"]["name"] == "f"


async def test_calls_in_a_stream_have_each_protocols_shape() -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    reply = [
        delta("Well"),
        event({"id": "1", "choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}),
        event({"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        END_OF_CHAT,
    ]
    with ScriptedServer() as other:
        for path in ("/api/chat", "/v1/chat/completions", "/v1/messages"):
            other.on("/v1/chat/completions", stream(*reply, sse=True))
            body = {"model": "local", "stream": True} | BODIES[path]
            answer = await ask(path, body, cloud=cloud_at(other.url))
            reader = StreamReader(post(path))
            reader.feed(answer.body)
            reader.finish()
            assert reader.ended_well, answer.body
            assert b"Well" in answer.body
            assert b'"name":"f"' in answer.body
            if path == "/v1/messages":
                kinds = [line[7:] for line in answer.body.decode().splitlines() if line.startswith("event: ")]
                assert kinds == [
                    "message_start",
                    *["content_block_start", "content_block_delta", "content_block_stop"] * 2,
                    "message_delta",
                    "message_stop",
                ]


async def test_fallback_that_fails_at_once_leaves_the_first_refusal() -> None:
    for body in ({"stream": False}, {"stream": True}):
        answer = await ask(
            "/api/chat", {"model": "local", "messages": [USER]} | body, cloud=cloud_at(NOWHERE, "ollama")
        )
        assert (answer.status, marked(answer)) == (503, None)


async def test_fallback_that_breaks_off_ends_in_the_protocols_error() -> None:
    with ScriptedServer() as other:
        other.on("/v1/chat/completions", stream(delta("Hel"), sse=True))
        body = {"model": "local", "stream": True, "messages": [USER]}
        answer = await ask("/api/chat", body, cloud=cloud_at(other.url))
        lines = answer.body.splitlines()
        assert b"Hel" in lines[0]
        assert list(json.loads(lines[-1])) == ["error"]


async def test_long_queue_sends_a_request_elsewhere_and_its_answer_is_not_kept() -> None:
    settings = "fallback: { model: cloud, when: { wait_over: 50ms } }  cache: { ttl: 10m }"
    more = Gate()
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), more, Send(chunk(DONE)), Send(LAST_CHUNK)])
        async with open_gateway(server, settings=settings, models=LOCAL + SCRIPTED, keys=KEYS) as gateway:
            await eventually(lambda: gateway.backends.digest("tiny") is not None)
            body = {"model": "tiny", "prompt": "hi", "options": {"seed": 1}}
            async with calling(gateway, "/api/generate", body, key="no") as first:
                await first.until(b'"a"')
                for _ in range(2):
                    instead = await gateway.ask("/api/generate", body, key="yes")
                    assert (instead.status, marked(instead)) == (200, "cloud")
                    assert instead.header("x-namel3ss-cache") == "miss"
                more.open()
                await first.until(DONE)

            await eventually(gateway.is_at_rest)
            models = [event.model for event in gateway.books.events if event.outcome == "ok"]
            assert models == ["big", "big", "tiny"]


async def test_without_that_permission_a_request_waits() -> None:
    settings = "fallback: { model: cloud, when: { wait_over: 50ms } }  queue: { max_wait: 100ms }"
    more = Gate()
    with ScriptedServer() as server:
        server.on("/api/generate", [*pieces(token("a")), more, Send(chunk(DONE)), Send(LAST_CHUNK)])
        async with open_gateway(server, settings=settings, models=LOCAL + SCRIPTED, keys=KEYS) as gateway:
            body = {"model": "tiny", "prompt": "hi"}
            async with calling(gateway, "/api/generate", body, key="no") as first:
                await first.until(b'"a"')
                refused = await gateway.ask("/api/generate", body, key="no")
                assert (refused.status, refused.header("x-namel3ss-error")) == (503, "wait_timeout")
                more.open()
                await first.until(DONE)


async def test_request_with_the_fallback_is_live_and_ends_when_its_key_is_revoked_or_its_caller_leaves() -> (
    None
):
    more = Gate()
    with ScriptedServer() as other:
        other.on("/v1/chat/completions", [*pieces(delta("Hel"), sse=True), more])
        models = LOCAL + cloud_at(other.url)
        async with open_gateway(NOWHERE, settings=DOWN, models=models, keys=KEYS) as gateway:
            body = {"model": "local", "messages": [USER]}
            async with calling(gateway, "/api/chat", body, key="yes") as client:
                await client.until(b"Hel")
                assert len(gateway.live.by_key["key-ann"]) == 1
                gateway.live.interrupt_key("key-ann", Refusal(Reason.bad_key, "The key was revoked."))
                await client.until(b'{"error":"The key was revoked."}')

            async with calling(gateway, "/api/chat", body, key="yes") as client:
                await client.until(b"Hel")
            await eventually(gateway.is_at_rest)
            outcomes = [event.outcome for event in gateway.books.events if event.model == "big"]
            assert outcomes == ["bad_key", "cancelled"]
            more.open()
