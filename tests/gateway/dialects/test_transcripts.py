"""What people and models said is read from every protocol, and nothing else of it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.gateway.dialects.transcripts import answer_text, prompt_text

CALL = {"function": {"name": "weather", "arguments": {"city": "Rome"}}}


def events(*said: object) -> bytes:
    return b"".join(f"event: x\ndata: {json.dumps(each)}\n\n".encode() for each in said) + b"data: [DONE]\n\n"


def lines(*said: object) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in said)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"prompt": "Why?", "system": "Be short."}, "system: Be short.\nWhy?"),
        ({"message": "Why?", "system_prompt": "Be short."}, "system: Be short.\nWhy?"),
        (
            {"messages": [{"role": "user", "content": "Why?", "images": ["QUJD"]}, {"role": "assistant"}]},
            "user: Why?",
        ),
        (
            {
                "system": [{"type": "text", "text": "Be short."}],
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "What is this?"},
                            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
                            {"type": "tool_result", "content": [{"type": "text", "text": "12 degrees"}]},
                        ],
                    }
                ],
            },
            "system: Be short.\nuser: What is this?\nuser: 12 degrees",
        ),
        ({"instructions": "Be short.", "input": "Why?"}, "system: Be short.\nWhy?"),
        ({"input": ["one", "two"]}, "one\ntwo"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "Why?"}]}]}, "user: Why?"),
        ({"model": "tiny", "options": {"seed": 1}, "messages": "none"}, "none"),
    ],
)
def test_prompts_are_read_with_their_roles_and_without_images(
    request_: dict[str, Any], expected: str
) -> None:
    assert prompt_text(json.dumps(request_).encode()) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lines({"response": "Hel", "done": False}, {"response": "lo", "done": True}), "Hello"),
        (lines({"message": {"content": "", "thinking": "Hm."}}, {"message": {"content": "Hi"}}), "thinking: Hm.\nHi"),
        (lines({"message": {"content": "Hi", "tool_calls": [CALL]}, "done": True}), 'Hi\ncall weather {"city":"Rome"}\n'),
        (lines({"message": {"content": "Hi"}}, {"message": {"content": "!"}})[:-1], "Hi!"),
        (events({"choices": [{"delta": {"content": "Hel"}}]}, {"choices": [{"delta": {"content": "lo"}}]}), "Hello"),
        (json.dumps({"choices": [{"message": {"content": "Hi", "reasoning": "Hm."}}]}).encode(), "thinking: Hm.\nHi"),
        (json.dumps({"choices": [{"text": "Hi"}]}).encode(), "Hi"),
        (
            events(
                {"type": "response.output_text.delta", "delta": "Hel"},
                {"type": "response.output_text.delta", "delta": "lo"},
                {"type": "response.completed", "response": {"output": [{"content": [{"text": "Hello"}]}]}},
            ),
            "Hello",
        ),
        (json.dumps({"output": [{"content": [{"type": "output_text", "text": "Hi"}]}]}).encode(), "Hi"),
        (
            events(
                {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hm."}},
                {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
                {"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f", "input": {}}},
                {"type": "content_block_delta", "delta": {"partial_json": '{"a":1}'}},
            ),
            'thinking: Hm.\nHi\ncall f {"a":1}',
        ),
        (json.dumps({"content": [{"type": "text", "text": "Hi"}]}).encode(), "Hi"),
        (json.dumps({"embeddings": [[0.1]]}).encode(), ""),
        (b"", ""),
    ],
)  # fmt: skip
def test_answers_are_read_whole_and_in_pieces(answer: bytes, expected: str) -> None:
    assert answer_text(answer).rstrip() == expected.rstrip()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "message",
                    "content",
                    "choices",
                    "delta",
                    "text",
                    "input",
                    "output",
                    "name",
                    "type",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.binary(max_size=20))
def test_what_has_another_shape_is_no_text_and_no_failure(value: object, junk: bytes) -> None:
    for data in (json.dumps(value).encode(), b"data: " + json.dumps(value).encode() + b"\n" + junk, junk):
        assert isinstance(prompt_text(data), str)
        assert isinstance(answer_text(data), str)
