"""Bodies are read as the server reads them: never less patiently, and never differently."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.gateway.dialects import InferenceRequest, error_body, read_request
from namel3ss.gateway.dialects.go_faults import find_fault
from namel3ss.gateway.errors import Refusal
from namel3ss.gateway.routes import find_route
from tests.contract.recordings import Recording, all_recordings
from tests.gateway.dialects.routes import EMBEDDING, INFERENCE, STREAMED, post


def read(body: bytes | dict[str, Any], path: str = "/api/chat") -> InferenceRequest:
    return read_request(post(path), body if isinstance(body, bytes) else json.dumps(body).encode())


def refused(body: bytes | dict[str, Any], path: str = "/api/chat") -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(body, path)
    return caught.value


def reading_of(path: str, body: bytes) -> InferenceRequest | Refusal:
    try:
        return read_request(post(path), body)
    except Refusal as refusal:
        return refusal


def _inference() -> list[Recording]:
    found = []
    for each in all_recordings():
        route = find_route(each.request["path"]).methods.get(each.request["method"])
        if route is not None and route.action in INFERENCE:
            found.append(each)
    return found


@pytest.mark.parametrize("each", _inference(), ids=lambda each: each.name)
def test_recorded_request_goes_on_unchanged_or_is_refused_as_the_server_refused_it(each: Recording) -> None:
    route = post(each.request["path"])
    body = each.body
    assert body is not None

    read = reading_of(each.request["path"], body)

    if isinstance(read, Refusal):
        answer = error_body(route.dialect, read, "req_0").decode()
        recorded = re.sub("req_[0-9a-f]+", "req_0", each.response["body"])
        assert (read.status, answer) == (each.response["status"], recorded)
    else:
        assert read.body == body


# -- one reading ----------------------------------------------------------------------------------------------

CHAT = '"messages":[{"role":"user","content":"hi"}]'


@pytest.mark.security(3)
@pytest.mark.parametrize(
    ("body", "model"),
    [
        ('{"model":"a","model":"b",%s}', "b"),
        ('{"model":"a","MODEL":"b",%s}', "b"),
        ('{"model":"a","MODEL":"b","model":"c",%s}', "c"),
        ('{"Model":"a",%s}', "a"),
        ('{"mod\\u0065l":"a","m\\u006fdel":"b",%s}', "b"),
        ('{"model":"a","model":null,%s}', "a"),
        ('{%s,"model":"a"} {"model":"b"}', "a"),
        (' \n{ "model" : "a" , %s }\t', "a"),
        ('{"model":"a\\ud800",%s}', "a\ufffd"),
    ],
)
def test_of_several_spellings_of_a_key_the_one_counts_that_counts_for_the_server(
    body: str, model: str
) -> None:
    text = (body % CHAT).encode()

    request = read(text)

    assert request.model == model
    # Whatever decides at the server finds the same: a key, once, in its usual spelling.
    again = json.loads(request.body, object_pairs_hook=list)
    assert [name for name, _ in again if name.lower() == "model"] == ["model"]
    assert read(request.body).model == model


@pytest.mark.parametrize("body", ['{"model":"a",%s}', '{"model": "a", %s}', '\n{ "model" : "a",\n %s }\n'])
def test_body_that_can_be_read_in_one_way_only_stays_as_it_is(body: str) -> None:
    text = (body % CHAT).encode()
    assert read(text).body == text


def test_options_that_come_twice_are_one_map_and_a_null_takes_them_back() -> None:
    first = b'{"model":"a","options":{"num_ctx":99,"seed":1},"OPTIONS":{"seed":2}}'
    assert read(first).options == {"num_ctx": 99, "seed": 2}
    assert read(first.replace(b'{"seed":2}', b"null")).options == {}


def test_letters_that_the_server_takes_for_others_are_taken_for_them() -> None:
    request = read('{"model":"a","\u212aeep_alive":-1,"me\u017f\u017fages":[{}]}'.encode())
    assert request.keep_alive_s == math.inf
    assert request.message_count == 1


def test_bytes_that_are_no_text_become_what_the_server_makes_of_them() -> None:
    request = read(b'{"model":"a\xff","messages":[{"content":"\xfe"}]}')
    assert request.model == "a\ufffd"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[1]", "json: cannot unmarshal array into Go value of type api.ChatRequest"),
        (b'"x"', "json: cannot unmarshal string into Go value of type api.ChatRequest"),
        (b"7", "json: cannot unmarshal number into Go value of type api.ChatRequest"),
        (b"true", "json: cannot unmarshal bool into Go value of type api.ChatRequest"),
        (b"null", "model is required"),
        (b"{}", "model is required"),
        (b'{"model":""}', "model is required"),
        (
            b'{"model":[]}',
            "json: cannot unmarshal array into Go struct field ChatRequest.model of type string",
        ),
        (
            b'{"model":{}}',
            "json: cannot unmarshal object into Go struct field ChatRequest.model of type string",
        ),
        (
            b'{"model":true}',
            "json: cannot unmarshal bool into Go struct field ChatRequest.model of type string",
        ),
        (
            b'{"model":7,"MODEL":"m","model":[]}',
            "json: cannot unmarshal number into Go struct field ChatRequest.model of type string",
        ),
        (b" \n", "missing request body"),
    ],
)
def test_what_is_no_request_is_refused_in_the_servers_words(body: bytes, words: str) -> None:
    refusal = refused(body)
    assert (400, words) == (refusal.status, refusal.message)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "EOF"),
        (b"{", "unexpected EOF"),
        (b'{"a"', "unexpected EOF"),
        (b'{"a":', "unexpected EOF"),
        (b'{"a":1', "unexpected EOF"),
        (b'{"a":1,', "unexpected EOF"),
        (b'{"a":[1', "unexpected EOF"),
        (b'{"a', "unexpected EOF"),
        (b'{"a":tr', "unexpected EOF"),
        (b'{"a":-', "unexpected EOF"),
        (b"{not json", "invalid character 'n' looking for beginning of object key string"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b'{"a":,}', "invalid character ',' looking for beginning of value"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        (b'{"a":[1 2]}', "invalid character '2' after array element"),
        (b'{"a":nul}', "invalid character '}' in literal null (expecting 'l')"),
        (b'{"a":"\n"}', "invalid character '\\n' in string literal"),
        (b'{"a":"\x01"}', "invalid character '\\x01' in string literal"),
        (b'{"a":"\\q"}', "invalid character 'q' in string escape code"),
        (b'{"a":"\\u00g0"}', "invalid character 'g' in \\u hexadecimal character escape"),
        (b'{"a":1.}', "invalid character '}' after decimal point in numeric literal"),
        (b'{"a":1e}', "invalid character '}' in exponent of numeric literal"),
        (b'{"a":-x}', "invalid character 'x' in numeric literal"),
        (b'{"a":01}', "invalid character '1' after object key:value pair"),
        (b"\xef\xbb\xbf{}", "invalid character '\u00ef' looking for beginning of value"),
        (b"{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
    ],
)
def test_broken_json_is_explained_in_the_servers_words(text: bytes, words: str) -> None:
    assert find_fault(text) == words


@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,\\ntrue0.1e-', max_size=30).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    found = reading_of("/api/chat", b'{"model":"m","messages":' + body)

    if isinstance(found, Refusal):
        assert found.status == 400
    else:
        assert read(found.body).model == found.model


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["model", "Model", "options", "OPTIONS", "stream", "other"]),
            st.sampled_from(['"a"', '"b"', '{"num_ctx":1}', '{"seed":2}', "true", "false", "null"]),
        ),
        max_size=6,
    )
)
def test_what_is_sent_on_is_read_as_what_was_received(pairs: list[tuple[str, str]]) -> None:
    body = '{"model":"z",' + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
    found = reading_of("/api/chat", body.replace(",}", "}").encode())
    if not isinstance(found, Refusal):
        again = read(found.body)
        assert (again.model, again.stream, again.options) == (found.model, found.stream, found.options)
        names = [name for name, _ in json.loads(found.body, object_pairs_hook=list) if name != "other"]
        assert sorted(names) == sorted({name.lower() for name in names})


@pytest.mark.fault(53)
@pytest.mark.parametrize("member", ["messages", "other"])
def test_nesting_without_end_is_refused_at_once(member: str) -> None:
    body = b'{"model":"m","%b":%b%b}' % (member.encode(), b"[" * 100_000, b"]" * 100_000)
    assert refused(body).status == 400
    assert refused(body + b" x").status == 400


@pytest.mark.fault(53)
def test_nesting_near_the_bound_is_read_or_refused() -> None:
    # Where the bound is depends on the version of Python.
    for depth in (*range(900, 1010, 3), 1_500, 5_000, *range(9_900, 10_010, 11)):
        body = b'{"model":"m","options":%b%b,"messages":[]}' % (b'{"a":' * depth + b"1", b"}" * depth)
        found = reading_of("/api/chat", body)
        assert not isinstance(found, Refusal) or found.message == "exceeded max depth"


def test_number_of_any_length_is_a_number() -> None:
    body = b'{"model":"m","options":{"num_ctx":%b}}' % (b"9" * 5000)
    assert read(body).options == {"num_ctx": math.inf}


# -- what is asked for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", STREAMED)
def test_stream_is_what_the_protocol_says_where_the_request_does_not(path: str) -> None:
    assert read({"model": "m"}, path).stream is path.startswith("/api/")
    assert read({"model": "m", "stream": None}, path).stream is path.startswith("/api/")
    assert read({"model": "m", "stream": True}, path).stream is True
    assert read({"model": "m", "stream": False}, path).stream is False


@pytest.mark.parametrize("path", EMBEDDING)
def test_embeddings_are_never_streamed_and_load_nothing_on_purpose(path: str) -> None:
    request = read({"model": "m", "stream": True, "keep_alive": 0}, path)
    assert (request.stream, request.is_load) == (False, False)


@pytest.mark.parametrize(
    ("path", "body", "load", "unload"),
    [
        ("/api/generate", {}, True, False),
        ("/api/generate", {"prompt": ""}, True, False),
        ("/api/generate", {"prompt": None, "images": ["aaaa"]}, True, False),
        ("/api/generate", {"prompt": "x", "keep_alive": 0}, False, False),
        ("/api/generate", {"keep_alive": 0}, True, True),
        ("/api/generate", {"keep_alive": "0s"}, True, True),
        ("/api/generate", {"keep_alive": "0"}, True, True),
        ("/api/generate", {"keep_alive": 1e-12}, True, True),
        ("/api/generate", {"keep_alive": "5m"}, True, False),
        ("/api/generate", {"keep_alive": -1}, True, False),
        ("/api/chat", {}, True, False),
        ("/api/chat", {"messages": [], "keep_alive": 0}, True, True),
        ("/api/chat", {"messages": [{}], "keep_alive": 0}, False, False),
        ("/v1/completions", {"prompt": ""}, True, False),
        ("/v1/chat/completions", {"messages": []}, False, False),
        ("/v1/responses", {"input": ""}, True, False),
        ("/v1/responses", {"input": "x"}, False, False),
        ("/v1/messages", {"messages": []}, False, False),
    ],
)
def test_request_with_nothing_to_read_is_known_as_a_load_or_an_unload(
    path: str, body: dict[str, Any], load: bool, unload: bool
) -> None:
    request = read({"model": "m"} | body, path)
    assert (request.is_load, request.is_unload) == (load, unload)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (300, 300.0),
        (1.5, 1.5),
        (0, 0.0),
        (-1, math.inf),
        (-0.5, math.inf),
        (10**400, math.inf),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("+300ms", 0.3),
        ("-1m", math.inf),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("100\u00b5s", 1e-4),
        ("0", 0.0),
        ("-0", 0.0),
        (None, None),
        ("300", None),
        ("soon", None),
        (True, None),
        ([], None),
    ],
)
def test_keep_alive_is_a_number_of_seconds_or_a_duration_of_go(value: object, seconds: float | None) -> None:
    kept = read({"model": "m", "keep_alive": value}).keep_alive_s
    assert kept == (None if seconds is None else pytest.approx(seconds))


def test_a_long_body_is_not_searched_for_its_fault() -> None:
    # The search is of many steps for each byte, in which the gateway serves nobody else.
    with pytest.raises(Refusal) as caught:
        read(b"{" + b'"a":1,' * 20_000 + b"x")
    assert (caught.value.status, caught.value.message) == (400, "invalid JSON")


@pytest.mark.parametrize("text", ["1" * 1_000_000, "1h" * 10_000 + "1", "." * 1_000_000, "1." * 500_000])
def test_no_part_of_a_long_keep_alive_is_read_twice(text: str) -> None:
    # Tried in every way, these would take minutes, in which the gateway serves nobody.
    assert read({"model": "m", "keep_alive": text}).keep_alive_s is None


@pytest.mark.parametrize(
    ("path", "body", "most", "name"),
    [
        ("/api/chat", {"options": {"num_predict": 7}}, 7, "num_predict"),
        ("/api/chat", {"max_tokens": 7}, None, "num_predict"),
        ("/v1/chat/completions", {"max_tokens": 7, "max_completion_tokens": 9}, 9, "max_completion_tokens"),
        ("/v1/chat/completions", {"max_tokens": -1, "max_completion_tokens": 9}, -1, "max_tokens"),
        ("/v1/completions", {"max_tokens": 7}, 7, "max_tokens"),
        ("/v1/responses", {"max_output_tokens": 7}, 7, "max_output_tokens"),
        ("/v1/messages", {"max_tokens": 7}, 7, "max_tokens"),
        ("/v1/messages", {"max_tokens": "7"}, None, "num_predict"),
    ],
)
def test_longest_answer_is_found_under_the_protocols_name(
    path: str, body: dict[str, Any], most: int | None, name: str
) -> None:
    request = read({"model": "m"} | body, path)
    assert (request.max_tokens, request.max_tokens_name) == (most, name)


IMAGE = "A" * 40_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/generate", {"prompt": "x", "images": [IMAGE, IMAGE]}),
        ("/api/chat", {"messages": [{"content": "x", "images": [IMAGE]}, {"Images": [IMAGE]}]}),
        (
            "/v1/chat/completions",
            {"messages": [{"content": [{"type": "image_url", "image_url": {"url": IMAGE}}] * 2}]},
        ),
        (
            "/v1/messages",
            {"messages": [{"content": [{"type": "image", "source": {"data": IMAGE}}] * 2}]},
        ),
        (
            "/v1/responses",
            {"input": [{"content": [{"type": "input_image", "image_url": IMAGE}] * 2}]},
        ),
    ],
)
def test_images_are_counted_and_are_not_taken_for_text(path: str, body: dict[str, Any]) -> None:
    request = read({"model": "m"} | body, path)
    assert request.image_count == 2
    assert 2 * 768 < request.prompt_tokens < 2 * 768 + 100


def test_prompt_is_estimated_by_its_length() -> None:
    assert 1000 < read({"model": "m", "messages": [{"content": "four" * 1000}]}).prompt_tokens < 1050


# -- the simple chat ------------------------------------------------------------------------------------------


def test_text_as_message_is_a_simple_chat_which_needs_no_model_and_is_not_streamed_unasked() -> None:
    request = read({"message": "hi"})
    assert (request.is_simple_chat, request.model, request.stream, request.is_load) == (
        True,
        "",
        False,
        False,
    )
    assert read({"message": "hi", "stream": True}).stream
    assert read({"message": "hi", "messages": None}).is_simple_chat


def test_message_beside_messages_is_refused() -> None:
    refusal = refused({"model": "m", "message": "hi", "messages": []})
    assert refusal.status == 400
    assert "`message` and `messages`" in refusal.message


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", {"message": {"role": "user"}, "messages": [{}]}),
        ("/api/ollama/chat", {"message": "hi"}),
        ("/v1/chat/completions", {"message": "hi"}),
    ],
)
def test_anything_else_called_message_is_none_of_ours(path: str, body: dict[str, Any]) -> None:
    assert not read({"model": "m"} | body, path).is_simple_chat
