"""Chains: the graph decides what waits for what; failures name their step; cancelling cancels everything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from namel3ss.cli.exit_codes import ExitCode, exit_code_of
from namel3ss.errors import ProgramError, UsageError
from namel3ss.providers.base import ProviderError
from namel3ss.runtime import load
from namel3ss.runtime.chains import StepError, StepEvent, StepTimeoutError
from tests.runtime.answering import Asked, load_answering

if TYPE_CHECKING:
    from pathlib import Path


async def echo(asked: Asked) -> str:
    return f"<{asked.text}>"


async def test_a_step_gets_what_earlier_steps_gave(tmp_path: Path):
    text = """
        chain c {
            input: { text: str }
            output: { last: str }
            step two { prompt: "2 {{first}} {{input.text}}"  output: last }
            step one { prompt: "1 {{input.text}}"  output: first }
        }
    """
    async with load_answering(tmp_path, text, echo) as program:
        result = await program.chains["c"](text="x")

    assert result.output == {"last": "<2 <1 x> x>"}
    assert list(result.steps) == ["two", "one"]
    assert result.steps["one"].output == "<1 x>"


async def test_independent_steps_run_at_the_same_time(tmp_path: Path):
    text = """
        chain c {
            output: { c: str }
            step one { prompt: "a"  output: a }
            step two { prompt: "b"  output: b }
            step three { prompt: "{{a}}{{b}}"  output: c }
        }
    """
    both = asyncio.Barrier(2)

    async def answer(asked: Asked) -> str:
        if asked.text in ("a", "b"):
            await both.wait()  # never passed by one alone
        return asked.text

    async with load_answering(tmp_path, text, answer) as program:
        assert (await program.chains["c"]()).output == {"c": "ab"}


GUARDED = """
    chain c {
        input: { kind: str }
        output: { answer: str, note: str }
        step first { prompt: "first"  output: answer }
        step long { if: "{{ input.kind == 'long' }}"  prompt: "long {{answer}}"  output: answer }
        step note { if: "input.kind == 'note'"  prompt: "note {{answer}}"  output: note }
    }
"""


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        ("short", {"answer": "<first>", "note": None}),
        ("long", {"answer": "<long <first>>", "note": None}),
        ("note", {"answer": "<first>", "note": "<note <first>>"}),
    ],
)
async def test_the_last_step_that_ran_gives_a_name_and_a_skipped_one_gives_null(
    tmp_path: Path, kind: str, output: dict[str, object]
):
    async with load_answering(tmp_path, GUARDED, echo) as program:
        result = await program.chains["c"](kind=kind)

    assert result.output == output
    assert result.steps["long"].is_skipped == (kind != "long")


async def test_a_prompt_is_used_by_name_with_typed_inputs(tmp_path: Path):
    text = """
        prompt p {
            model: m
            input: { text: str, words: int, tags: list[str], more: object = {} }
            output: { title: str }
            system: "S"
            template: "{{text}} {{words + 1}} {{tags|length}} {{more}}"
        }
        chain c {
            input: { n: int, tags: list[str] }
            output: { title: str, all: object }
            step one {
                model: n
                prompt: p
                input: { text: "{{input.n}}", words: "{{input.n}}", tags: "{{input.tags}}", more: { a: ["{{input.n}}", b] } }
                output: { title: str }
            }
            step two { prompt: p  input: { text: "{{title}}", words: 1, tags: [x] }  output: all }
        }
    """
    asked: list[Asked] = []

    async def answer(question: Asked) -> str:
        asked.append(question)
        return '{"title": "T"}'

    async with load_answering(tmp_path, text, answer, models="m n") as program:
        result = await program.chains["c"](n=4, tags=["a", "b"])

    assert [(each.model, each.text, each.system) for each in asked] == [
        ("n", '4 5 2 {"a": [4, "b"]}', "S"),
        ("m", "T 2 1 {}", "S"),
    ]
    assert result.output == {"title": "T", "all": {"title": "T"}}
    assert result.as_model().model_dump() == result.output


async def test_the_type_of_the_output_is_asked_for_where_nothing_else_says_one(tmp_path: Path):
    text = """
        chain c { output: { score: int }  step s { prompt: "How many?"  output: score } }
    """
    asked: list[Asked] = []

    async def answer(question: Asked) -> str:
        asked.append(question)
        return "8"

    async with load_answering(tmp_path, text, answer) as program:
        result = await program.chains["c"]()

    assert result.output == {"score": 8}
    assert asked[0].settings == {"format": {"type": "integer"}}


async def test_without_declared_output_every_name_is_part_of_the_result(tmp_path: Path):
    text = """
        chain c {
            step a { prompt: "a"  output: x }
            step b { prompt: "b"  output: y }
        }
    """
    async with load_answering(tmp_path, text, echo) as program:
        assert (await program.chains["c"]()).output == {"x": "<a>", "y": "<b>"}


FRAGILE = """
    chain c {
        output: { answer: str }
        step s { prompt: "x"  output: answer  retry: 2  timeout: 20ms }
    }
