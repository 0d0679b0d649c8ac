"""Numbers, durations, names and quoted texts as Go reads and writes them."""

from __future__ import annotations

import contextlib
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.sandbox.durations import BadDurationError, parse_duration
from namel3ss.sandbox.gojson import Literal, encode, float32, number, quote
from namel3ss.sandbox.names import ConflictingSourceError, ModelName, ModelReference, Source


def test_html_and_javascript_are_escaped() -> None:
    assert encode({"a": "<b>&\u2028\u2029é"}) == b'{"a":"\\u003cb\\u003e\\u0026\\u2028\\u2029\xc3\xa9"}'


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_is_written_as_json(text: str) -> None:
    written = json.loads(encode([text]))[0]
    assert written == "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in text)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (1.5, "1.5"),
        (-2.25, "-2.25"),
        (0.000001, "0.000001"),
        (0.0000001, "1e-7"),
        (1.25e-9, "1.25e-9"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (123456789.125, "123456789.125"),
        (-36.99289321899414, "-36.99289321899414"),
    ],
)
def test_floats_are_written_in_go_s_notation(value: float, written: str) -> None:
    assert bytes(number(value)).decode() == written


def test_a_number_out_of_a_request_is_written_as_go_writes_it() -> None:
    assert encode({"a": [Literal("2.0"), Literal("1e21"), Literal("1e400")]}) == b'{"a":[2,1e+21,1e400]}'


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back_as_it_was(value: float) -> None:
    assert float(bytes(number(value))) == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_of_single_precision_is_read_back_as_it_was(value: float) -> None:
    back = float(bytes(float32(value)))
    assert struct.pack("<f", back) == struct.pack("<f", value) or back == value == 0


@pytest.mark.parametrize(
    ("value", "written"), [(0.05613725, "0.05613725"), (-0.34680066, "-0.34680066"), (1 / 3, "0.33333334")]
)
def test_single_precision_takes_no_more_digits_than_it_needs(value: float, written: str) -> None:
    assert bytes(float32(value)).decode() == written


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("5m", 300 * 10**9),
        ("1h30m", 5400 * 10**9),
        ("300ms", 3 * 10**8),
        ("-1m", -60 * 10**9),
        ("0", 0),
        ("1.5s", 1_500_000_000),
        (".5s", 5 * 10**8),
        ("1us2µs3μs", 6000),
        ("+3ns", 3),
    ],
)
def test_durations_are_read(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("300", 'time: missing unit in duration "300"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("", 'time: invalid duration ""'),
        ("abc", 'time: invalid duration "abc"'),
        ("-", 'time: invalid duration "-"'),
        ("99999999h", 'time: invalid duration "99999999h"'),
        ("\x00", r'time: invalid duration "\x00"'),
        ('5"é', r'time: unknown unit "\"\xc3\xa9" in duration "5\"\xc3\xa9"'),
    ],
)
def test_bad_durations_are_named(text: str, message: str) -> None:
    with pytest.raises(BadDurationError) as caught:
        parse_duration(text)
    assert str(caught.value) == message


@given(st.text(alphabet="0123456789.hmsun-+ µ", max_size=12))
def test_any_duration_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadDurationError):
        parse_duration(text)


def test_quoted_texts_escape_what_cannot_be_seen() -> None:
    assert quote('a"\\\n\x00\u200b\U000e0001é') == r'"a\"\\\n\x00\u200b\U000e0001é"'


@pytest.mark.parametrize(
    ("text", "full", "shortest"),
    [
        ("llama3", "registry.ollama.ai/library/llama3:latest", "llama3:latest"),
        ("llama3:8b", "registry.ollama.ai/library/llama3:8b", "llama3:8b"),
        ("me/m", "registry.ollama.ai/me/m:latest", "me/m:latest"),
        ("host:5000/ns/m:t", "host:5000/ns/m:t", "host:5000/ns/m:t"),
        ("http://h/library/m", "h/library/m:latest", "h/library/m:latest"),
    ],
)
def test_names_get_their_defaults(text: str, full: str, shortest: str) -> None:
    name = ModelName.parse(text)
    assert name.is_valid
    assert (name.full, name.shortest) == (full, shortest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a:",
        ":t",
        "/a",
        "a/",
        "a//b",
        "a b",
        "a@sha",
        "a/b/c/d",
        "reg.example/x",
        "é",
        "a" * 81,
        ".a",
        "a\n",
    ],
)
def test_names_that_the_server_refuses_are_invalid(text: str) -> None:
    assert not ModelName.parse(text).is_valid


def test_names_are_the_same_in_any_case() -> None:
    assert ModelName.parse("LLama3:8B").key == ModelName.parse("registry.ollama.AI/Library/llama3:8b").key


@pytest.mark.parametrize(
    ("text", "base", "source", "pulled"),
    [
        ("m", "m", Source.UNSAID, "m:latest"),
        (" m:7b ", "m:7b", Source.UNSAID, "m:7b"),
        ("m:cloud", "m", Source.CLOUD, "m:cloud"),
        ("m:7b:CLOUD", "m:7b", Source.CLOUD, "m:7b-cloud"),
        ("m:7b-cloud", "m:7b", Source.CLOUD, "m:7b-cloud"),
        ("m:local", "m", Source.LOCAL, "m:latest"),
        ("my-cloud", "my-cloud", Source.UNSAID, "my-cloud:latest"),
    ],
)
def test_a_suffix_says_where_a_model_runs(text: str, base: str, source: Source, pulled: str) -> None:
    found = ModelReference.parse(text)
    assert (found.base, found.source, found.pull_name.shortest) == (base, source, pulled)


def test_two_suffixes_contradict_each_other() -> None:
    with pytest.raises(ConflictingSourceError):
        ModelReference.parse("m:cloud:local")
