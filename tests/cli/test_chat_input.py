from __future__ import annotations

import pytest

from namel3ss.cli.chat_input import (
    COMMANDS,
    ChatInput,
    Entry,
    Instruction,
    Message,
    UnknownCommand,
    help_text,
)


def entries(*lines: str) -> list[Entry]:
    reader = ChatInput()
    found = [reader.feed(line) for line in lines]
    return [entry for entry in [*found, reader.end()] if entry is not None]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Hello"], [Message("Hello")]),
        (["  code = 1"], [Message("  code = 1")]),
        (["", "   "], []),
        (['"""', "one", "", "two", '"""'], [Message("one\n\ntwo")]),
        (['"""one', 'two"""'], [Message("one\ntwo")]),
        (['"""one"""'], [Message("one")]),
        (['"""', "/exit", '"""'], [Message("/exit")]),
        (['"""', "never closed"], [Message("never closed")]),
        (['"""', '"""'], []),
        (["one \\", "two"], [Message("one \ntwo")]),
        (["one \\"], [Message("one")]),
        (["//etc/hosts is what?"], [Message("/etc/hosts is what?")]),
        (["/help"], [Instruction("help", "")]),
        (["/set temperature=0.5"], [Instruction("set", "temperature=0.5")]),
        (["/system You are brief. "], [Instruction("system", "You are brief.")]),
        (["/bye"], [Instruction("exit", "")]),
        (["/quit", "Hello"], [Instruction("exit", ""), Message("Hello")]),
        (["/modell llama3"], [UnknownCommand("modell", "model")]),  # codespell:ignore modell
        (["/zzzzzz"], [UnknownCommand("zzzzzz", None)]),
    ],
)
def test_lines_become_entries(lines: list[str], expected: list[Entry]) -> None:
    assert [_stripped(entry) for entry in entries(*lines)] == expected


def _stripped(entry: Entry) -> Entry:
    return Message(entry.text.rstrip(" \n")) if isinstance(entry, Message) else entry


def test_reader_is_open_only_inside_a_message_of_several_lines() -> None:
    reader = ChatInput()
    states = []
    for line in ['"""', "text", '"""', "one \\", "two"]:
        reader.feed(line)
        states.append(reader.is_open)

    assert states == [True, True, False, True, False]


def test_discarded_message_does_not_reach_the_next() -> None:
    reader = ChatInput()
    reader.feed('"""')
    reader.feed("secret")

    reader.discard()

    assert reader.feed("Hello") == Message("Hello")


def test_help_names_every_command() -> None:
    text = help_text()

    assert [name for name in COMMANDS if f"/{name}" not in text] == []
