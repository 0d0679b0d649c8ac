"""Functions that a model may call: how they are described, what is validated, what goes back, and when it ends."""

from __future__ import annotations

import dataclasses
import socket  # noqa: TC003  # the annotations of tools are read
import threading
from collections.abc import Callable  # noqa: TC003  # likewise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from pydantic import Field

from namel3ss.errors import UsageError
from namel3ss.providers.base import ProviderMessage, ToolCall
from namel3ss.runtime import Program, Tool, ToolError, ToolResult, ToolRoundsError, load
from namel3ss.testing import ScriptedAnswer, ScriptedProvider, scripted_registry

if TYPE_CHECKING:
    from pathlib import Path

    from namel3ss.providers.scripted import ScriptedCall


def weather(city: str, days: Annotated[int, Field(description="how many days", ge=1)] = 1) -> dict[str, Any]:
    """The weather of a city."""
    return {"city": city, "days": days, "sky": "grüezi"}


async def convert(amount: float, to: Literal["EUR", "USD"]) -> str:
    """Convert an amount of money."""
    return f"{amount:.2f} {to}"


def fetch(path: str) -> str:
    """Read a file."""
    raise ToolError(f"there is no {path}")


def calling(name: str, **arguments: object) -> ScriptedAnswer:
    return ScriptedAnswer(tool_calls=[ToolCall(name, arguments, f"id-{name}")])


@pytest.fixture
def program_of(tmp_path: Path) -> Callable[..., Program]:
    def open_it(provider: ScriptedProvider) -> Program:
        path = tmp_path / "app.ai"
        path.write_text('ai model m { provider: ollama  model: tiny  system: "Be brief." }', encoding="utf-8")
        return load(path, environ={}, registry=scripted_registry(provider))

    return open_it


def told(call: ScriptedCall) -> list[str]:
    """What the tools gave, as the model hears it."""
    return [message.content for message in call.messages if message.role == "tool"]


# -- describing -----------------------------------------------------------------------------------------------


def test_a_function_is_described_by_its_name_docstring_and_annotations() -> None:
    function = Tool(weather).description_for_models["function"]

    assert (function["name"], function["description"]) == ("weather", "The weather of a city.")
    assert function["parameters"]["required"] == ["city"]
    assert function["parameters"]["additionalProperties"] is False
    days = function["parameters"]["properties"]["days"]
    assert (days["type"], days["minimum"], days["default"]) == ("integer", 1, 1)
    assert days["description"] == "how many days"


def test_a_function_without_parameters_or_docstring_is_a_tool_too() -> None:
    def now() -> str:
        return "noon"

    assert Tool(now).description_for_models["function"] == {
        "name": "now",
        "parameters": {"additionalProperties": False, "properties": {}, "type": "object"},
    }


def untyped(city): ...
def spread(*cities: str) -> None: ...
def positional(city: str, /) -> None: ...
def through(line: socket.socket) -> None: ...
def by_callback(done: Callable[[], None]) -> None: ...
def unknown(city: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # the name that is missing


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (untyped, "parameter 'city' of the tool 'untyped' has no type"),
        (spread, "cannot be given by name"),
        (positional, "cannot be given by name"),
        (unknown, "name 'Nowhere' is not defined"),
        (lambda: "", "no name that a model could call"),
        (str, "types of the tool 'str' cannot be read"),
        (through, "a type that no JSON can have"),
        (by_callback, "a type that no JSON can have"),
    ],
)
def test_a_function_that_cannot_be_described_is_refused(function: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Tool(function)


def test_a_parameter_may_have_a_name_that_pydantic_uses_itself() -> None:
    def save(schema: str, model_config: int, model_dump: str = "", copy: bool = False) -> None: ...

    tool = Tool(save)

    parameters = tool.description_for_models["function"]["parameters"]
    assert list(parameters["properties"]) == ["schema", "model_config", "model_dump", "copy"]
    assert parameters["required"] == ["schema", "model_config"]
    assert tool.read_arguments({"schema": "s", "model_config": 1}) == {
        "schema": "s",
        "model_config": 1,
        "model_dump": "",
        "copy": False,
    }
    with pytest.raises(ToolError, match="model_config: Field required"):
        tool.read_arguments({"schema": "s"})


@pytest.mark.parametrize(
    ("tools", "why"),
    [
        ([], "no tools"),
        ([weather, weather], "Two tools"),
        (weather, "tools must be a list of functions"),
        (None, "tools must be a list of functions"),
        ("weather", "tools must be a list of functions"),
    ],
)
async def test_tools_need_to_be_there_and_have_names_of_their_own(
    program_of: Callable[..., Program], tools: Any, why: str
) -> None:
    async with program_of(ScriptedProvider("never asked")) as program:
        with pytest.raises(UsageError, match=why):
            await program.run_with_tools("Hi", tools)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"max_rounds": "x"}, "max_rounds must be a whole number of at least 1"),
        ({"max_rounds": True}, "max_rounds must be a whole number of at least 1"),
        ({"on_call": 5}, "on_call must be a function"),
    ],
)
async def test_nothing_is_asked_with_a_wrong_limit_or_listener(
    program_of: Callable[..., Program], wrong: dict[str, Any], why: str
) -> None:
    async with program_of(ScriptedProvider("never asked")) as program:
        with pytest.raises(UsageError, match=why):
            await program.run_with_tools("Hi", [weather], **wrong)


# -- calling --------------------------------------------------------------------------------------------------


