"""Thoughts and tool calls are found however the text is cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from namel3ss.sandbox.parsing import ThoughtParser, ToolCallParser


def _cut(text: str, places: list[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


def _thoughts(pieces: list[str]) -> tuple[str, str]:
    parser = ThoughtParser("<think>", "</think>")
    parts = [parser.add(piece) for piece in pieces]
    return "".join(part[0] for part in parts), "".join(part[1] for part in parts)


@given(st.lists(st.integers(0, 200), max_size=12))
def test_thoughts_are_split_off_for_every_cutting(places: list[int]) -> None:
    text = "  <think>\n I wonder < about </thin tags.</think>\n\nHello <b>"
    assert _thoughts(_cut(text, places)) == ("I wonder < about </thin tags.", "Hello <b>")


def test_a_text_without_thoughts_is_left_as_it_is() -> None:
    assert _thoughts([" <th", "e end>"]) == ("", " <the end>")


def _calls(tag: str, pieces: list[str]) -> tuple[list[tuple[str, dict[str, object]]], str]:
    parser = ToolCallParser(tag, ["get", "get_weather"])
    calls, visible = [], ""
    for piece in pieces:
        found, text = parser.add(piece)
        calls += found
        visible += text
    return calls, visible + parser.rest()


@given(st.lists(st.integers(0, 300), max_size=12))
def test_calls_are_found_for_every_cutting(places: list[int]) -> None:
    text = (
        'Let me see. <tool_call>{"name": "get_weather", "arguments": {"city": "Par\\"is}"}}</tool_call>'
        '<tool_call>{"name": "get", "parameters": {"n": [1, {"m": 2}]}}</tool_call>'
    )
    calls, visible = _calls("<tool_call>", _cut(text, places))
    assert calls == [("get_weather", {"city": 'Par"is}'}), ("get", {"n": [1, {"m": 2}]})]
    assert visible == "Let me see. "


def test_a_bare_object_that_is_no_call_is_given_back() -> None:
    assert _calls("{", ['{"answer', '": 42}']) == ([], '{"answer": 42}')
    assert _calls("{", ["Well, ", '{"name": "get", "arguments": {}}']) == (
        [],
        'Well, {"name": "get", "arguments": {}}',
    )


def test_a_bare_object_that_is_a_call_is_one() -> None:
    assert _calls("{", ['{"name": "get", ', '"arguments": {"a": 1}}']) == ([("get", {"a": 1})], "")
