"""The snippets of the extension as the text that they leave behind."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from tests.editors.npm import EXTENSION

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["snippet_programs"]

_FIELD: Final = re.compile(r"\$\{\d+:([^{}]*)\}|\$\d+")
# What a snippet refers to and does not declare.
_AROUND: Final = "ai model chat { provider: ollama  model: tiny }\n"


def snippet_programs() -> Iterator[tuple[str, str]]:
    """The name of each snippet, and a program with its text as it is when every field keeps its first value."""
    snippets = json.loads((EXTENSION / "snippets.json").read_text(encoding="utf-8"))
    for name, snippet in snippets.items():
        text = _FIELD.sub(lambda field: field[1] or "", "\n".join(snippet["body"]))
        yield name, text if text.startswith("ai model chat ") else _AROUND + text
