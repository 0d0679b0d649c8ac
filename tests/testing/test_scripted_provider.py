"""The scripted provider keeps to the contract of every provider, and to its script."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from namel3ss.errors import UsageError
from namel3ss.providers.base import ProviderChunk, ProviderError, ProviderMessage, ToolCall, Usage
from namel3ss.providers.local.ollama import OllamaServerBusyError, OllamaStreamInterruptedError
from namel3ss.testing import Pause, ScriptedAnswer, ScriptedCall, ScriptedProvider, ScriptUsedUpError

if TYPE_CHECKING:
    from namel3ss.providers.base import Messages

WEATHER = ToolCall("get_weather", {"city": "Paris"})


async def test_each_call_gets_the_next_answer() -> None:
    provider = ScriptedProvider("Hello!", "Goodbye!")

    texts = [(await provider.generate("Hi")).output_text, (await provider.generate("Bye")).output_text]

    assert texts == ["Hello!", "Goodbye!"]
    assert [call.prompt for call in provider.calls] == ["Hi", "Bye"]
    assert provider.unused == 0


async def test_one_call_too_many_fails_the_test_and_says_which() -> None:
    provider = ScriptedProvider("Hello!")
    await provider.generate("Hi")

    with pytest.raises(ScriptUsedUpError, match="has 1 answer, and this is call 2: 'Again'"):
        await provider.generate("Again")


async def test_the_last_answer_may_be_repeated() -> None:
    provider = ScriptedProvider("one", "two", repeat=True)

    assert [(await provider.generate("Hi")).output_text for _ in range(3)] == ["one", "two", "two"]


async def test_answers_can_be_added() -> None:
    provider = ScriptedProvider()
    provider.add("Hello!")

    assert (await provider.generate("Hi")).output_text == "Hello!"


@pytest.mark.parametrize("text", ["Hello there, you!", " a  b ", "\n\n", "", "x", "one\ntwo\n"])
async def test_a_text_is_streamed_in_words_and_complete(text: str) -> None:
    stream = ScriptedProvider(text).stream("Hi")
    chunks = [chunk async for chunk in stream]

    assert "".join(chunk.output_text for chunk in chunks) == text
    assert [chunk.metadata.get("done") for chunk in chunks] == [None] * (len(chunks) - 1) + [True]


async def test_pieces_are_given_as_they_are_written() -> None:
    chunk = ProviderChunk(output_text="!", thinking="hm")
    stream = ScriptedProvider(["Good", "bye", chunk]).stream("Hi")

    received = [each async for each in stream]

    assert [each.output_text for each in received] == ["Good", "bye", "!", ""]
    assert received[2] is chunk
    assert (await stream.result()).output_text == "Goodbye!"


async def test_a_whole_answer_has_thinking_tools_counts_and_an_end() -> None:
    answer = ScriptedAnswer("Let me see.", thinking="Where?", tool_calls=[WEATHER], usage=Usage(5, 7))
    response = await ScriptedProvider(answer, model="llama3:8b").generate("Weather?")

    assert (response.output_text, response.thinking, response.tool_calls) == (
        "Let me see.",
        "Where?",
        (WEATHER,),
    )
    assert (response.finish_reason, response.model) == ("tool_calls", "llama3:8b")
    assert dict(response.usage) == {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    assert response.metadata["provider"] == "scripted"


async def test_counts_that_nobody_wrote_are_absent() -> None:
    assert dict((await ScriptedProvider("Hi").generate("Hi")).usage) == {}


async def test_an_error_is_raised_in_place_of_an_answer() -> None:
    provider = ScriptedProvider(OllamaServerBusyError("The server is busy."), "Hello!")

    with pytest.raises(OllamaServerBusyError):
        await provider.generate("Hi")

    assert (await provider.generate("Hi")).output_text == "Hello!"
    assert [call.outcome for call in provider.calls] == ["error", "ok"]


async def test_an_error_in_the_middle_comes_after_what_had_arrived() -> None:
    broken = ScriptedAnswer(chunks=["Good", "bye"], error=OllamaStreamInterruptedError("cut"))
    stream = ScriptedProvider(broken).stream("Hi")

    received = [(await anext(stream)).output_text, (await anext(stream)).output_text]
    with pytest.raises(OllamaStreamInterruptedError) as caught:
        await anext(stream)

    assert received == ["Good", "bye"]
    assert (caught.value.partial_text, caught.value.chunks) == ("Goodbye", 2)


async def test_an_answer_may_depend_on_its_call() -> None:
    provider = ScriptedProvider(lambda call: f"You said {call.prompt!r}.", repeat=True)

    assert (await provider.generate("one")).output_text == "You said 'one'."
    assert (await provider.generate("two")).output_text == "You said 'two'."


async def test_calls_remember_messages_and_overrides() -> None:
    provider = ScriptedProvider("ok", "ok")
    asked = {
        "type": "function",
        "id": "1",
        "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
    }
    conversation: Messages = [
        ProviderMessage("system", "Be brief."),
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [asked]},
        {"role": "tool", "content": "rain", "tool_call_id": "1"},
    ]

    await provider.generate(conversation, temperature=0)
    await provider.stream("Hi").result()

    first, second = provider.calls
    assert (first.system, first.prompt, first.is_streamed) == ("Be brief.", "Weather?", False)
    assert first.overrides == {"temperature": 0}
    assert first.messages[2].tool_calls == (ToolCall("get_weather", {"city": "Paris"}, "1"),)
    assert (second.system, second.prompt, second.is_streamed) == (None, "Hi", True)


async def test_nothing_is_asked_before_a_stream_is_read() -> None:
    provider = ScriptedProvider("Hello!")

    provider.stream("Hi")

    assert provider.calls == []


async def test_a_pause_holds_the_answer_until_the_test_lets_it_go() -> None:
    pause = Pause()
    provider = ScriptedProvider(["Good", pause, "bye"])

    async with asyncio.TaskGroup() as group:
        task = group.create_task(provider.generate("Hi"))
        await pause.reached()
        assert provider.calls[0].outcome == "running"
        pause.resume()

    assert task.result().output_text == "Goodbye"


async def test_a_call_that_is_given_up_is_cancelled() -> None:
    pause = Pause()
    provider = ScriptedProvider(["Good", pause, "bye"])
    task = asyncio.create_task(provider.generate("Hi"))
    await pause.reached()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert provider.calls[0].outcome == "cancelled"


async def test_a_stream_that_is_left_keeps_what_had_arrived() -> None:
    async with ScriptedProvider("one two three").stream("Hi") as stream:
        await anext(stream)

    result = await stream.result()
    assert (result.output_text, result.finish_reason) == ("one", None)


async def test_closing_the_provider_ends_what_it_runs_with_an_error_that_says_so() -> None:
    pause = Pause()
    provider = ScriptedProvider(["Good", pause, "bye"])
    task = asyncio.create_task(provider.generate("Hi"))
    await pause.reached()

    await provider.aclose()

    with pytest.raises(ProviderError, match="was closed while this answer was arriving"):
        await task
    with pytest.raises(RuntimeError, match="is closed"):
        await provider.generate("Hi")


async def test_a_batch_gives_an_answer_or_an_error_for_each() -> None:
    provider = ScriptedProvider("one", ProviderError("no"), "three")

    first, second, third = await provider.generate_batch(["a", "b", "c"])

    assert isinstance(second, ProviderError)
    assert [getattr(each, "output_text", None) for each in (first, second, third)] == ["one", None, "three"]


async def test_vectors_depend_on_their_text_alone() -> None:
    provider = ScriptedProvider()

    vectors = await provider.embed(["a", "b", "a"], dimensions=3)

    assert vectors[0] == vectors[2] != vectors[1]
    assert [len(vector) for vector in vectors] == [3, 3, 3]
    assert sum(number * number for number in vectors[0]) == pytest.approx(1)
    assert provider.embedded == ["a", "b", "a"]


def test_the_same_calls_work_without_asyncio() -> None:
    provider = ScriptedProvider("Hello!", "Good bye", OllamaServerBusyError("busy"))

    with provider.sync as blocking:
        assert blocking.generate("Hi", temperature=0).output_text == "Hello!"
        with blocking.stream("Bye") as stream:
            assert [chunk.output_text for chunk in stream] == ["Good", " bye", ""]
        assert isinstance(blocking.generate_batch(["Hi"])[0], OllamaServerBusyError)
        assert len(blocking.embed(["a", "b"], dimensions=3)) == 2

    assert [call.outcome for call in provider.calls] == ["ok", "ok", "error"]
    with pytest.raises(RuntimeError, match="closed"):
        blocking.generate("Hi")


async def test_closing_the_provider_ends_its_blocking_side_too() -> None:
    provider = ScriptedProvider("Hello!")
    assert provider.sync.generate("Hi").output_text == "Hello!"

    await provider.aclose()

    with pytest.raises(RuntimeError, match="closed"):
        provider.sync.generate("Hi")


@pytest.mark.parametrize("messages", [7, None, [7], [{"role": "robot"}], {"content": "x"}])
def test_what_is_no_prompt_is_refused(messages: object) -> None:
    with pytest.raises(UsageError):
        ScriptedProvider("x").stream(messages)  # type: ignore[arg-type]  # wrong on purpose


async def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(UsageError, match="An answer cannot be a value of type int"):
        await ScriptedProvider(7).generate("Hi")  # type: ignore[arg-type]  # wrong on purpose


def test_it_says_how_it_stands() -> None:
    assert repr(ScriptedProvider("x", "y")) == "<ScriptedProvider 'scripted': 0 calls, 2 answers unused>"
    assert ScriptedCall((), {}, False).prompt == ""
