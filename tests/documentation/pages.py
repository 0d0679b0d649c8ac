"""Reads the fenced blocks of a Markdown page.

What a block's language means for the tests:

* ``python``: run, top-level ``await`` allowed; blocks of one page share their names, in order.
* ``ai``: checked without an error; ``title="app.ai"`` also writes it for the page's commands.
* ``console``: each ``$ `` line is run by a shell and must succeed, or exit as a following ``[exit N]`` line says. Other
  lines below it are what it prints, stdout and stderr together; ``…`` stands for any text, also of several lines.
* ``text``, ``json``, ``toml``, ``yaml``, ``ini``, ``lua``, ``elisp``, ``nginx``, ``caddy``, ``dockerfile``: shown only.

``<!-- not run: REASON -->`` on the line above a block keeps it from being run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SHOWN_ONLY = {"text", "json", "toml", "yaml", "ini", "lua", "elisp", "nginx", "caddy", "dockerfile"}
RUN = {"python", "ai", "console"}

_FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]+?) -->\n)?^```(?P<language>[^\n`]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Snippet:
    page: Path
    line: int
    language: str
    attributes: str
    text: str
    not_run: str | None

    @property
    def title(self) -> str | None:
        found = re.search(r'title="([^"]+)"', self.attributes)
        return found[1] if found else None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A line of a console, what it exits with, and what the page shows of its output, if it does."""

    line: str
    code: int
    output: str

    def is_followed_by(self, printed: str) -> bool:
        """Whether that is the output which the page shows."""
        pattern = ".*".join(re.escape(part) for part in self.output.strip().split("…"))
        return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def commands(snippet: Snippet) -> list[Command]:
    """The commands of a console block."""
    found = []
    for part in re.split(r"^\$ ", snippet.text, flags=re.MULTILINE)[1:]:
        line, _, below = part.partition("\n")
        code = re.search(r"^\[exit (\d+)\]\n?", below, re.MULTILINE)
        output = below.replace(code[0], "") if code else below
        found.append(Command(line.strip(), int(code[1]) if code else 0, output.strip("\n")))
    return found


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def snippets(page: Path) -> list[Snippet]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        language, _, attributes = match["language"].strip().partition(" ")
        line = text.count("\n", 0, match.start("language")) + 1
        found.append(Snippet(page, line, language, attributes, match["text"], match["reason"]))
    return found
