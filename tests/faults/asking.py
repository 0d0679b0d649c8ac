"""One call of a provider, from the outside: what arrived, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from namel3ss.providers.local.ollama import OllamaError

if TYPE_CHECKING:
    from namel3ss.providers.local.ollama import OllamaProvider

__all__ = ["Asked"]


@dataclass
class Asked:
    """The pieces of a streamed answer, and the error that ended it, if any."""

    pieces: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    error: OllamaError | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def failure(self) -> OllamaError:
        assert self.error is not None, f"the call ended well, with {self.text!r}"
        return self.error

    @classmethod
    async def of(cls, provider: OllamaProvider, prompt: Any = "Hi", **overrides: Any) -> Self:
        """Read a whole stream. After its end, good or bad, nothing more may come out of it."""
        asked = cls()
        stream = provider.stream(prompt, **overrides)
        try:
            async for chunk in stream:
                asked.pieces.append(chunk.output_text)
                asked.metadata = chunk.metadata
        except OllamaError as error:
            asked.error = error
        assert asked.error is None or asked.error.partial_text == asked.text
        assert asked.error is not None or asked.metadata.get("done") is True
        assert await anext(stream, None) is None, "something came after the end"
        return asked
