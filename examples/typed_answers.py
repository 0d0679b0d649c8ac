"""Call a prompt and a chain of a `.ai` file from Python, with typed answers."""

import asyncio
from pathlib import Path

import namel3ss

HERE = Path(__file__).parent
TEXT = "The bridge was opened in 1932. It took eight years to build, and it still carries trains."


def summarise() -> None:
    """One typed answer, for code that does not use asyncio."""
    program = namel3ss.load(HERE / "summarise.ai")
    summary = program.sync.prompts["summarise"](text=TEXT, bullets=2)
    print(summary.output["title"], summary.output["bullets"])
    program.sync.close()


async def review() -> None:
    """A chain, with what happens to its steps."""
    async with namel3ss.load(HERE / "review.ai") as program:
        result = await program.chains["review"].run({"topic": "bridges"}, on_step=print)
    print(result.output["text"])


if __name__ == "__main__":
    summarise()
    asyncio.run(review())
