"""A request by a declaration's name reaches the server as the declaration completes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from namel3ss.gateway.dialects import read_request, rewrite
from tests.gateway.dialects.routes import post
from tests.gateway.plans import plan_with

MODELS = """
ai model chat_model {
    provider: ollama
    model: "tiny"
    system: "Be kind."
    config: {
        temperature: 0.5  top_p: 0.9  top_k: 7  seed: 3  stop: "END"  max_tokens: 20  num_ctx: 2048  think: low
        on_context_overflow: truncate
    }
    deployment_config: { keep_alive: "600"  num_gpu: 3 }
}
"""
SERVED = plan_with(models=MODELS).models[0]
OPTIONS = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 7,
    "seed": 3,
    "stop": ["END"],
    "num_predict": 20,
    "num_ctx": 2048,
    "num_gpu": 3,
}
SYSTEM = {"role": "system", "content": "Be kind."}
USER = {"role": "user", "content": "hi"}


def rewritten(path: str, body: dict[str, Any]) -> dict[str, Any]:
    route = post(path)
    request = read_request(route, json.dumps({"model": "chat_model"} | body).encode())
    sent: dict[str, Any] = json.loads(rewrite(route, request, SERVED))
    return sent


@pytest.mark.parametrize("value", ["1e400", "0.10", "9007199254740993", '"\\u00e9"', '[ "a" ]'])
def test_options_of_a_request_keep_their_bytes_beside_the_declared_ones(value: str) -> None:
    route, body = (
        post("/api/chat"),
        b'{"model":"chat_model","messages":[],"options":{"x":%b}}' % value.encode(),
    )
    assert b'"x":%b}' % value.encode() in rewrite(route, read_request(route, body), SERVED)


def test_halves_of_characters_in_options_become_the_replacement_character() -> None:
    assert rewritten("/api/chat", {"messages": [USER], "options": {"stop": ["\ud800"]}})["options"][
        "stop"
    ] == ["\ufffd"]


@pytest.mark.parametrize("options", [[], [1], "x", 5, True])
def test_options_that_are_none_are_left_for_the_server_to_refuse(options: object) -> None:
    assert rewritten("/api/chat", {"messages": [USER], "options": options})["options"] == options


def test_native_chat_gets_everything_that_is_declared() -> None:
    assert rewritten("/api/chat", {"messages": [USER]}) == {
        "model": "tiny",
        "messages": [SYSTEM, USER],
        "options": OPTIONS,
        "keep_alive": 600,
        "truncate": True,
        "think": "low",
    }


def test_what_the_request_says_stays() -> None:
    mine = {
        "messages": [{"role": "System", "content": "Be brief."}, USER],
        "options": {"temperature": 0, "seed": None, "stop": []},
        "keep_alive": "1m",
        "truncate": False,
        "think": False,
        "stream": False,
    }
    assert rewritten("/api/chat", mine) == mine | {
        "model": "tiny",
        "options": OPTIONS | {"temperature": 0, "stop": []},
    }


def test_members_that_nobody_fills_in_stay_byte_for_byte() -> None:
    route = post("/api/chat")
    body = b'{"model": "chat_model", "tools": [ {"b":1.0, "a":"\\u00e9"} ], "messages": [ {"x":1e2} ]}'
    sent = rewrite(route, read_request(route, body), SERVED)
    assert b'[ {"b":1.0, "a":"\\u00e9"} ]' in sent
    assert b', {"x":1e2} ]' in sent


def test_generate_gets_the_system_prompt_unless_it_is_raw() -> None:
    assert rewritten("/api/generate", {"prompt": "hi"})["system"] == "Be kind."
    assert rewritten("/api/generate", {"prompt": "hi", "system": "Mine."})["system"] == "Mine."
    assert "system" not in rewritten("/api/generate", {"prompt": "hi", "raw": True})


@pytest.mark.parametrize(
    ("path", "body"), [("/api/chat", {"messages": []}), ("/api/generate", {"prompt": ""})]
)
def test_load_gets_nothing_to_read(path: str, body: dict[str, Any]) -> None:
    sent = rewritten(path, body)
    assert sent.items() >= body.items()
    assert "system" not in sent
    assert sent["options"] == OPTIONS


def test_embeddings_get_how_the_model_is_loaded_and_nothing_to_say() -> None:
    assert rewritten("/api/embed", {"input": "x"}) == {
        "model": "tiny",
        "input": "x",
        "options": OPTIONS,
        "keep_alive": 600,
        "truncate": True,
    }
    assert rewritten("/v1/embeddings", {"input": "x"}) == {"model": "tiny", "input": "x"}


SHARED = {"temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ["END"], "max_tokens": 20}


@pytest.mark.parametrize(
    ("path", "body", "filled"),
    [
        (
            "/v1/chat/completions",
            {"messages": [USER]},
            SHARED | {"messages": [SYSTEM, USER], "reasoning_effort": "low"},
        ),
        ("/v1/completions", {"prompt": "hi"}, SHARED),
        (
            "/v1/responses",
            {"input": "hi"},
            {
                "temperature": 0.5,
                "top_p": 0.9,
                "max_output_tokens": 20,
                "instructions": "Be kind.",
                "reasoning": {"effort": "low"},
            },
        ),
        (
            "/v1/messages",
            {"messages": [USER]},
            {
                "temperature": 0.5,
                "top_p": 0.9,
                "top_k": 7,
                "stop_sequences": ["END"],
                "max_tokens": 20,
                "system": "Be kind.",
                "output_config": {"effort": "low"},
            },
        ),
    ],
)
def test_other_protocols_get_what_they_have_words_for(
    path: str, body: dict[str, Any], filled: dict[str, Any]
) -> None:
    assert rewritten(path, body) == {"model": "tiny"} | body | filled
    mine = dict.fromkeys(filled, 1) | {"messages": [{"role": "developer", "content": ""}]}
    assert rewritten(path, body | mine) == {"model": "tiny"} | body | mine


@pytest.mark.parametrize(
    ("think", "filled"),
    [("true", {"thinking": {"type": "enabled"}}), ("false", {"thinking": {"type": "disabled"}})],
)
def test_thinking_is_switched_on_and_off_in_anthropics_words(think: str, filled: dict[str, Any]) -> None:
    [served] = plan_with(
        models=f'ai model m {{ provider: ollama  model: "tiny"  config: {{ think: {think} }} }}\n'
    ).models
    route = post("/v1/messages")
    request = read_request(route, json.dumps({"model": "m", "messages": [USER]}).encode())
    assert json.loads(rewrite(route, request, served)) == {"model": "tiny", "messages": [USER]} | filled


def test_conversation_that_is_none_is_left_for_the_server_to_refuse() -> None:
    for messages in ("text", [1], [{"role": 7}], None):
        assert rewritten("/api/chat", {"messages": messages})["messages"] == messages
