"""Reads the fenced blocks of a Markdown page.

What a block's language means for the tests:

* ``python``: run, top-level ``await`` allowed; blocks of one page share their names, in order.
* ``ai``: checked without an error; ``title="app.ai"`` also writes it for the page's commands.
* ``console``: each ``$ `` line is run by a shell and must succeed, or exit as a following ``[exit N]`` line says.
* ``text``, ``json``, ``toml``, ``yaml``, ``ini``: shown only.

``<!-- not run: REASON -->`` on the line above a block keeps it from being run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SHOWN_ONLY = {"text", "json", "toml", "yaml", "ini"}
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
