"""Run the models of a `.ai` file from Python: once without asyncio, once streamed."""

import asyncio
import sys
from pathlib import Path

import namel3ss
from namel3ss.errors import N3Error

PROGRAM = Path(__file__).with_name("two_models.ai")


def ask_once() -> None:
    """One answer, for code that does not use asyncio."""
    with namel3ss.load(PROGRAM).sync as program:
        print(program.run("Is a tomato a fruit?", model="careful").output_text)


async def ask_streamed() -> None:
    """The answer piece by piece, with its numbers at the end."""
    async with namel3ss.load(PROGRAM) as program, program.stream("Is a tomato a fruit?") as stream:
        async for chunk in stream:
            print(chunk.output_text, end="", flush=True)
        answer = await stream.result()
    print(f"\n{answer.usage.total_tokens} tokens")


if __name__ == "__main__":
    try:
        ask_once()
        asyncio.run(ask_streamed())
    except N3Error as error:
        sys.exit(str(error))
