r"""What a person types in a chat: messages, messages over several lines, and commands. Pure.

any text              a message
text \                the message goes on in the next line
three double quotes   begin and end a message over several lines
/name argument        a command; //text is the message "/text"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from namel3ss.language.suggest import closest

__all__ = ["COMMANDS", "ChatInput", "Entry", "Instruction", "Message", "UnknownCommand", "help_text"]

_QUOTES: Final = '"""'

# Name → what follows it, what it does.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "help": ("", "show this list"),
    "model": ("[NAME]", "go on with another model of the file, or list them"),
    "set": ("[KEY=VALUE]", "change a setting for the rest of this chat, or list what was changed"),
    "system": ("[TEXT]", "set the system prompt, or show it"),
    "save": ("FILE", "write the whole conversation to a file"),
    "clear": ("", "forget the conversation"),
    "exit": ("", "leave; Ctrl-D does the same"),
}

# What people type out of habit.
_ALIASES: Final = {"quit": "exit", "bye": "exit", "?": "help"}


@dataclass(frozen=True, slots=True)
class Message:
    """Something to send to the model."""

    text: str


@dataclass(frozen=True, slots=True)
class Instruction:
    """A command of `COMMANDS`, with what followed it."""

    name: str
    argument: str


@dataclass(frozen=True, slots=True)
class UnknownCommand:
    """A word after ``/`` that is no command; `nearest` is what may have been meant."""

    name: str
    nearest: str | None


Entry: TypeAlias = Message | Instruction | UnknownCommand


class ChatInput:
    """Puts lines together to entries. `is_open` while a message goes on in the next line."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._quoted = False

    @property
    def is_open(self) -> bool:
        return self._quoted or bool(self._lines)

    def feed(self, line: str) -> Entry | None:
        """Take one line without its end; gives an entry once one is complete."""
        if self._quoted:
            return self._feed_quoted(line)
        if not self._lines and line.lstrip().startswith(_QUOTES):
            self._quoted = True
            return self._feed_quoted(line.lstrip().removeprefix(_QUOTES))
        if line.endswith("\\"):
            self._lines.append(line[:-1])
            return None
        if self._lines:
            return self._finish(line)
        return _read_single_line(line)

    def end(self) -> Entry | None:
        """The input is over: gives a message that was still open."""
        return self._finish("") if self.is_open else None

    def discard(self) -> None:
        """Drop a message that was begun."""
        self._lines.clear()
        self._quoted = False

    def _feed_quoted(self, line: str) -> Entry | None:
        text, closing, _ = line.partition(_QUOTES)
        if closing:
            return self._finish(text)
        self._lines.append(text)
        return None

    def _finish(self, last: str) -> Entry | None:
        text = "\n".join([*self._lines, last]).strip("\n")
        self.discard()
        return Message(text) if text.strip() else None


def _read_single_line(line: str) -> Entry | None:
    text = line.strip()
    if not text:
        return None
    if text.startswith("//"):
        return Message(text[1:])
    if not text.startswith("/"):
        return Message(line)
    word, _, argument = text[1:].partition(" ")
    name = _ALIASES.get(word, word)
    if name in COMMANDS:
        return Instruction(name, argument.strip())
    nearest = closest(name, COMMANDS)
    return UnknownCommand(name, nearest[0] if nearest else None)


def help_text() -> str:
    """The commands and the ways to type a message, for ``/help``."""
    usages = {f"/{name} {argument}".strip(): meaning for name, (argument, meaning) in COMMANDS.items()}
    usages['"""'] = "begin and end a message over several lines; a \\ at a line's end also goes on"
    usages["Ctrl-C"] = "stop the answer"
    width = max(map(len, usages))
    return "\n".join(f"{usage:<{width}}  {meaning}" for usage, meaning in usages.items())