"""


async def test_retry_is_that_many_further_tries(tmp_path: Path):
    tries = 0

    async def answer(asked: Asked) -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ProviderError("down")
        return "up"

    events: list[StepEvent] = []
    async with load_answering(tmp_path, FRAGILE, answer) as program:
        result = await program.chains["c"].run({}, on_step=events.append)

    assert result.output == {"answer": "up"}
    assert result.steps["s"].tries == 3
    assert [event.kind for event in events] == ["started", "retrying", "retrying", "finished"]


async def test_a_failing_step_names_itself_and_its_place(tmp_path: Path):
    tries = 0

    async def answer(asked: Asked) -> str:
        nonlocal tries
        tries += 1
        raise ProviderError("The server is down.", suggestion="Start it.")

    async with load_answering(tmp_path, FRAGILE, answer) as program:
        with pytest.raises(StepError) as raised:
            await program.chains["c"]()

    error = raised.value
    assert tries == 3
    assert (error.chain, error.step) == ("c", "s")
    assert error.location.endswith("app.ai:5:10")
    assert error.message == f"Step 's' of chain 'c' ({error.location}) failed: The server is down."
    assert error.suggestion == "Start it."
    assert isinstance(error.__cause__, ProviderError)


async def test_a_step_that_takes_too_long_fails_after_its_tries(tmp_path: Path):
    tries = 0

    async def answer(asked: Asked) -> str:
        nonlocal tries
        tries += 1
        await asyncio.Event().wait()
        return ""

    async with load_answering(tmp_path, FRAGILE, answer) as program:
        with pytest.raises(StepTimeoutError, match=r"longer than its timeout of 0\.02 s") as raised:
            await program.chains["c"]()

    assert tries == 3
    assert exit_code_of(raised.value) is ExitCode.TIMEOUT


TWO = """
    chain c {
        output: { a: str, b: str }
        step one { prompt: "one"  output: a }
        step two { prompt: "two"  output: b }
    }
"""


async def test_a_failing_step_cancels_the_others(tmp_path: Path):
    waiting, cancelled = asyncio.Event(), asyncio.Event()

    async def answer(asked: Asked) -> str:
        if asked.text == "two":
            await waiting.wait()
            raise ProviderError("down")
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return ""

    async with load_answering(tmp_path, TWO, answer) as program:
        with pytest.raises(StepError, match="'two'"):
            await program.chains["c"]()

    assert cancelled.is_set()


async def test_cancelling_a_chain_cancels_all_running_steps(tmp_path: Path):
    started = asyncio.Barrier(3)
    cancelled: list[str] = []

    async def answer(asked: Asked) -> str:
        try:
            await started.wait()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(asked.text)
            raise
        return ""

    async with load_answering(tmp_path, TWO, answer) as program:
        running = asyncio.create_task(program.chains["c"]())
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    assert sorted(cancelled) == ["one", "two"]


async def test_a_bug_in_a_listener_is_raised_as_it_is(tmp_path: Path):
    def listen(event: StepEvent) -> None:
        raise KeyError(event.step)

    async with load_answering(tmp_path, TWO, echo) as program:
        with pytest.raises(KeyError):
            await program.chains["c"].run({}, on_step=listen)


def test_a_step_of_the_wider_language_stops_only_its_own_chain(tmp_path: Path):
    path = tmp_path / "app.ai"
    path.write_text(
        """
ai model m { provider: ollama  model: x }
chain foreign {
    output: { a: str }
    step s {
        python: |
            return 1
        output: a
    }
}
""",
        encoding="utf-8",
    )
    program = load(path, environ={})

    assert [found.code for found in program.diagnostics] == ["N3606"]
    with pytest.raises(ProgramError, match=r"step 's' \(.*app.ai:5:10\) has `python`"):
        program.sync.chains["foreign"]()
    program.sync.close()


def test_chains_work_without_asyncio(tmp_path: Path):
    with load_answering(tmp_path, TWO, echo).sync as program:
        assert program.chains["c"]().output == {"a": "<one>", "b": "<two>"}
        assert program.chains["c"].run({}).steps["one"].tries == 1


async def test_inputs_of_a_chain_are_checked_like_those_of_a_prompt(tmp_path: Path):
    async with load_answering(tmp_path, GUARDED, echo) as program:
        with pytest.raises(UsageError, match="lacks `kind`"):
            await program.chains["c"]()
