"""`OllamaBridge` from the call to the answer, on scripted servers and the sandbox."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from namel3ss.bridge import BridgeTimeoutError, OllamaBridge, waiting_message
from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import (
    OllamaBadResponseError,
    OllamaModelNotFoundError,
    OllamaStreamInterruptedError,
)
from namel3ss.sandbox import SandboxServer
from namel3ss.scheduling import RequestQueue, SchedulerClosedError
from tests.bridge.answers import HELLO, answer, part
from tests.support.scripted_server import (
    Gate,
    Reset,
    ScriptedServer,
    Send,
    chunk,
    document,
    head,
    line,
    lines,
)

if TYPE_CHECKING:
    from tests.support.scripted_server import Script

TOOL = {"name": "weather", "description": "d", "input_schema": {"type": "object"}}


def test_answer_has_anthropics_shape(server: ScriptedServer, queue: RequestQueue) -> None:
    server.on("/api/chat", document(answer(thinking="hm")))
    bridge = OllamaBridge(server.url, "m", queue)

    response = bridge.generate_response(
        HELLO, "Be kind.", temperature=0.0, max_tokens=5, dynamic_content="Now."
    )

    assert [block.type for block in response.content] == ["thinking", "text"]
    assert response.content[1]["text"] == response.content[1].get("text") == response.content[1].text == "Hi"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (7, 2)
    assert (response.stop_reason, response.role, response.model) == ("end_turn", "assistant", "m")
    assert bridge.extract_text_content(response) == "Hi"
    assert bridge.extract_tool_calls(response) == response.tool_calls == []
    assert server.requests[0].json == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be kind.\n\nNow."}, *HELLO],
        "options": {"temperature": 0.0, "num_predict": 5},
        "stream": False,
    }


def test_tool_calls_keep_their_ids_and_one_without_gets_one(
    server: ScriptedServer, queue: RequestQueue
) -> None:
    calls = [
        {"id": "call_1", "function": {"name": "weather", "arguments": {"city": "Paris"}}},
        {"function": {"name": "weather", "arguments": {}}},
    ]
    server.on("/api/chat", document(answer("", tool_calls=calls)))
    bridge = OllamaBridge(server.url, "m", queue)

    response = bridge.generate_response(HELLO, tools=[TOOL, {"name": "no schema"}])

    first, second = bridge.extract_tool_calls(response)
    assert first == {"id": "call_1", "tool_name": "weather", "input": {"city": "Paris"}}
    assert second["id"].startswith("toolu_")
    assert response.stop_reason == "tool_use"
    assert [block.type for block in response.content] == ["tool_use", "tool_use"]
    assert [call["id"] for call in response.tool_calls] == ["call_1", second["id"]]
    assert [tool["function"]["name"] for tool in server.requests[0].json["tools"]] == ["weather"]


def test_arguments_written_as_text_are_read(server: ScriptedServer, queue: RequestQueue) -> None:
    calls = [
        {"id": name, "function": {"name": "weather", "arguments": text}}
        for name, text in (("a", '{"city": "Paris"}'), ("b", " "))
    ]
    server.on("/api/chat", document(answer("", tool_calls=calls)))

    response = OllamaBridge(server.url, "m", queue).generate_response(HELLO)

    assert [block.input for block in response.content] == [{"city": "Paris"}, {}]
    assert [call["function"]["arguments"] for call in response.tool_calls] == [{"city": "Paris"}, {}]


@pytest.mark.fault(41)
@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": ["weather"]},
        {"tool_calls": {"name": "weather"}},
        {"tool_calls": [{}]},
        {"tool_calls": [{"function": {"name": "weather", "arguments": "{city"}}]},
        {"thinking": 1},
    ],
)
def test_message_that_cannot_be_read_is_an_error_that_keeps_the_text(
    message: dict[str, Any], server: ScriptedServer, queue: RequestQueue
) -> None:
    server.on("/api/chat", document(answer("Let me look.", **message)))

    with pytest.raises(OllamaBadResponseError) as failed:
        OllamaBridge(server.url, "m", queue).generate_response(HELLO)

    assert failed.value.partial_text == "Let me look."
    assert failed.value.base_url == server.url


def test_answer_that_was_cut_by_its_limit_says_so(server: ScriptedServer, queue: RequestQueue) -> None:
    server.on("/api/chat", document(answer(done_reason="length")))

    assert OllamaBridge(server.url, "m", queue).generate_response(HELLO).stop_reason == "max_tokens"


def test_streamed_answer_comes_in_pieces_and_whole(server: ScriptedServer, queue: RequestQueue) -> None:
    server.on("/api/chat", lines(part("H"), part("H"), answer("")))
    seen: list[str] = []
    bridge = OllamaBridge(server.url, "m", queue)

    response = bridge.generate_response(HELLO, stream=True, callback=seen.append)

    assert seen == ["H", "H"]
    assert bridge.extract_text_content(response) == "HH"
    assert response.usage.output_tokens == 2


def test_failing_callback_reaches_the_caller_and_stops_the_request(
    server: ScriptedServer, queue: RequestQueue
) -> None:
    server.on("/api/chat", [*lines(part("H"))[:-1], Gate()])

    def fail(text: str) -> None:
        raise KeyError(text)

    with pytest.raises(KeyError):
        OllamaBridge(server.url, "m", queue).generate_response(HELLO, stream=True, callback=fail)
    server.requests[0].aborted.wait()


def test_errors_of_the_server_and_of_the_queue_come_as_they_are(queue: RequestQueue) -> None:
    with SandboxServer() as sandbox:
        bridge = OllamaBridge(sandbox.url, "missing", queue)
        with pytest.raises(OllamaModelNotFoundError):
            bridge.generate_response(HELLO)
        with pytest.raises(OllamaModelNotFoundError):
            bridge.generate_response(HELLO, stream=True)
    queue.shutdown()
    with pytest.raises(SchedulerClosedError):
        bridge.generate_response(HELLO)


def test_timeout_tells_the_position_and_a_waiting_user_is_told_in_words(
    server: ScriptedServer, queue: RequestQueue
) -> None:
    gate = Gate()
    server.on("/api/chat", [gate, *document(answer())], document(answer()))
    bridge = OllamaBridge(server.url, "m", queue, timeout=0.02)
    body = {"model": "m", "messages": HELLO}
    running = queue.add_request({"base_url": server.url, "body": body})
    gate.arrived.wait()
    waiting = queue.add_request({"base_url": server.url, "body": body})
    heard: list[str] = []

    with pytest.raises(BridgeTimeoutError, match="position 1 in the queue") as late:
        bridge.generate_response(HELLO, on_waiting=heard.append)

    assert late.value.position == 1
    assert heard == ["Your request is in a queue with 1 other request."]
    assert waiting_message(queue, running) is None
    assert waiting_message(queue, waiting) == "Your request is in a queue with 0 other requests."
    gate.open()
    queue.get_result(waiting)


def test_words_for_a_waiting_user_hold_the_learnt_estimate() -> None:
    where = {"position": 2, "total": 4, "estimated_wait_s": 11.2}
    queue: Any = SimpleNamespace(get_queue_position=lambda request_id: where)

    assert waiting_message(queue, "r") == (
        "Your request is in a queue with 3 other requests. Estimated wait time: 12 seconds."
    )


def test_responses_of_other_libraries_can_be_read_too() -> None:
    content = [
        SimpleNamespace(type="text", text="a"),
        {"type": "tool_use", "id": "i", "name": "n", "input": {}},
    ]
    bridge = OllamaBridge(model="m")

    for response in (SimpleNamespace(content=content), {"content": content}):
        assert bridge.extract_text_content(response) == "a"
        assert bridge.extract_tool_calls(response) == [{"id": "i", "tool_name": "n", "input": {}}]
    assert bridge.extract_text_content(None) == ""


def test_bridge_may_have_several_servers(server: ScriptedServer, queue: RequestQueue) -> None:
    server.on("/api/chat", document(answer())).on("/api/ps", document({"models": []}))
    with ScriptedServer() as ended:
        gone = ended.url
    bridges = [OllamaBridge(model="m", queue=queue, servers=[gone, server.url]) for _ in range(2)]

    for bridge in bridges:
        assert bridge.generate_response(HELLO).metadata == {"provider": "ollama", "server": server.url}
    assert [found["state"] for found in queue.servers()] == ["down", "up"]


def test_busy_server_is_replaced_and_one_that_dies_in_the_middle_is_not(
    queue: RequestQueue,
) -> None:
    heard = Gate()
    broken: Script = [Send(head(chunked=True)), Send(chunk(line(part("H")))), heard, Reset()]
    seen: list[str] = []

    def hear(text: str) -> None:
        seen.append(text)
        heard.open()

    with ScriptedServer() as first, ScriptedServer() as second:
        for server in (first, second):
            server.on("/api/ps", document({"models": []}))
        first.on(
            "/api/chat", document({"error": "server busy, please try again"}, 503, {"Retry-After": "30"})
        )
        second.on("/api/chat", lines(part("Hi"), answer("")), broken)
        bridge = OllamaBridge(model="m", queue=queue, servers=[first.url, second.url])

        response = bridge.generate_response(HELLO, stream=True, callback=seen.append)
        assert (bridge.extract_text_content(response), seen) == ("Hi", ["Hi"])
        with pytest.raises(OllamaStreamInterruptedError):
            bridge.generate_response(HELLO, stream=True, callback=hear)
        assert seen == ["Hi", "H"]


def test_call_without_an_id_gets_one(queue: RequestQueue) -> None:
    content = [{"type": "tool_use", "name": "n", "input": {}}]

    (call,) = OllamaBridge(model="m").extract_tool_calls({"content": content})

    assert call["id"].startswith("toolu_")


@pytest.mark.parametrize("wrong", ["5", True, float("nan")])
def test_timeout_that_is_no_number_is_refused_when_the_bridge_is_made(wrong: Any) -> None:
    with pytest.raises(UsageError, match="timeout must be a number of seconds"):
        OllamaBridge(timeout=wrong)


def test_timeout_without_end_waits_for_the_answer(server: ScriptedServer, queue: RequestQueue) -> None:
    server.on("/api/chat", document(answer()))
    bridge = OllamaBridge(server.url, "m", queue, timeout=float("inf"))

    assert bridge.generate_response(HELLO).content


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("x", "m"), "base_url 'x' is not a URL"),
        ((5, "m"), "base_url must be a URL"),
        (("http://a", ""), "model must be the name of a model"),
        (("http://a", None), "model must be the name of a model, not None"),
    ],
)
def test_wrong_address_or_model_is_refused_when_the_bridge_is_made(
    arguments: tuple[Any, ...], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        OllamaBridge(*arguments)


@pytest.mark.parametrize("name", ["options", "fields", "headers"])
def test_what_goes_with_every_request_is_a_dict(name: str) -> None:
    wrong: Any = {name: 5}
    with pytest.raises(UsageError, match=f"{name} must be a dict, not a value of type int"):
        OllamaBridge(model="m", **wrong)


def test_servers_of_a_bridge_are_a_list() -> None:
    servers: Any = "http://a"
    with pytest.raises(UsageError, match="servers must be a list of addresses"):
        OllamaBridge(model="m", servers=servers)


def test_permission_to_ask_elsewhere_is_no_text() -> None:
    permission: Any = "false"
    with pytest.raises(UsageError, match="allow_fallback must be True or False, not 'false'"):
        OllamaBridge(model="m", allow_fallback=permission)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"callback": 5, "stream": True}, "callback must be a function"),
        ({"on_waiting": "print"}, "on_waiting must be a function"),
        ({"tools": "weather"}, "tools must be a list, not a value of type str"),
        ({"tools": TOOL}, "tools must be a list, not a value of type dict"),
        ({"system_prompt": 5}, "system_prompt holds 5, which Ollama cannot read"),
        ({"temperature": float("nan")}, "body.options holds nan"),
        ({"allow_fallback": "false"}, "allow_fallback must be True or False, not 'false'"),
        ({"shared": "no"}, "shared must be True or False"),
        ({"cached": 0}, "cached must be True or False"),
    ],
)
def test_wrong_call_is_refused_before_anything_waits(
    server: ScriptedServer, queue: RequestQueue, wrong: dict[str, Any], why: str
) -> None:
    bridge = OllamaBridge(server.url, "m", queue)

    with pytest.raises(UsageError, match=why):
        bridge.generate_response(HELLO, **wrong)

    assert server.requests == []
