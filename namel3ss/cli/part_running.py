"""``run --prompt NAME`` and ``run --chain NAME``: declared prompts and chains from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from namel3ss.cli.answer import AnswerPrinter, answer_as_json, answer_statistics
from namel3ss.cli.answering import stream_answer, waiting_for
from namel3ss.cli.assignments import read_assignments
from namel3ss.cli.live_value import ValuePrinter
from namel3ss.cli.prompts import given_text, text_argument
from namel3ss.declarations.value_types import ScalarType, as_type, without_optional
from namel3ss.errors import UsageError
from namel3ss.language.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.cli.output import Output
    from namel3ss.cli.part_options import Wanted
    from namel3ss.cli.session import Session
    from namel3ss.declarations.value_types import ObjectType
    from namel3ss.providers.base import ProviderResponse
    from namel3ss.runtime import Program
    from namel3ss.runtime.asking import Question
    from namel3ss.runtime.chains import ChainResult, RunnableChain, StepEvent
    from namel3ss.runtime.prompts import PromptResult, RunnablePrompt

__all__ = ["run_part"]

_TEXT = ScalarType("str")


async def run_part(session: Session, program: Program, wanted: Wanted) -> None:
    """Run it, and print what comes of it. Closes the program."""
    async with program:
        for model in program.models.values():
            settings = read_assignments(
                wanted.assignments, model.declaration.config_model, chosen=model.name, declared=program.models
            )
            if settings:
                model.override(settings)
        if wanted.prompt is not None:
            await _run_prompt(session, program.prompt(wanted.prompt), wanted)
        elif wanted.chain is not None:
            await _run_chain(session, program.chain(wanted.chain), wanted)


async def _run_prompt(session: Session, prompt: RunnablePrompt, wanted: Wanted) -> None:
    inputs = _read_inputs(session, prompt.declaration.input, wanted)
    if prompt.declaration.output is None and wanted.streamed and not wanted.as_json:
        response = await _stream_text(session.output, prompt.question(inputs, model=wanted.model), wanted)
    else:
        response = await _answer_whole(session.output, prompt, inputs, wanted)
    if wanted.with_statistics:
        session.output.note(answer_statistics(response))


async def _stream_text(output: Output, question: Question, wanted: Wanted) -> ProviderResponse:
    printer = AnswerPrinter(output, show_thinking=wanted.with_thinking)
    response = await stream_answer(output, question.model, question.text, printer, system=question.system)
    printer.finish()
    if response.finish_reason == "length":
        output.warn("the answer was cut: max_tokens or the context window was reached.")
    return response


async def _answer_whole(
    output: Output, prompt: RunnablePrompt, inputs: dict[str, Any], wanted: Wanted
) -> ProviderResponse:
    """An answer that is checked before it counts. On a terminal its values are shown as they come."""
    printer = ValuePrinter(output)
    model = prompt.question(inputs, model=wanted.model).model
    async with waiting_for(output, model) as stop_waiting:
        if wanted.streamed and not wanted.as_json and output.stdout_is_terminal:
            async with prompt.stream(inputs, model=wanted.model) as stream:
                async for so_far in stream:
                    stop_waiting()
                    printer.show_so_far(so_far)
                result = await stream.result()
        else:
            result = await prompt.run(inputs, model=wanted.model)
    if wanted.as_json:
        output.line(_prompt_document(output, result))
    else:
        printer.finish(result.output)
    if result.repaired:
        output.warn("the first answer did not have the form that the prompt declares; this is the second.")
    return result.response


def _prompt_document(output: Output, result: PromptResult) -> str:
    ascii_only = not output.encodes_unicode
    document = json.loads(answer_as_json(result.response, ascii_only=ascii_only))
    return json.dumps(
        {"output": result.output, "repaired": result.repaired, **document}, ensure_ascii=ascii_only
    )


async def _run_chain(session: Session, chain: RunnableChain, wanted: Wanted) -> None:
    inputs = _read_inputs(session, chain.declaration.input, wanted)
    result = await chain.run(inputs, on_step=_progress(session, len(chain.declaration.steps)))
    if wanted.as_json:
        session.output.line(
            json.dumps(_chain_document(result), ensure_ascii=not session.output.encodes_unicode)
        )
    else:
        only = next(iter(result.output.values())) if len(result.output) == 1 else result.output
        ValuePrinter(session.output).finish(only)
    if wanted.with_statistics:
        for step in result.steps.values():
            if step.response is not None:
                session.output.note(f"{step.name}: {answer_statistics(step.response)}")


def _chain_document(result: ChainResult) -> dict[str, Any]:
    steps = {
        step.name: {
            "output": step.output,
            "is_skipped": step.is_skipped,
            "tries": step.tries,
            "seconds": round(step.seconds, 3),
            "model": step.response.model if step.response is not None else None,
            "usage": dict(step.response.usage) if step.response is not None else {},
        }
        for step in result.steps.values()
    }
    return {"output": result.output, "steps": steps}


def _progress(session: Session, count: int) -> Callable[[StepEvent], None]:
    """Says on stderr what happens to each step, and how many have ended."""
    ended = 0

    def show(event: StepEvent) -> None:
        nonlocal ended
        ended += event.kind in ("finished", "skipped")
        said = {
            "started": "started",
            "finished": f"done in {event.seconds:.1f} s",
            "skipped": "skipped",
            "retrying": f"failed after {event.seconds:.1f} s, tried again: {_first_line(event.error)}",
            "failed": f"failed after {event.seconds:.1f} s",
        }[event.kind]
        session.output.note(f"[{ended}/{count}] {event.step}: {said}")

    return show


def _first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _read_inputs(session: Session, wanted: ObjectType, part: Wanted) -> dict[str, Any]:
    """``key=value`` by the types of the inputs. The prompt and what is piped in are the one text that is missing."""
    found: dict[str, Any] = {}
    for text in part.inputs:
        key, equals, value = text_argument(text, "--input").partition("=")
        if not equals or not key:
            raise UsageError(f"{text!r} is not an input.", suggestion="Write key=value, such as text=Hello")
        field = wanted.get(key)
        if field is None:
            known = f"It takes: {', '.join(wanted.names)}." if wanted.names else "It takes no input."
            hint = did_you_mean(key, wanted.names)
            raise UsageError(
                f"There is no input `{key}`.", suggestion=f"{hint.capitalize()} {known}" if hint else known
            )
        found[key] = as_type(value, field.type)
    missing = [each for each in wanted.fields if each.is_required and each.name not in found]
    if len(missing) == 1 and without_optional(missing[0].type) == _TEXT:
        name = missing[0].name
        found[name] = given_text(part.text, session.stdin, name)
        if not found[name]:
            raise UsageError(
                f"The input `{name}` is missing.", suggestion=f"Add --input {name}=…, or pipe the text in."
            )
    elif part.text is not None:
        raise UsageError(
            "There is no input for the text on the command line.",
            suggestion="Say which input it is: --input NAME=TEXT",
        )
    return found
