"""An assistant that looks into the files of a folder to answer.

python examples/assistant.py --folder docs "Which exit codes are there?"
python examples/assistant.py --folder docs          asks for questions until the input ends
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

import namel3ss
from namel3ss.errors import N3Error
from namel3ss.providers.base import ProviderMessage
from namel3ss.runtime import ToolError, ToolResult

PROGRAM = Path(__file__).with_name("assistant.ai")
MOST_FILES = 50
MOST_LINES = 200


def tools_of(folder: Path) -> list[Callable[..., Any]]:
    """What the model may do: look into this folder, and nowhere else.

    Names, docstrings and types are what it is told. What it sends is validated against the types before a function is
    called, and a ToolError goes back to it.
    """

    def files(pattern: str) -> list[Path]:
        found = (file.resolve() for file in folder.rglob(pattern))
        return sorted(file for file in found if file.is_file() and file.is_relative_to(folder))

    def inside(path: str) -> Path:
        found = (folder / path).resolve()
        if not found.is_relative_to(folder):
            raise ToolError(f"{path} is outside of the folder.")
        if not found.is_file():
            raise ToolError(f"There is no file {path}; find_files says which there are.")
        return found

    def find_files(pattern: Annotated[str, Field(description="such as *.md")] = "*") -> list[str]:
        """List the files whose names match a pattern, in all folders below."""
        try:
            names = [str(file.relative_to(folder)) for file in files(pattern)]
        except (ValueError, NotImplementedError) as error:
            raise ToolError(f"{pattern!r} is not a pattern: {error}") from error
        more = len(names) - MOST_FILES
        return names if more <= 0 else [*names[:MOST_FILES], f"… and {more} more"]

    def read_lines(path: str, first: Annotated[int, Field(ge=1)] = 1) -> str:
        """Read up to 200 lines of a file, from line `first` on."""
        try:
            lines = inside(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ToolError(f"{path} cannot be read as text.") from error
        return "\n".join(lines[first - 1 : first - 1 + MOST_LINES]) or f"{path} has {len(lines)} lines."

    def search(text: Annotated[str, Field(min_length=2)]) -> list[str]:
        """Find the lines that contain a text, in any letter case."""
        found = [
            f"{file.relative_to(folder)}:{number}: {line.strip()[:200]}"
            for file in files("*")
            for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
            if text.casefold() in line.casefold()
        ]
        return found[:MOST_LINES] or ["nothing found"]

    return [find_files, read_lines, search]


def show(result: ToolResult) -> None:
    """Say on stderr what the model looks at."""
    given = ", ".join(f"{name}={value!r}" for name, value in result.call.arguments.items())
    outcome = result.text if result.is_error else f"{len(result.text)} characters"
    print(f"  {result.call.name}({given}): {outcome}", file=sys.stderr)


def main() -> int:
    """Answer the question of the command line, or those of the input; gives the exit code."""
    parser = argparse.ArgumentParser(description="Ask an assistant about the files of a folder.")
    parser.add_argument("question", nargs="?")
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--max-rounds", type=int, default=6, metavar="N", help="how often it may look")
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is not a folder")

    tools = tools_of(options.folder.resolve())
    questions = [options.question] if options.question else (line.strip() for line in sys.stdin)
    conversation: list[Any] = []
    try:
        with namel3ss.load(PROGRAM).sync as program:
            for question in filter(None, questions):
                asked = [*conversation, ProviderMessage("user", question)]
                run = program.run_with_tools(asked, tools, max_rounds=options.max_rounds, on_call=show)
                print(run.output_text, flush=True)
                conversation = list(run.messages)
    except N3Error as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
