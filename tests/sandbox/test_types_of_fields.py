"""What does not fit a field is refused in the server's words, of fields that the sandbox does not use, too.

The texts are those of Ollama 0.24.0, each asked with the same body.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from tests.sandbox.client import ask

if TYPE_CHECKING:
    from namel3ss.sandbox import SandboxServer

_OF: Final = "json: cannot unmarshal {} into Go struct field {} of type {}"


def _message(answer: dict[str, object]) -> object:
    error = answer["error"]
    return error["message"] if isinstance(error, dict) else error


@pytest.mark.parametrize(
    ("route", "body", "status", "text"),
    [
        (
            "/api/generate",
            '{"model": "tiny", "width": "x"}',
            400,
            _OF.format("string", "GenerateRequest.width", "int32"),
        ),
        (
            "/api/generate",
            '{"model": "tiny", "steps": 2147483648}',
            400,
            _OF.format("number 2147483648", "GenerateRequest.steps", "int32"),
        ),
        (
            "/api/generate",
            '{"model": "tiny", "height": 1.5}',
            400,
            _OF.format("number 1.5", "GenerateRequest.height", "int32"),
        ),
        (
            "/api/generate",
            '{"model": "tiny", "images": [[256]]}',
            400,
            _OF.format("number 256", "GenerateRequest.images", "uint8"),
        ),
        (
            "/api/generate",
            '{"model": "tiny", "images": [["a"]]}',
            400,
            _OF.format("string", "GenerateRequest.images", "uint8"),
        ),
        (
            "/api/generate",
            '{"model": "tiny", "options": {"num_batch": 0}}',
            500,
            "llama runner process has terminated: llama_init_from_model: n_batch and n_ubatch cannot both be zero\npanic: unable to create llama context",
        ),
        (
            "/api/chat",
            '{"model": "tiny", "messages": [], "tools": [{"type": "function", "function": {"name": "n", "parameters": {"type": "object", "properties": {"a": {"anyOf": {}}}}}}]}',
            400,
            _OF.format(
                "object",
                "ToolFunctionParameters.tools.function.parameters.properties.anyOf",
                "[]api.ToolProperty",
            ),
        ),
        (
            "/api/chat",
            '{"model": "tiny", "messages": [], "tools": [{"type": "function", "function": {"name": "n", "parameters": {"type": "object", "properties": {"a": {"anyOf": [1]}}}}}]}',
            400,
            _OF.format(
                "number",
                "ToolFunctionParameters.tools.function.parameters.properties.anyOf",
                "api.ToolProperty",
            ),
        ),
        (
            "/api/chat",
            '{"model": "tiny", "messages": [], "tools": [{"type": "function", "function": {"name": "n", "parameters": {"type": "object", "properties": {"a": {"properties": []}}}}}]}',
            400,
            "Value looks like object, but can't find closing '}' symbol",
        ),
        (
            "/api/chat",
            '{"model": "tiny", "messages": [], "tools": [{"type": "function", "function": {"name": "n", "parameters": {"type": "object", "properties": {"a": {"properties": {"b": 1}}}}}}]}',
            400,
            _OF.format(
                "number",
                "ToolFunctionParameters.tools.function.parameters.properties.properties",
                "api.ToolProperty",
            ),
        ),
        (
            "/api/chat",
            '{"model": "tiny", "messages": [], "tools": [{"type": "function", "function": {"name": "n", "parameters": {"type": "object", "properties": {"a": {"anyOf": [{"description": 1}]}}}}}]}',
            400,
            _OF.format(
                "number",
                "ToolFunctionParameters.tools.function.parameters.properties.anyOf.description",
                "string",
            ),
        ),
        (
            "/api/pull",
            '{"model": "", "password": 1}',
            400,
            _OF.format("number", "PullRequest.password", "string"),
        ),
        ("/api/push", '{"model": 1}', 400, _OF.format("number", "PushRequest.model", "string")),
        ("/api/push", '{"username": []}', 400, _OF.format("array", "PushRequest.username", "string")),
        (
            "/api/create",
            '{"model": "x", "quantize": 1}',
            400,
            _OF.format("number", "CreateRequest.quantize", "string"),
        ),
        (
            "/api/create",
            '{"model": "x", "adapters": []}',
            400,
            _OF.format("array", "CreateRequest.adapters", "map[string]string"),
        ),
        ("/api/create", '{"model": "x", "from": "tiny", "adapters": {}}', 400, "unknown type"),
        (
            "/v1/chat/completions",
            '{"model": "tiny", "messages": [{"role": "assistant", "tool_calls": [{"function": "f"}]}]}',
            400,
            _OF.format(
                "string",
                "ToolCall.messages.tool_calls.function",
                'struct { Name string "json:\\"name\\""; Arguments string "json:\\"arguments\\"" }',
            ),
        ),
        (
            "/v1/chat/completions",
            '{"model": "tiny", "messages": [{"role": "assistant", "tool_calls": [{"index": "0"}]}]}',
            400,
            _OF.format("string", "ToolCall.messages.tool_calls.index", "int"),
        ),
        (
            "/v1/completions",
            '{"model": "tiny", "logprobs": true}',
            400,
            _OF.format("bool", "CompletionRequest.logprobs", "int"),
        ),
        (
            "/v1/messages",
            '{"model": "tiny", "messages": [{"role": "user", "content": [{"type": 1}]}], "max_tokens": 2}',
            400,
            _OF.format("number", "MessagesRequest.messages.type", "string"),
        ),
        (
            "/v1/messages",
            '{"model": "tiny", "messages": [{"role": "user", "content": [{"type": "image", "source": {"data": 1}}]}], "max_tokens": 2}',
            400,
            _OF.format("number", "MessagesRequest.messages.source.data", "string"),
        ),
        (
            "/v1/messages",
            '{"model": "tiny", "messages": [{"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "n", "input": []}]}], "max_tokens": 2}',
            400,
            "Value looks like object, but can't find closing '}' symbol",
        ),
        (
            "/v1/messages",
            '{"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, "tools": [{"name": "n", "input_schema": []}]}',
            400,
            'invalid input_schema for tool "n": json: cannot unmarshal array into Go value of type api.ToolFunctionParameters',
        ),
        (
            "/v1/messages",
            '{"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, "tools": [{"name": "n", "input_schema": {"type": 1}}]}',
            400,
            'invalid input_schema for tool "n": json: cannot unmarshal number into Go struct field ToolFunctionParameters.type of type string',
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "include": "x"}',
            400,
            _OF.format("string", "ResponsesRequest.include", "[]string"),
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "text": {"format": "x"}}',
            400,
            _OF.format("string", "ResponsesText.text.format", "openai.ResponsesTextFormat"),
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "text": {"format": {"strict": 1}}}',
            400,
            _OF.format("number", "ResponsesTextFormat.text.format.strict", "bool"),
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"type": 1}]}',
            400,
            "input[0]: json: cannot unmarshal number into Go struct field .type of type string",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"role": 1}]}',
            400,
            "input[0]: json: cannot unmarshal number into Go struct field .role of type string",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"role": "user", "content": 1}]}',
            400,
            "input[0]: content must be a string or array: json: cannot unmarshal number into Go value of type []json.RawMessage",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"type": "message", "role": "user", "content": [1]}]}',
            400,
            'input[0]: content[0]: json: cannot unmarshal number into Go value of type struct { Type string "json:\\"type\\"" }',
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": 1}]}]}',
            400,
            "input[0]: content[0]: json: cannot unmarshal number into Go struct field ResponsesTextContent.text of type string",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"type": "message", "role": "user", "content": [{"type": "input_image", "detail": 1}]}]}',
            400,
            "input[0]: content[0]: json: cannot unmarshal number into Go struct field ResponsesImageContent.detail of type string",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"type": "function_call", "name": 1}]}',
            400,
            "input[0]: json: cannot unmarshal number into Go struct field ResponsesFunctionCall.name of type string",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"type": "function_call", "arguments": "x"}]}',
            400,
            "failed to parse function call arguments: invalid character 'x' looking for beginning of value",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"type": "function_call", "arguments": "{"}]}',
            400,
            "failed to parse function call arguments: unexpected end of JSON input",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"type": "function_call", "arguments": "{} x"}]}',
            400,
            "failed to parse function call arguments: invalid character 'x' after top-level value",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"type": "function_call", "arguments": "[]"}]}',
            400,
            "failed to parse function call arguments: Value looks like object, but can't find closing '}' symbol",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"type": "function_call_output", "call_id": 1}]}',
            400,
            "input[0]: json: cannot unmarshal number into Go struct field .call_id of type string",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": [{"type": "reasoning", "summary": [{"text": 1}]}]}',
            400,
            "input[0]: json: cannot unmarshal number into Go struct field ResponsesReasoningSummary.summary.text of type string",
        ),
        (
            "/v1/responses",
            '{"model": "tiny", "input": "hi", "tools": [{"type": "function", "name": "n", "parameters": {"type": 1}}]}',
            400,
            "failed to unmarshal tool parameters: json: cannot unmarshal number into Go struct field ToolFunctionParameters.type of type string",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_the_servers_words(
    server: SandboxServer, route: str, body: str, status: int, text: str
) -> None:
    got, answer = ask(server, "POST", route, json.loads(body))

    assert (got, _message(answer)) == (status, text)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/api/generate", {"prompt": "hi", "images": [[], [104, 105], [None]]}),
        ("/api/generate", {"prompt": "hi", "options": {"stop": [""]}}),
        ("/api/chat", {"messages": [{"role": "user", "content": None}, None]}),
        ("/api/chat", {"messages": [{"role": "user", "content": "hi", "images": [[]]}]}),
        ("/v1/messages", {"messages": [{"role": "user", "content": None}], "max_tokens": 2}),
        ("/v1/responses", {"input": [{"type": "function_call", "name": "n", "arguments": " null "}]}),
        (
            "/v1/chat/completions",
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": "",
                        "tool_calls": [{"function": {"name": "n", "arguments": "null"}}],
                    }
                ]
            },
        ),
    ],
)
def test_what_looks_wrong_and_fits_is_answered(
    server: SandboxServer, route: str, body: dict[str, object]
) -> None:
    status, answer = ask(server, "POST", route, {"model": "tiny", "stream": False, **body})

    assert (status, answer.get("error")) == (200, None)


def test_a_model_that_embeds_is_loaded_without_a_batch(server: SandboxServer) -> None:
    """Its batch is as large as its window, whatever is asked for."""
    status, _ = ask(
        server, "POST", "/api/embed", {"model": "tiny-embed", "input": "hi", "options": {"num_batch": 0}}
    )

    assert status == 200
