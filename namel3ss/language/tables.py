"""The compiled grammar: what `grammar/namel3ss.lark` says, in the form the parser runs.

Lark computes the LALR(1) table of the grammar (grammar_compiler). That costs 50 ms of import and 40 ms of work, so the
outcome lies beside the grammar as JSON, and Lark is not imported by a run. The JSON holds the grammar's checksum: where
the two disagree, as while the grammar is being edited, the table is compiled anew; it is never stale.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "COMPILED",
    "GRAMMAR",
    "Compiled",
    "Matcher",
    "ParseTable",
    "grammar_folder",
    "parse_table",
    "read_table",
]

GRAMMAR = "namel3ss.lark"
COMPILED = "namel3ss.table.json"

Matcher: TypeAlias = "Callable[[str, int, int], re.Match[str] | None]"

# Terminals that could be mistaken for each other are looked for in different modes. A state's mode is told by what it
# accepts, in this order.
_MODES = (("value", "WORD"), ("entry", "COMMA"), ("entry", "KEY"), ("keyword", "MODEL"))
_OTHER_MODE = "head"
# Recovery looks for any terminal but these, which depend on their place.
_BY_PLACE = frozenset({"TIGHT_KEY", "NAME", "MODEL", "PART", "IMPORT"})
_OPENERS = ("LBRACE", "LBRACKET", "LESS", "LIST_OF")


class Compiled(TypedDict):
    """The JSON: the fields of ParseTable, with the terminals' patterns in the order of their priority."""

    checksum: int
    trivia: str
    terminals: dict[str, str]
    rules: list[tuple[str, int, str | None]]
    accepting: int
    actions: list[dict[str, int]]
    settled: list[int | None]
    gotos: list[dict[str, int]]


@dataclass(frozen=True, slots=True)
class ParseTable:
    """The table as the parser uses it. State 0 is the start; in `accepting` a declaration or import is complete.

    `rules` are (left side, length, name of the callback; None where the one child passes unchanged).
    `actions` map a terminal to the state to shift to (≥ 0), or to ~rule to reduce by. `settled` holds the rule of a
    state that can do nothing but reduce by it. `matchers` find a state's next token behind any blanks and comments,
    as the match's last group; `match_any` finds any terminal, for recovery. `openers` are the states that an opening
    brace, bracket or `<` leads to; `terminals` are the names of all.
    """

    rules: list[tuple[str, int, str | None]]
    accepting: int
    actions: list[dict[str, int]]
    settled: list[int | None]
    gotos: list[dict[str, int]]
    matchers: list[Matcher]
    match_any: Matcher
    openers: frozenset[int]
    terminals: tuple[str, ...]


@functools.cache
def parse_table() -> ParseTable:
    """The table of the grammar that ships with the package; made once, when first asked for."""
    return read_table(grammar_folder())


def read_table(folder: Path) -> ParseTable:
    """The table of the grammar in a folder; compiled if the one that lies beside it is not its own."""
    grammar = (folder / GRAMMAR).read_bytes()
    compiled: Compiled = json.loads((folder / COMPILED).read_bytes())
    if compiled["checksum"] != zlib.crc32(grammar):
        from namel3ss.language.grammar_compiler import compile_grammar  # Lark, only when it is needed

        compiled = compile_grammar(grammar)
    return _assemble(compiled)


def grammar_folder() -> Path:
    """Where the grammar lies: `namel3ss.grammar` stands outside the package's folder in a checkout."""
    return Path(importlib.import_module("namel3ss.grammar").__path__[0])


def _assemble(compiled: Compiled) -> ParseTable:
    terminals = compiled["terminals"]
    modes = [_mode(row) for row in compiled["actions"]]
    wanted: dict[str, set[str]] = {mode: set() for mode in modes}
    for mode, row in zip(modes, compiled["actions"], strict=True):
        wanted[mode].update(row)
    matchers = {mode: _matcher(compiled, names) for mode, names in wanted.items()}
    return ParseTable(
        rules=compiled["rules"],
        accepting=compiled["accepting"],
        actions=compiled["actions"],
        settled=compiled["settled"],
        gotos=compiled["gotos"],
        matchers=[matchers[mode] for mode in modes],
        match_any=_matcher(compiled, terminals.keys() - _BY_PLACE),
        openers=frozenset(row[name] for row in compiled["actions"] for name in _OPENERS if name in row),
        terminals=tuple(terminals),
    )


def _mode(row: dict[str, int]) -> str:
    return next((mode for mode, mark in _MODES if mark in row), _OTHER_MODE)


def _matcher(compiled: Compiled, names: set[str]) -> Matcher:
    alternatives = "|".join(
        f"(?P<{name}>{pattern})" for name, pattern in compiled["terminals"].items() if name in names
    )
    return re.compile(f"(?:{compiled['trivia']})?+(?:{alternatives})").match
