"""``namel3ss run FILE [PROMPT]``: one prompt, one answer; or a prompt or chain that the file declares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from namel3ss.cli.ai_files import AI_FILE
from namel3ss.cli.answer import AnswerPrinter, answer_as_json, answer_statistics
from namel3ss.cli.answering import answer_at_once, answer_options, stream_answer
from namel3ss.cli.event_loop import EventLoop
from namel3ss.cli.opening import load_program, open_model, sandbox_option, where_to_run
from namel3ss.cli.part_options import Wanted, part_options
from namel3ss.cli.prompts import assemble_prompt, single_argument, text_argument
from namel3ss.cli.reading import reading_options
from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.cli.telemetry import exported_telemetry, otel_option

if TYPE_CHECKING:
    from namel3ss.cli.output import Output
    from namel3ss.providers.base import ProviderResponse
    from namel3ss.runtime import Program, RunnableModel


@dataclass(frozen=True, slots=True)
class Manner:
    """How the answer is wanted."""

    streamed: bool
    as_json: bool
    with_thinking: bool
    with_statistics: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What the model gets."""

    prompt: str
    system: str | None
    images: tuple[Path, ...]


@click.command(cls=Command, short_help="Answer one prompt with a model of a .ai file.")
@click.argument("file", metavar="FILE", type=AI_FILE)
@click.argument("words", metavar="[PROMPT]", nargs=-1)
@part_options
@answer_options
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    metavar="PATH",
    help="A picture for the model to see. May be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer with its numbers as one JSON object.")
@click.option("--no-stream", is_flag=True, help="Print the answer when it is complete.")
@otel_option
@reading_options
@sandbox_option
@pass_session
def command(
    session: Session,
    *,
    file: str,
    words: tuple[str, ...],
    model: str | None,
    prompt_name: str | None,
    chain_name: str | None,
    inputs: tuple[str, ...],
    system: str | None,
    images: tuple[Path, ...],
    assignments: tuple[str, ...],
    as_json: bool,
    no_stream: bool,
    stats: bool,
    hide_thinking: bool,
    otel: bool,
    sandbox: bool,
) -> None:
    """Answer one prompt with a model of a .ai file.

    The prompt is PROMPT, followed by what is piped in. The answer goes to stdout as it arrives, everything else to
    stderr. With --prompt or --chain the file says what is asked, and PROMPT is the one text that it needs.
    """
    prompt = single_argument(words)
    if prompt_name is not None or chain_name is not None or inputs:
        wanted = Wanted(
            prompt=prompt_name,
            chain=chain_name,
            inputs=inputs,
            text=prompt,
            model=model,
            assignments=assignments,
            as_json=as_json,
            streamed=not no_stream,
            with_thinking=not hide_thinking,
            with_statistics=stats,
        )
        wanted.check(has_other_texts=system is not None or bool(images))
        with (
            exported_telemetry(session, asked=otel),
            where_to_run(session, file, sandbox=sandbox) as url,
            EventLoop() as loop,
        ):
            _start_part(loop, session, load_program(session, file, url), wanted)
        return
    if system is not None:
        system = text_argument(system, "--system")
    question = Question(assemble_prompt(prompt, session.stdin), system, images)
    manner = Manner(not (no_stream or as_json), as_json, not hide_thinking, stats)
    with (
        exported_telemetry(session, asked=otel),
        where_to_run(session, file, sandbox=sandbox) as url,
        EventLoop() as loop,
    ):
        program, chosen = open_model(session, file, url, model=model, assignments=assignments)
        loop.run(_run(session, program, chosen, question, manner))


def _start_part(loop: EventLoop, session: Session, program: Program, wanted: Wanted) -> None:
    from namel3ss.cli.part_running import run_part  # brings what only prompts and chains need

    loop.run(run_part(session, program, wanted))


async def _run(
    session: Session, program: Program, model: RunnableModel, question: Question, manner: Manner
) -> None:
    async with program:
        response = await _answer(session.output, model, question, manner)
    if manner.as_json:
        session.output.line(answer_as_json(response, ascii_only=not session.output.encodes_unicode))
    elif response.finish_reason == "length":
        session.output.warn("the answer was cut: max_tokens or the context window was reached.")
    if manner.with_statistics:
        session.output.note(answer_statistics(response))


async def _answer(
    output: Output, model: RunnableModel, question: Question, manner: Manner
) -> ProviderResponse:
    printer = AnswerPrinter(output, show_thinking=manner.with_thinking)
    if manner.streamed:
        response = await stream_answer(
            output, model, question.prompt, printer, system=question.system, images=question.images
        )
    else:
        response = await answer_at_once(
            output, model, question.prompt, system=question.system, images=question.images
        )
        if not manner.as_json:
            printer.show_thinking(response.thinking or "")
            printer.show_text(response.output_text)
    printer.finish()
    return response
