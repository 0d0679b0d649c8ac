"""Ask a folder of texts a question: finds the passages nearest in meaning, and answers from them, with sources.

python examples/ask_folder.py docs "How are missing models pulled?"

Vectors are kept in FOLDER/.ask_folder.db by the hash of their passage, so only what changed is embedded again.
"""

import argparse
import array
import contextlib
import hashlib
import math
import sqlite3
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import namel3ss
from namel3ss.errors import N3Error
from namel3ss.runtime import SyncProgram

PROGRAM = Path(__file__).with_name("ask_folder.ai")
PASSAGE_CHARACTERS = 1000
BATCH = 32


@dataclass(frozen=True)
class Passage:
    """Some paragraphs of a file that stand together."""

    file: Path
    line: int
    text: str


def main() -> int:
    """Answer the question of the command line; gives the exit code."""
    parser = argparse.ArgumentParser(description="Ask a folder of texts a question.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("question")
    parser.add_argument("--pattern", default="*.md", help="which files are read (default: %(default)s)")
    parser.add_argument(
        "--top", type=int, default=4, metavar="N", help="how many passages are shown to the model"
    )
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is not a folder")
    if options.top < 1:
        parser.error("--top must be at least 1")

    passages = [each for file in texts_of(options.folder, options.pattern) for each in passages_of(file)]
    if not passages:
        print(f"There is no text in {options.folder}/**/{options.pattern}.", file=sys.stderr)
        return 1
    database = options.folder / ".ask_folder.db"
    try:
        declared = namel3ss.load(PROGRAM)
        with declared.sync as program:
            model = declared.models["embedder"].model
            vectors = embed(program, model, passages, database)
            question = unit(program.embed(options.question, model="embedder")[0])
            ranked = sorted(zip(passages, vectors, strict=True), key=lambda pair: -cosine(pair[1], question))
            answer(program, options.question, [passage for passage, _ in ranked[: options.top]])
    except N3Error as error:
        print(error, file=sys.stderr)
        return 1
    except sqlite3.Error as error:
        print(f"{database}: {error}; delete it, or use a folder that can be written.", file=sys.stderr)
        return 1
    return 0


def texts_of(folder: Path, pattern: str) -> Iterator[Path]:
    """The files of the folder that match, hidden ones left out."""
    for file in sorted(folder.rglob(pattern)):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            yield file


def passages_of(file: Path) -> Iterator[Passage]:
    """The lines of a file in passages that an embedding model can read, cut at blank lines where there are some."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        print(f"{file} is left out: {error}", file=sys.stderr)
        return
    first, collected, size = 1, list[str](), 0
    for number, line in enumerate(lines, 1):
        for piece in textwrap.wrap(line, PASSAGE_CHARACTERS) or [""]:
            is_full = size + len(piece) > PASSAGE_CHARACTERS or (not piece and size > PASSAGE_CHARACTERS / 2)
            if collected and is_full:
                yield Passage(file, first, "\n".join(collected).strip())
                collected, size = [], 0
            if piece or collected:
                first = first if collected else number
                collected.append(piece)
                size += len(piece) + 1
    if collected:
        yield Passage(file, first, "\n".join(collected).strip())


def embed(program: SyncProgram, model: str, passages: Sequence[Passage], database: Path) -> list[list[float]]:
    """A vector for each passage: from the database where it is known, else from the model, many in one request."""
    keys = [hashlib.sha256(f"{model}\0{passage.text}".encode()).digest() for passage in passages]
    with contextlib.closing(sqlite3.connect(database)) as store:
        store.execute("create table if not exists vectors (key blob primary key, vector blob)")
        known = dict(store.execute("select key, vector from vectors"))
        missing = {key: passage.text for key, passage in zip(keys, passages, strict=True) if key not in known}
        print(f"{len(missing)} of {len(passages)} passages are new.", file=sys.stderr)
        todo = list(missing.items())
        for start in range(0, len(todo), BATCH):
            batch = todo[start : start + BATCH]
            found = program.embed([text for _, text in batch], model="embedder")
            rows = [
                (key, array.array("f", unit(vector)).tobytes())
                for (key, _), vector in zip(batch, found, strict=True)
            ]
            with store:  # a batch that is done stays, whatever happens to the next
                store.executemany("insert into vectors values (?, ?)", rows)
            known.update(rows)
    return [list(array.array("f", known[key])) for key in keys]


def unit(vector: Sequence[float]) -> list[float]:
    """The vector with length one."""
    length = math.hypot(*vector) or 1.0
    return [value / length for value in vector]


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    """How near two vectors of length one are, from -1 to 1."""
    return sum(a * b for a, b in zip(left, right, strict=True))


def answer(program: SyncProgram, question: str, passages: Sequence[Passage]) -> None:
    """Print what the model says of the passages, and where that stands."""
    numbered = [{"number": number, "text": passage.text} for number, passage in enumerate(passages, 1)]
    result = program.prompts["answer"](question=question, passages=numbered)
    print(result.output["answer"])
    # A model may name a passage that it was never shown.
    sources = sorted({number for number in result.output["sources"] if 1 <= number <= len(passages)})
    for number in sources:
        print(f"  {passages[number - 1].file}:{passages[number - 1].line}")
    if not sources:
        print("  (without a source)")


if __name__ == "__main__":
    sys.exit(main())
