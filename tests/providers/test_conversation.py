from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.base import ProviderMessage, ToolCall
from namel3ss.providers.conversation import load_images, to_image, to_wire_messages

PIXEL = b"\x89PNG\r\n\x1a\nnot really"
BASE64 = base64.b64encode(PIXEL).decode()


def test_text_is_one_message_of_the_user() -> None:
    assert to_wire_messages("hi") == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    "message",
    [ProviderMessage("user", "hi"), {"role": "user", "content": "hi"}, {"role": "User", "content": "hi"}],
)
def test_one_message_may_stand_alone(message: Any) -> None:
    assert to_wire_messages(message) == [{"role": "user", "content": "hi"}]


def test_parts_of_a_content_become_text_and_images() -> None:
    parts = [
        {"type": "text", "text": "What is"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}},
        {"type": "text", "text": "this?"},
    ]

    assert to_wire_messages([{"role": "user", "content": parts}]) == [
        {"role": "user", "content": "What is\nthis?", "images": [PIXEL]}
    ]


def test_tool_round_trip_in_openai_form_becomes_ollamas() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    conversation = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "hi", "name": "somebody"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "18 C"},
    ]

    assert to_wire_messages(conversation) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "18 C", "tool_call_id": "call_1", "tool_name": "f"},
    ]


def test_what_a_model_said_can_be_sent_back_as_it_came() -> None:
    said = ProviderMessage(
        "assistant", "", tool_calls=(ToolCall("f", {"a": 1}, id="call_1", index=0),), thinking="hm"
    )

    assert to_wire_messages([said]) == [
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": {"a": 1}, "index": 0}}],
        }
    ]


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (None, "messages must be"),
        (5, "messages must be"),
        (b"hi", "messages must be"),
        ([], "messages is empty"),
        ([5], "messages[0] must be a message"),
        (["hi"], "messages[0] must be a message"),
        ([{"content": "hi"}], "messages[0].role is missing"),
        ([{"role": "wizard", "content": "hi"}], "messages[0].role is 'wizard'"),
        ([{"role": "user"}], "messages[0] has no content"),
        ([{"role": "user", "contents": "hi"}], "messages[0] has no content"),
        ([{"role": "user", "content": 5}], "messages[0].content must be"),
        ([{"role": "user", "content": [{"type": "video"}]}], "messages[0].content[0] is not a part"),
        ([{"role": "user", "content": "hi", "images": "x.png"}], "messages[0].images must be a list"),
        ([{"role": "assistant", "tool_calls": [{"name": "f"}]}], "no tool call"),
        (
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}],
            "the arguments are not JSON",
        ),
        (
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}],
            "the arguments must be an object",
        ),
        ("half \ud83d", "half of a surrogate pair at position 5"),
        ([{"role": "user", "content": "\udc00"}], "messages[0].content holds half of a surrogate pair"),
    ],
)
def test_wrong_message_is_a_usage_error_that_names_it(messages: object, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        to_wire_messages(messages)

    assert words in raised.value.message


# -- images ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        PIXEL,
        bytearray(PIXEL),
        memoryview(PIXEL),
        BASE64,
        BASE64.rstrip("="),
        f"data:image/png;base64,{BASE64}",
        BASE64.replace("+", "-").replace("/", "_"),
        "\n".join([BASE64[:8], BASE64[8:]]),
    ],
)
def test_image_is_taken_in_every_form(image: object) -> None:
    assert to_image(image, "images") == PIXEL


@pytest.mark.usefixtures("_threads_of_the_loop_end")
@pytest.mark.parametrize("kind", [str, Path])
async def test_image_may_be_a_path(tmp_path: Path, kind: type[Any]) -> None:
    path = tmp_path / "pixel.png"
    path.write_bytes(PIXEL)
    messages = to_wire_messages([ProviderMessage("user", "What is this?", images=[kind(path)])])

    await load_images(messages)

    assert messages[0]["images"] == [PIXEL]


@pytest.mark.usefixtures("_threads_of_the_loop_end")
async def test_image_file_that_is_missing_is_named(tmp_path: Path) -> None:
    messages = to_wire_messages([ProviderMessage("user", images=[tmp_path / "missing.png"])])

    with pytest.raises(UsageError, match=r"missing\.png.*No such file"):
        await load_images(messages)


@pytest.mark.usefixtures("_threads_of_the_loop_end")
async def test_folder_whose_name_would_pass_for_base64_is_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cats").mkdir()
    monkeypatch.chdir(tmp_path)
    messages = to_wire_messages([ProviderMessage("user", images=["cats"])])

    with pytest.raises(UsageError, match="'cats' cannot be read"):
        await load_images(messages)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("https://example.com/cat.png", "not fetched from the network"),
        ("data:image/png,rawdata", "the data URI is not base64"),
        ("data:image/png;base64,%%%", "the data URI is not base64"),
        ("no such file.png", "neither a file nor base64"),
        ("", "the image is empty"),
        (b"", "the image is empty"),
        (5, "an image must be bytes"),
        (None, "an image must be bytes"),
    ],
)
def test_image_in_no_known_form_is_a_usage_error(image: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        to_image(image, "images")


@pytest.mark.parametrize("url", ["/etc/hostname", "file:///etc/hostname", "http://127.0.0.1/x"])
def test_image_url_of_a_content_part_never_reads_a_file_or_the_network(url: str) -> None:
    with pytest.raises(UsageError, match="not fetched"):
        to_wire_messages([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])
