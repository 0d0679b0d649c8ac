"""Call a prompt and a chain of `.ai` files from Python, with typed answers.

python examples/typed_answers.py article.txt
"""

import asyncio
import sys
from pathlib import Path

from pydantic import BaseModel

import namel3ss
from namel3ss.errors import N3Error
from namel3ss.runtime.chains import StepEvent

HERE = Path(__file__).parent
TEXT = "The bridge was opened in 1932. It took eight years to build, and it still carries trains."


class Summary(BaseModel):
    """What summarise.ai answers, as a type of this program."""

    title: str
    bullets: list[str]
    tone: str


def summarise(text: str) -> Summary:
    """One typed answer, for code that does not use asyncio."""
    with namel3ss.load(HERE / "summarise.ai").sync as program:
        return program.prompts["summarise"](text=text, bullets=2).as_model(Summary)


async def review(text: str) -> str:
    """The text after a review by two readers at the same time."""

    def show(event: StepEvent) -> None:
        print(f"{event.step} {event.kind}", file=sys.stderr)

    async with namel3ss.load(HERE / "review.ai") as program:
        result = await program.chains["review"].run({"text": text}, on_step=show)
    return result.output["rewritten"] or text  # nothing was rewritten where both readers were content


def main() -> int:
    """Summarise and review the file of the command line; gives the exit code."""
    try:
        text = Path(sys.argv[1]).read_text(encoding="utf-8") if len(sys.argv) > 1 else TEXT
        summary = summarise(text)
        print(summary.title, *summary.bullets, sep="\n- ")
        print(asyncio.run(review(text)))
    except (OSError, UnicodeDecodeError, N3Error) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
