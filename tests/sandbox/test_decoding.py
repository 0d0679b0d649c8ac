"""Request bodies are refused in the words of Go's decoder; the words were taken from a real server."""

from __future__ import annotations

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.sandbox.anthropic_requests import MESSAGES
from namel3ss.sandbox.decoding import BadBase64Error, BadBodyError, decode, decode_base64, parse
from namel3ss.sandbox.goscan import JsonError, find_fault
from namel3ss.sandbox.requests import CHAT, GENERATE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "EOF"),
        ("   \n", "EOF"),
        ("{", "unexpected EOF"),
        ('{"a":"', "unexpected EOF"),
        ("[1,", "unexpected EOF"),
        ("-", "unexpected EOF"),
        ('{"a":tr}', "invalid character '}' in literal true (expecting 'u')"),
        ('{"a":nul}', "invalid character '}' in literal null (expecting 'l')"),
        ('{"a":1.}', "invalid character '}' after decimal point in numeric literal"),
        ('{"a":-}', "invalid character '}' in numeric literal"),
        ('{"a":1e}', "invalid character '}' in exponent of numeric literal"),
        ('{"a":01}', "invalid character '1' after object key:value pair"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ("[1 2", "invalid character '2' after array element"),
        ("{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
        ('{"a":"\\x"}', "invalid character 'x' in string escape code"),
        ('{"a":"\\u12x4"}', "invalid character 'x' in \\u hexadecimal character escape"),
        ('{"a":"\n"}', "invalid character '\\n' in string literal"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("}", "invalid character '}' looking for beginning of value"),
        ("\ufeff{}", "invalid character 'ï' looking for beginning of value"),
        ('{"a":é}', "invalid character 'Ã' looking for beginning of value"),
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ("[" * 20_000, "invalid character '[' exceeded max depth"),
        ('{"a":' * 20_000 + "1" + "}" * 20_000, "invalid character '{' exceeded max depth"),
    ],
)
def test_broken_json_is_named_as_go_names_it(text: str, message: str) -> None:
    with pytest.raises(JsonError) as caught:
        parse(text.encode())
    assert str(caught.value) == message


def test_what_follows_the_first_value_is_not_looked_at() -> None:
    assert parse(b' {"a": [1, 2.5, "x"]} rest }') == {"a": [1, 2.5, "x"]}


def test_halves_of_surrogate_pairs_and_bad_bytes_become_replacement_characters() -> None:
    assert parse(b'["\\ud800", "\\ud83d\\ude00", "\xff"]') == ["\ufffd", "\U0001f600", "\ufffd"]


_json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


@given(_json_values)
def test_sound_json_has_no_fault(value: object) -> None:
    text = json.dumps(value, allow_nan=False).encode()
    assert find_fault(text) is None
    parse(text)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(JsonError):
        parse(data)


@given(_json_values, st.integers(0, 200))
def test_a_text_cut_short_is_refused_or_was_complete(value: object, cut: int) -> None:
    text = json.dumps([value]).encode()[: -1 - cut] if cut < 200 else b""
    with pytest.raises(JsonError, match=r"^(unexpected )?EOF$"):
        parse(text)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "json: cannot unmarshal array into Go value of type api.ChatRequest"),
        (
            '{"model":5}',
            "json: cannot unmarshal number into Go struct field ChatRequest.model of type string",
        ),
        (
            '{"top_logprobs":1.5}',
            "json: cannot unmarshal number 1.5 into Go struct field ChatRequest.top_logprobs of type int",
        ),
        (
            '{"stream":"no"}',
            "json: cannot unmarshal string into Go struct field ChatRequest.stream of type bool",
        ),
        (
            '{"messages":[{"content":[]}]}',
            "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string",
        ),
        (
            '{"messages":[5]}',
            "json: cannot unmarshal number into Go struct field ChatRequest.messages of type api.Alias",
        ),
        (
            '{"tools":[{"function":{"name":5}}]}',
            "json: cannot unmarshal number into Go struct field ToolFunction.tools.function.name of type string",
        ),
        (
            '{"options":{"stop":["a",1e400]}}',
            "json: cannot unmarshal number 1e400 into Go struct field ChatRequest.options of type float64",
        ),
        (
            '{"keep_alive":-1e400}',
            "json: cannot unmarshal number -1e400 into Go struct field ChatRequest.keep_alive of type float64",
        ),
        ('{"keep_alive":"300"}', 'time: missing unit in duration "300"'),
        ('{"keep_alive":true}', "Unsupported type: 'bool'"),
        (
            '{"model":5,"stream":5}',
            "json: cannot unmarshal number into Go struct field ChatRequest.model of type string",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_its_field(body: str, message: str) -> None:
    with pytest.raises(BadBodyError) as caught:
        decode(CHAT, body.encode())
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            '{"tool_choice":"auto"}',
            "json: cannot unmarshal string into Go struct field MessagesRequest.tool_choice of type anthropic.ToolChoice",
        ),
        (
            '{"metadata":{"user_id":5}}',
            "json: cannot unmarshal number into Go struct field Metadata.metadata.user_id of type string",
        ),
        (
            '{"messages":["x"]}',
            "json: cannot unmarshal string into Go struct field MessagesRequest.messages of type "
            r'struct { Role string "json:\"role\""; Content json.RawMessage "json:\"content\"" }',
        ),
    ],
)
def test_what_anthropics_route_is_sent_is_checked_where_it_changes_nothing(body: str, message: str) -> None:
    with pytest.raises(BadBodyError) as caught:
        decode(MESSAGES, body.encode())
    assert str(caught.value) == message


def test_keys_match_in_any_case_nulls_are_defaults_and_unknown_keys_are_ignored() -> None:
    request = decode(GENERATE, b'{"MODEL":"m","prompt":null,"nope":1,"_debug_render_only":true}')
    assert (request.model, request.prompt, request.render_only) == ("m", "", True)


@given(st.binary())
def test_base64_is_read(data: bytes) -> None:
    assert decode_base64(base64.encodebytes(data).decode()) == data


@pytest.mark.parametrize(
    ("text", "position"), [("%%%", 0), ("a", 0), ("aGk", 0), ("aGk==", 4), ("aG k=", 2), ("YWJja", 4)]
)
def test_bad_base64_names_the_place(text: str, position: int) -> None:
    with pytest.raises(BadBase64Error, match=f"at input byte {position}$"):
        decode_base64(text)
