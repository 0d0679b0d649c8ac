"""A provider whose answers a test gives, as a function of what is asked."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from namel3ss.language import Severity
from namel3ss.providers.base import (
    N3Provider,
    ProviderChunk,
    ProviderMessage,
    ProviderResponse,
    ProviderStream,
)
from namel3ss.runtime import load
from tests.runtime.scripted import registry_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from namel3ss.providers.base import Messages
    from namel3ss.runtime import Program


@dataclass(frozen=True)
class Asked:
    """One request: who was asked what, with which settings."""

    model: str
    messages: tuple[ProviderMessage, ...]
    settings: dict[str, Any]

    @property
    def text(self) -> str:
        return self.messages[-1].content

    @property
    def system(self) -> str | None:
        return self.messages[0].content if self.messages[0].role == "system" else None


class _Provider(N3Provider):
    def __init__(self, name: str, model: str, answer: Callable[[Asked], Awaitable[str]]) -> None:
        self.name = name
        self.model = model
        self._answer = answer

    async def generate(self, messages: Messages, **overrides: Any) -> ProviderResponse:
        assert isinstance(messages, list)
        asked = Asked(
            self.name, tuple(each for each in messages if isinstance(each, ProviderMessage)), overrides
        )
        return ProviderResponse(await self._answer(asked), self.model, "stop")

    def stream(self, messages: Messages, **overrides: Any) -> ProviderStream:
        return _Stream(self.generate(messages, **overrides))

    async def aclose(self) -> None:
        pass


class _Stream(ProviderStream):
    """The answer in pieces of three characters."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self._response: ProviderResponse | None = None
        self._sent = 0

    async def __anext__(self) -> ProviderChunk:
        response = await self._whole()
        piece = response.output_text[self._sent : self._sent + 3]
        if not piece:
            raise StopAsyncIteration
        self._sent += 3
        return ProviderChunk(output_text=piece)

    async def cancel(self) -> None:
        if self._response is None:
            self._answer.close()

    async def result(self) -> ProviderResponse:
        return await self._whole()

    async def _whole(self) -> ProviderResponse:
        if self._response is None:
            self._response = await self._answer
        return self._response


def load_answering(
    folder: Path, text: str, answer: Callable[[Asked], Awaitable[str]], *, models: str = "m"
) -> Program:
    """A program with these models, and prompts and chains; every request is answered by `answer`."""
    declared = "".join(
        f"ai model {name} {{ provider: test  model: {name}-model }}\n" for name in models.split()
    )
    path = folder / "app.ai"
    path.write_text(declared + textwrap.dedent(text), encoding="utf-8")

    registry = registry_of("test", lambda name, model, _config, _events: _Provider(name, model, answer))
    program = load(path, environ={}, registry=registry)
    errors = [found.message for found in program.diagnostics if found.severity is Severity.ERROR]
    assert errors == []
    return program
