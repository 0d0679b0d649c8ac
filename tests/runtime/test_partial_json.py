"""Reading JSON in pieces: whatever the cuts, the end is what the whole text says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from namel3ss.runtime.partial_json import PartialJson

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON.map(lambda value: {"value": value}), st.integers(1, 7), st.booleans())
def test_in_pieces_of_any_size_the_end_is_the_whole(value: object, size: int, ascii_only: bool):
    text = json.dumps(value, ensure_ascii=ascii_only)
    reading = PartialJson()

    for start in range(0, len(text), size):
        reading.feed(text[start : start + size])

    assert reading.value == value


def test_only_complete_texts_and_numbers_count():
    reading = PartialJson()

    assert [
        (reading.feed(piece), reading.value)
        for piece in ('{"a": "x', 'y", "b": 1', "2, ", '"c": [t', "rue]}")
    ] == [
        (False, {}),
        (True, {"a": "xy"}),
        (True, {"a": "xy", "b": 12}),
        (False, {"a": "xy", "b": 12, "c": []}),
        (True, {"a": "xy", "b": 12, "c": [True]}),
    ]


@pytest.mark.parametrize(
    "text", ["", "nonsense", "{]", "}", '{"a" 1 2}', "[1 2", '{"a": }', "{}{}", '"\\x"', "\x00"]
)
def test_what_is_no_json_never_raises(text: str):
    reading = PartialJson()

    for character in text * 2:
        reading.feed(character)

    assert reading.value is None or isinstance(reading.value, dict | list)


def test_a_value_handed_out_does_not_change_later():
    reading = PartialJson()
    reading.feed('{"a": [1, ')
    before = reading.value

    reading.feed("2, 3]}")

    assert before == {"a": [1]}
