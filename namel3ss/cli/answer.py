"""An answer on its way to the reader: its text on stdout, its thinking on stderr, its numbers where asked for."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from namel3ss.cli.output import Style, printable

if TYPE_CHECKING:
    from namel3ss.cli.output import Output
    from namel3ss.providers.base import ProviderChunk, ProviderResponse, Timings

__all__ = ["AnswerPrinter", "answer_as_json", "answer_statistics"]


class AnswerPrinter:
    """Prints one answer piece by piece. Lives for that answer; `text` is what was printed of it."""

    def __init__(self, output: Output, *, show_thinking: bool) -> None:
        self._output = output
        self._show_thinking = show_thinking
        self._is_thinking = False
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def show(self, chunk: ProviderChunk) -> None:
        """Print what a chunk brings."""
        self.show_thinking(chunk.thinking)
        self.show_text(chunk.output_text)

    def show_thinking(self, text: str) -> None:
        """Print a piece of thinking: dimmed on a terminal that shows it."""
        if text and self._show_thinking:
            self._is_thinking = True
            self._output.aside(self._output.styled(printable(text), Style.DIM))

    def show_text(self, text: str) -> None:
        """Print a piece of the answer itself."""
        if text:
            self._end_thinking()
            self._pieces.append(text)
            self._output.answer(text)

    def finish(self) -> None:
        """End the last line, which models rarely do. Nothing is added to an answer without text."""
        self._end_thinking()
        self._output.end_line()

    def _end_thinking(self) -> None:
        if self._is_thinking:
            self._is_thinking = False
            self._output.aside("\n\n")


def answer_as_json(response: ProviderResponse, *, ascii_only: bool) -> str:
    """The whole answer as one JSON object on one line; what nobody counted or measured is left out."""
    document = {
        "output_text": response.output_text,
        "model": response.model,
        "finish_reason": response.finish_reason,
        "usage": dict(response.usage),
        "timings": _measured(response.timings),
        "tool_calls": [
            {"name": call.name, "arguments": dict(call.arguments), "id": call.id}
            for call in response.tool_calls
        ],
        "thinking": response.thinking,
        "metadata": dict(response.metadata),
    }
    return json.dumps(document, ensure_ascii=ascii_only, default=str)


def answer_statistics(response: ProviderResponse) -> str:
    """One line of numbers: tokens, speed by the server's clock, loading, the wait for the first token."""
    usage, timings = response.usage, response.timings
    parts = []
    if usage.prompt_tokens is not None:
        parts.append(f"{usage.prompt_tokens} prompt tokens")
    if usage.completion_tokens is not None:
        parts.append(f"{usage.completion_tokens} completion tokens")
    if usage.completion_tokens is not None and timings.eval_s:
        parts.append(f"{usage.completion_tokens / timings.eval_s:.1f} tokens/s")
    for name, seconds in (
        ("load", timings.load_s),
        ("first token", timings.first_token_s),
        ("total", timings.wall_s if timings.wall_s is not None else timings.total_s),
    ):
        if seconds is not None:
            parts.append(f"{name} {seconds:.2f} s")
    return " · ".join(parts) or "the server sent no numbers"


def _measured(timings: Timings) -> dict[str, float]:
    return {name: seconds for name, seconds in asdict(timings).items() if seconds is not None}
