"""What a script consists of: answers, pauses in them, and the calls that asked for them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast, get_args

from namel3ss.errors import UsageError
from namel3ss.providers.base import (
    Messages,
    ProviderChunk,
    ProviderMessage,
    Role,
    ToolCall,
    Usage,
)

__all__ = [
    "Outcome",
    "Pause",
    "ScriptUsedUpError",
    "Scripted",
    "ScriptedAnswer",
    "ScriptedCall",
    "answer_of",
    "conversation",
]


Outcome: TypeAlias = Literal["running", "ok", "error", "cancelled"]


class ScriptUsedUpError(AssertionError):
    """The program asked more often than its test expected. No `ProviderError`, so that no program handles it."""


class Pause:
    """A place in an answer where it waits until the test lets it go on. For one event loop, and once.

    pause = Pause()
    provider = ScriptedProvider(["Good", pause, "bye"])
    task = asyncio.create_task(program(provider))
    await pause.reached()     # "Good" was taken, and the program waits for more
    pause.resume()
    """

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._resumed = asyncio.Event()

    async def reached(self) -> None:
        """Returns when an answer has come this far."""
        await self._reached.wait()

    def resume(self) -> None:
        """Let the answer go on; also before it comes here."""
        self._resumed.set()

    async def hold(self) -> None:
        """Wait as the answer does."""
        self._reached.set()
        await self._resumed.wait()


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """One answer.

    `chunks` are its pieces: texts, whole chunks and pauses. `text` is cut into words where there are none.
    `tool_calls` come behind the text. After all of it `error` is raised, if there is one: what came before it was
    received. `usage` is what the server would have counted; nothing is made up where it is left out.
    """

    text: str = ""
    chunks: Sequence[str | ProviderChunk | Pause] = ()
    thinking: str = ""
    tool_calls: Sequence[ToolCall] = ()
    finish_reason: str = "stop"
    usage: Usage = field(default_factory=Usage)
    error: Exception | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def pieces(self) -> list[ProviderChunk | Pause]:
        """What is received, one after the other; the last chunk is not among it."""
        found: list[ProviderChunk | Pause] = []
        if self.thinking:
            found.append(ProviderChunk(thinking=self.thinking))
        found += [
            ProviderChunk(output_text=piece) if isinstance(piece, str) else piece
            for piece in self.chunks or re.findall(r"\s*\S+|\s+", self.text)
        ]
        if self.tool_calls:
            found.append(ProviderChunk(tool_calls=tuple(self.tool_calls)))
        return found


@dataclass(slots=True)
class ScriptedCall:
    """One call that a provider got, and how it ended."""

    messages: tuple[ProviderMessage, ...]
    overrides: Mapping[str, Any]
    is_streamed: bool
    outcome: Outcome = "running"

    @property
    def prompt(self) -> str:
        """What the user said last; "" where the user said nothing."""
        return next((each.content for each in reversed(self.messages) if each.role == "user"), "")

    @property
    def system(self) -> str | None:
        """The system prompt, if there is one."""
        return next((each.content for each in self.messages if each.role == "system"), None)


# A text, its pieces, a whole answer, an error to raise, or a function that makes one of these for a call.
Scripted: TypeAlias = (
    "str | Sequence[str | ProviderChunk | Pause] | ScriptedAnswer | Exception"
    " | Callable[[ScriptedCall], Scripted]"
)


def answer_of(script: Scripted, call: ScriptedCall) -> ScriptedAnswer:
    """The answer that is meant."""
    if isinstance(script, str):
        return ScriptedAnswer(script)
    if isinstance(script, ScriptedAnswer):
        return script
    if isinstance(script, Exception):
        return ScriptedAnswer(error=script)
    if isinstance(script, Sequence):
        return ScriptedAnswer(chunks=script)
    if callable(script):
        return answer_of(script(call), call)
    raise UsageError(
        f"An answer cannot be a value of type {type(script).__name__}.",
        suggestion="Give a text, a list of texts, a ScriptedAnswer, an exception, or a function of the call.",
    )


def conversation(messages: Messages) -> tuple[ProviderMessage, ...]:
    """A prompt, a message or a conversation as messages. Raises UsageError for anything else."""
    if isinstance(messages, str):
        return (ProviderMessage("user", messages),)
    if isinstance(messages, ProviderMessage | Mapping):
        return (_message(messages),)
    if not isinstance(messages, Sequence):
        raise UsageError(f"A prompt is text or messages, not a value of type {type(messages).__name__}.")
    return tuple(_message(message) for message in messages)


def _message(message: object) -> ProviderMessage:
    if isinstance(message, ProviderMessage):
        return message
    if not isinstance(message, Mapping):
        raise UsageError(
            f"A message is a ProviderMessage or a dict, not a value of type {type(message).__name__}."
        )
    role = message.get("role")
    if role not in get_args(Role):
        raise UsageError(
            f"A message has the role {role!r}.", suggestion=f"Roles are: {', '.join(get_args(Role))}."
        )
    return ProviderMessage(
        cast("Role", role),
        message.get("content") or "",
        images=message.get("images") or (),
        tool_calls=tuple(_tool_call(call) for call in message.get("tool_calls") or ()),
        tool_call_id=message.get("tool_call_id"),
        tool_name=message.get("tool_name"),
        thinking=message.get("thinking"),
    )


def _tool_call(call: ToolCall | Mapping[str, Any]) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    function = call.get("function") or {}
    arguments = function.get("arguments") or {}
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    return ToolCall(function.get("name", ""), arguments, call.get("id"))
