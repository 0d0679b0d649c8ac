"""One answer of a model, from the question to the last piece on the screen; shared by `run` and `chat`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from namel3ss.cli.progress import Spinner
from namel3ss.cli.pull_display import PullDisplay
from namel3ss.providers.local.ollama import OllamaProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from namel3ss.cli.answer import AnswerPrinter
    from namel3ss.cli.output import Output
    from namel3ss.providers.base import Messages, ProviderResponse
    from namel3ss.providers.local.ollama import PullProgress
    from namel3ss.runtime import RunnableModel

__all__ = ["answer_at_once", "answer_options", "stream_answer", "waiting_for"]


def answer_options(command: click.decorators.FC) -> click.decorators.FC:
    """Who answers, and how: ``--model``, ``--system``, ``--set``, ``--stats`` and ``--hide-thinking``."""
    for option in (
        click.option(
            "--hide-thinking", is_flag=True, help="Do not show what the model thinks before it answers."
        ),
        click.option("--stats", is_flag=True, help="Print tokens, speed and times of each answer to stderr."),
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="KEY=VALUE",
            help="Change a setting. May be repeated.",
        ),
        click.option("--system", metavar="TEXT", help="Replace the system prompt of the file."),
        click.option(
            "-m", "--model", metavar="NAME", help="The model to use, where the file declares several."
        ),
    ):
        command = option(command)
    return command


async def stream_answer(
    output: Output,
    model: RunnableModel,
    messages: Messages,
    printer: AnswerPrinter,
    *,
    system: str | None = None,
    images: Sequence[object] = (),
) -> ProviderResponse:
    """Print the answer as it arrives. Whatever ends this early closes the connection, which stops the server."""
    async with (
        waiting_for(output, model) as stop_waiting,
        model.stream(messages, system=system, images=images) as stream,
    ):
        async for chunk in stream:
            stop_waiting()
            printer.show(chunk)
        return await stream.result()


async def answer_at_once(
    output: Output,
    model: RunnableModel,
    messages: Messages,
    *,
    system: str | None = None,
    images: Sequence[object] = (),
) -> ProviderResponse:
    """The complete answer; nothing of it is printed."""
    async with waiting_for(output, model):
        return await model.run(messages, system=system, images=images)


@contextlib.asynccontextmanager
async def waiting_for(output: Output, model: RunnableModel) -> AsyncIterator[Callable[[], None]]:
    """Something moves on stderr while nothing of the answer is there: a spinner, or the bar of a pull."""
    spinner = Spinner(output, f"Waiting for {model.model}")
    display = PullDisplay(output)

    def show_pull(progress: PullProgress) -> None:
        spinner.stop()
        display(progress)
        if progress.phase == "success":
            spinner.start()  # now the model is loaded

    provider = model.provider
    if isinstance(provider, OllamaProvider):
        provider.on_pull_progress = show_pull
    spinner.start()
    try:
        yield spinner.stop
    finally:
        spinner.stop()
        display.close()
