"""Prompts: inputs are data, answers are typed, one repair is tried."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import pydantic
import pytest

from namel3ss.declarations.template_language import TemplateError
from namel3ss.errors import ProgramError, UsageError
from namel3ss.providers.base import ProviderError, StructuredOutputError
from namel3ss.providers.local.ollama import OllamaStructuredOutputError
from namel3ss.runtime import load
from tests.runtime.answering import Asked, load_answering

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

SUMMARISE = """
    prompt summarise {
        model: m
        input: { text: str, words: int = 100, tags: list[str] = [], note: str? }
        output: { title: str, bullets: list[str], mood: "good" | "bad" = "good" }
        system: "You are concise in {{words}} words."
        template: |
            Summarise{% if tags %} for {{ tags|join(", ") }}{% endif %}:
              {{ text }}{{ note }}
    }
    prompt say { input: { text: str }  template: "Say {{input.text}}" }
"""
GOOD = '{"title": "T", "bullets": ["a", "b"]}'


def answers(*texts: str) -> tuple[list[Asked], Callable[[Asked], Awaitable[str]]]:
    asked: list[Asked] = []

    async def answer(question: Asked) -> str:
        asked.append(question)
        return texts[len(asked) - 1]

    return asked, answer


async def test_inputs_defaults_and_types_reach_the_model(tmp_path: Path):
    asked, answer = answers(GOOD)

    async with load_answering(tmp_path, SUMMARISE, answer) as program:
        result = await program.prompts["summarise"](text="Long.", tags=["a", "b"])

    assert result.output == {"title": "T", "bullets": ["a", "b"], "mood": "good"}
    assert (asked[0].text, asked[0].system) == (
        "Summarise for a, b:\n  Long.",
        "You are concise in 100 words.",
    )
    assert asked[0].settings == {
        "format": {
            "type": "object",
            "properties": {
                "title": {"type": "string"},
                "bullets": {"type": "array", "items": {"type": "string"}},
                "mood": {"type": "string", "enum": ["good", "bad"]},
            },
            "required": ["title", "bullets"],
            "additionalProperties": False,
        }
    }
    assert not result.repaired


async def test_a_prompt_without_output_answers_with_text_and_sends_no_schema(tmp_path: Path):
    asked, answer = answers("hello")

    async with load_answering(tmp_path, SUMMARISE, answer) as program:
        result = await program.prompts["say"].run({"text": "hi"}, temperature=0.5)

    assert (result.output, result.text) == ("hello", "hello")
    assert asked[0].settings == {"temperature": 0.5}


@pytest.mark.security(39)
async def test_what_a_user_passes_in_is_never_rendered(tmp_path: Path):
    asked, answer = answers("")

    async with load_answering(tmp_path, SUMMARISE, answer) as program:
        await program.prompts["say"](text="{{ 1 + 1 }} {% for x in y %} {# no #}")

    assert asked[0].text == "Say {{ 1 + 1 }} {% for x in y %} {# no #}"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "the input lacks `text`, which is str"),
        ({"text": 3}, "`text` must be text, and is the number 3"),
        ({"text": "x", "wrds": 3}, "the input has no `wrds`; did you mean `words`"),
        ({"text": "x", "words": True}, "`words` must be a whole number, and is true"),
        ({"text": "x", "tags": ["a", None]}, "`tags[1]` must be text, and is null"),
        ({"text": b"x"}, "`text` must be text, and is a bytes"),
    ],
)
async def test_inputs_that_do_not_fit_are_refused_before_anything_is_sent(
    tmp_path: Path, inputs: dict[str, object], message: str
):
    asked, answer = answers()

    async with load_answering(tmp_path, SUMMARISE, answer) as program:
        with pytest.raises(UsageError) as raised:
            await program.prompts["summarise"](inputs)

    assert message in raised.value.message
    assert asked == []


async def test_inputs_that_are_no_mapping_are_refused(tmp_path: Path):
    asked, answer = answers()
    inputs = cast("dict[str, str]", "Hi")

    async with load_answering(tmp_path, SUMMARISE, answer) as program:
        with pytest.raises(UsageError, match="inputs of prompt 'say' are given by name or as one mapping"):
            await program.prompts["say"](inputs)
        with pytest.raises(UsageError, match="inputs of prompt 'say' are given by name or as one mapping"):
            program.prompts["say"].stream(inputs)

    assert not asked


async def test_an_answer_that_does_not_fit_is_repaired_once(tmp_path: Path):
    asked, answer = answers('{"title": 3}', GOOD)

    async with load_answering(tmp_path, SUMMARISE, answer) as program:
        result = await program.prompts["summarise"](text="x")

    assert result.repaired
    assert result.output["title"] == "T"
    assert [message.role for message in asked[1].messages] == ["system", "user", "assistant", "user"]
    assert "`title` must be text, and is the number 3" in asked[1].text
    assert asked[1].settings == asked[0].settings


@pytest.mark.parametrize("bad", ["", "no", "[1]", '{"title": "T"', "[" * 100_000])
async def test_an_answer_that_does_not_fit_twice_is_an_error_with_the_raw_text(tmp_path: Path, bad: str):
    _, answer = answers("{}", bad)

    async with load_answering(tmp_path, SUMMARISE, answer) as program:
        with pytest.raises(StructuredOutputError) as raised:
            await program.prompts["summarise"](text="secret words")

    assert raised.value.raw_text == bad
    assert raised.value.problems
    assert "secret" not in str(raised.value)


async def test_an_answer_in_a_code_fence_is_read(tmp_path: Path):
    _, answer = answers(f"```json\n{GOOD}\n```")

    async with load_answering(tmp_path, SUMMARISE, answer) as program:
        assert (await program.prompts["summarise"](text="x")).output["title"] == "T"


def test_the_error_of_ollama_is_the_general_one_too():
    error = OllamaStructuredOutputError("m", raw_text="raw", problems=("p",))

    assert isinstance(error, StructuredOutputError)
    assert isinstance(error, ProviderError)
    assert (error.raw_text, error.problems) == ("raw", ("p",))


async def test_a_typed_answer_streams_what_is_complete(tmp_path: Path):
    _, answer = answers(GOOD)

    async with (
        load_answering(tmp_path, SUMMARISE, answer) as program,
        program.prompts["summarise"].stream(text="x") as stream,
    ):
        seen = [value async for value in stream]
        result = await stream.result()

    assert seen == [
        {"title": "T"},
        {"title": "T", "bullets": ["a"]},
        {"title": "T", "bullets": ["a", "b"]},
        {"title": "T", "bullets": ["a", "b"]},
    ]
    assert result.output == {"title": "T", "bullets": ["a", "b"], "mood": "good"}


async def test_a_text_streams_in_pieces(tmp_path: Path):
    _, answer = answers("hello")

    async with (
        load_answering(tmp_path, SUMMARISE, answer) as program,
        program.prompts["say"].stream({"text": "x"}) as stream,
    ):
        assert [piece async for piece in stream] == ["hel", "lo"]


async def test_a_streamed_answer_is_repaired_too(tmp_path: Path):
    _, answer = answers("{", GOOD)

    async with (
        load_answering(tmp_path, SUMMARISE, answer) as program,
        program.prompts["summarise"].stream(text="x") as stream,
    ):
        result = await stream.result()

    assert result.repaired


async def test_a_result_becomes_a_pydantic_model(tmp_path: Path):
    class Mine(pydantic.BaseModel):
        title: str
        bullets: list[str]

    _, answer = answers(GOOD)

    async with load_answering(tmp_path, SUMMARISE, answer) as program:
        result = await program.prompts["summarise"](text="x")

    assert result.as_model().model_dump() == {"title": "T", "bullets": ["a", "b"], "mood": "good"}
    assert result.as_model(Mine) == Mine(title="T", bullets=["a", "b"])


async def test_odd_keys_become_attributes_and_keep_their_names_in_data(tmp_path: Path):
    text = """
        prompt odd {
            output: { "class": str, "a-b": int, model_dump: bool, deep: { "1": float? } }
            template: "x"
        }
    """
    value = {"class": "c", "a-b": 1, "model_dump": True, "deep": {"1": None}}
    _, answer = answers(json.dumps(value))

    async with load_answering(tmp_path, text, answer) as program:
        model = (await program.prompts["odd"]()).as_model()

    assert model.model_dump(by_alias=True) == value


async def test_text_has_no_model(tmp_path: Path):
    _, answer = answers("hello")

    async with load_answering(tmp_path, SUMMARISE, answer) as program:
        result = await program.prompts["say"](text="x")

    with pytest.raises(UsageError, match="has no fields"):
        result.as_model()


async def test_data_without_the_key_a_template_needs_is_an_error_that_names_it(tmp_path: Path):
    asked, answer = answers()
    text = 'prompt p { input: { data: object }  template: "{{data.name.first}}" }'

    async with load_answering(tmp_path, text, answer) as program:
        with pytest.raises(TemplateError, match="there is no `first` in an object that has `last`"):
            await program.prompts["p"](data={"name": {"last": "x"}})

    assert asked == []


async def test_another_model_may_be_asked(tmp_path: Path):
    asked, answer = answers("a", "b")
    text = 'prompt p { model: m  template: "x" }'

    async with load_answering(tmp_path, text, answer, models="m n") as program:
        await program.prompts["p"]()
        await program.prompts["p"].run({}, model="n")

    assert [each.model for each in asked] == ["m", "n"]


def test_prompts_work_without_asyncio(tmp_path: Path):
    _, answer = answers(GOOD, GOOD, "hello")

    with load_answering(tmp_path, SUMMARISE, answer).sync as program:
        assert program.prompts["summarise"](text="x").output["title"] == "T"
        assert program.prompts["summarise"].run({"text": "x"}).output["title"] == "T"
        with program.prompts["say"].stream(text="x") as stream:
            assert list(stream) == ["hel", "lo"]
            assert stream.result().output == "hello"


def test_an_unknown_prompt_and_a_broken_one_are_told_apart(tmp_path: Path):
    path = tmp_path / "app.ai"
    path.write_text(
        'ai model m { provider: ollama  model: x }\nprompt good { template: "x" }\n'
        'prompt bad { template: "{{x}}" }\n',
        encoding="utf-8",
    )
    program = load(path, environ={})

    assert list(program.prompts) == ["good"]
    with pytest.raises(UsageError, match="Did you mean good"):
        program.prompt("goood")
    with pytest.raises(ProgramError, match="does not load"):
        program.prompt("bad")
