"""Which `.ai` files a list of arguments means: files as they are named, folders with everything below them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["AI_FILE", "STDIN", "find_ai_files"]


class _AiFile(click.ParamType[str]):
    """A path that a shell completes; whether a program is there is found out by reading it."""

    name = "file"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


AI_FILE: Final = _AiFile()

STDIN: Final = "-"

# Folders that hold other people's files.
_FOREIGN: Final = frozenset({"node_modules", "__pycache__", "site-packages"})


def find_ai_files(arguments: Iterable[str]) -> list[str]:
    """Each file once, in the order of the arguments; ``-`` is kept. Raises UsageError for a folder without any."""
    found: dict[str, None] = {}
    for argument in arguments:
        if argument != STDIN and os.path.isdir(argument):
            inside = list(_below(argument))
            if not inside:
                raise UsageError(f"There is no .ai file in {argument}.")
            found.update(dict.fromkeys(inside))
        else:
            found[argument] = None
    return list(found)


def _below(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _FOREIGN)
        yield from (os.path.join(place, name) for name in sorted(files) if name.endswith(".ai"))
