"""Run the models of a `.ai` file from Python: once without asyncio, once streamed."""

import asyncio
from pathlib import Path

import namel3ss

PROGRAM = Path(__file__).with_name("two_models.ai")


def ask_once() -> None:
    """One answer, for code that does not use asyncio."""
    program = namel3ss.load(PROGRAM)
    answer = program.sync.run("Is a tomato a fruit?", model="careful")
    print(answer.output_text)
    program.sync.close()


async def ask_streamed() -> None:
    """The answer piece by piece, with its numbers at the end."""
    async with namel3ss.load(PROGRAM) as program, program.stream("Is a tomato a fruit?") as stream:
        async for chunk in stream:
            print(chunk.output_text, end="", flush=True)
        answer = await stream.result()
    print(f"\n{answer.usage.total_tokens} tokens")


if __name__ == "__main__":
    ask_once()
    asyncio.run(ask_streamed())
