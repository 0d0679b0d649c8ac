"""What ``run`` takes for prompts and chains that a file declares."""

from __future__ import annotations

from dataclasses import dataclass

import click

from namel3ss.errors import UsageError

__all__ = ["Wanted", "part_options"]


def part_options(command: click.decorators.FC) -> click.decorators.FC:
    """``--prompt``, ``--chain`` and ``--input``."""
    prompt = click.option("--prompt", "prompt_name", metavar="NAME", help="Use this prompt of the file.")
    chain = click.option("--chain", "chain_name", metavar="NAME", help="Run this chain of the file.")
    inputs = click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="KEY=VALUE",
        help="An input of the prompt or chain; anything but text is written as JSON. May be repeated.",
    )
    return prompt(chain(inputs(command)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of a file is to run, with what, and how its answer is wanted."""

    prompt: str | None
    chain: str | None
    inputs: tuple[str, ...]
    text: str | None
    model: str | None
    assignments: tuple[str, ...]
    as_json: bool
    streamed: bool
    with_thinking: bool
    with_statistics: bool

    def check(self, *, has_other_texts: bool) -> None:
        """Raise UsageError for options that contradict each other."""
        if self.prompt is None and self.chain is None:
            raise UsageError(
                "--input goes with --prompt or --chain.",
                suggestion="Say which: --prompt NAME or --chain NAME",
            )
        if self.prompt is not None and self.chain is not None:
            raise UsageError("--prompt and --chain both say what to run; give one of them.")
        if has_other_texts:
            raise UsageError(
                "--system and --image do not go with --prompt and --chain, which bring their own texts."
            )
        if self.chain is not None and self.model is not None:
            raise UsageError("--model does not go with --chain: each step names its own.")