async def test_calls_are_made_until_the_model_answers(program_of: Callable[..., Program]) -> None:
    heard: list[ToolResult] = []
    provider = ScriptedProvider(
        calling("weather", city="Bern"), calling("convert", amount="2", to="EUR"), "Sunny, 2 EUR."
    )
    async with program_of(provider) as program:
        run = await program.run_with_tools(
            "How is it?", [weather, convert], on_call=heard.append, temperature=0
        )

    assert run.output_text == "Sunny, 2 EUR."
    assert [result.text for result in run.results] == [
        '{"city": "Bern", "days": 1, "sky": "grüezi"}',
        "2.00 EUR",
    ]
    assert tuple(heard) == run.results
    assert [message.role for message in run.messages if isinstance(message, ProviderMessage)] == [
        *("user", "assistant", "tool", "assistant", "tool", "assistant")
    ]
    last = provider.calls[-1]
    assert (last.system, last.overrides["temperature"]) == ("Be brief.", 0)
    assert [each["function"]["name"] for each in last.overrides["tools"]] == ["weather", "convert"]
    assert [(each.tool_name, each.tool_call_id) for each in last.messages if each.role == "tool"] == [
        ("weather", "id-weather"),
        ("convert", "id-convert"),
    ]


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        (calling("weather", days=1), "Error: The arguments of weather do not fit. city: Field required."),
        (calling("weather", city="Bern", day=1), "day: Extra inputs are not permitted"),
        (calling("weather", city="Bern", days=0), "days: Input should be greater than or equal to 1"),
        (calling("weathr", city="Bern"), "There is no tool 'weathr': did you mean `weather`?"),
        (calling("nothing"), "There is no tool 'nothing': there are weather, fetch."),
        (calling("fetch", path="a.txt"), "Error: there is no a.txt"),
    ],
)
async def test_what_the_model_can_put_right_goes_back_to_it(
    program_of: Callable[..., Program], wrong: ScriptedAnswer, answer: str
) -> None:
    provider = ScriptedProvider(wrong, "Sorry.")
    async with program_of(provider) as program:
        run = await program.run_with_tools("Hi", [weather, fetch])

    assert answer in told(provider.calls[1])[0]
    assert [result.is_error for result in run.results] == [True]
    assert run.output_text == "Sorry."


async def test_any_other_exception_of_a_tool_is_the_program_s_own(
    program_of: Callable[..., Program],
) -> None:
    def broken() -> str:
        """Never works."""
        raise ZeroDivisionError("a secret detail")

    provider = ScriptedProvider(calling("broken"), "never asked")
    async with program_of(provider) as program:
        with pytest.raises(ZeroDivisionError):
            await program.run_with_tools("Hi", [broken])

    assert len(provider.calls) == 1


async def test_a_model_that_calls_for_ever_is_stopped(program_of: Callable[..., Program]) -> None:
    provider = ScriptedProvider(calling("weather", city="Bern"), repeat=True)
    async with program_of(provider) as program:
        with pytest.raises(
            ToolRoundsError, match="still calls tools after 3 rounds of calls: weather"
        ) as caught:
            await program.run_with_tools("Hi", [weather], max_rounds=3)

        assert len(provider.calls) == 4
        assert len(caught.value.messages) == 1 + 2 * 3 + 1
        with pytest.raises(UsageError, match="max_rounds must be a whole number of at least 1"):
            await program.run_with_tools("Hi", [weather], max_rounds=0)


async def test_a_value_that_is_no_json_is_refused(program_of: Callable[..., Program]) -> None:
    def odd() -> object:
        """Give a lock."""
        return threading.Lock()

    async with program_of(ScriptedProvider(calling("odd"))) as program:
        with pytest.raises(UsageError, match="'odd' returned a value of type lock"):
            await program.run_with_tools("Hi", [odd])


@dataclasses.dataclass
class Place:
    name: str


async def test_dataclasses_go_in_and_out(program_of: Callable[..., Program]) -> None:
    def visit(place: Place) -> list[Place]:
        """Visit a place twice."""
        return [place, place]

    provider = ScriptedProvider(calling("visit", place={"name": "Bern"}), "Done.")
    async with program_of(provider) as program:
        await program.run_with_tools("Hi", [visit])

    assert told(provider.calls[1]) == ['[{"name": "Bern"}, {"name": "Bern"}]']


# -- threads --------------------------------------------------------------------------------------------------


async def test_a_plain_function_does_not_hold_up_the_event_loop(program_of: Callable[..., Program]) -> None:
    threads = []

    def where() -> str:
        """Say where."""
        threads.append(threading.current_thread())
        return "there"

    async with program_of(ScriptedProvider(calling("where"), "Done.")) as program:
        await program.run_with_tools("Hi", [where])

    assert threads[0] is not threading.current_thread()


def test_without_asyncio_plain_functions_are_called_by_the_caller(
    program_of: Callable[..., Program],
) -> None:
    threads = []

    def where() -> str:
        """Say where."""
        threads.append(threading.current_thread())
        return "there"

    provider = ScriptedProvider(
        calling("where"), calling("convert", amount=1, to="USD"), calling("nothing"), "Done."
    )
    with program_of(provider).sync as program:
        run = program.run_with_tools("Hi", [where, convert])

    assert threads == [threading.current_thread()]
    assert [result.is_error for result in run.results] == [False, False, True]
    assert told(provider.calls[-1])[:2] == ["there", "1.00 USD"]
