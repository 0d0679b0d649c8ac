"""Compiles the grammar with Lark to the table that `parse` runs.

``python -m namel3ss.language.grammar_compiler`` writes `grammar/namel3ss.table.json`; a test compares the two files.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from lark import Lark
from lark.parsers.lalr_analysis import Shift

from namel3ss.language.tables import COMPILED, GRAMMAR, Compiled, grammar_folder

if TYPE_CHECKING:
    from lark.grammar import Rule

__all__ = ["compile_grammar", "render_table"]


class _Action(NamedTuple):
    """Shift or go to state `target`, or reduce by rule `target`."""

    shifts: bool
    target: int


_Row: TypeAlias = dict[str, _Action]


def compile_grammar(grammar: bytes) -> Compiled:
    """The LALR(1) table and the terminals of a grammar. The same grammar gives the same table, number for number."""
    lark = Lark(grammar.decode(), parser="lalr", lexer="basic", keep_all_tokens=True)
    rules = [(rule.origin.name, len(rule.expansion), _callback(rule)) for rule in lark.rules]
    rows, accepting = _states(lark)
    settled = [_only_reduction(row) for row in rows]
    _skip_unit_rules(rows, settled, rules)
    terminals = sorted(lark.terminals, key=lambda terminal: (-terminal.priority, terminal.name))
    patterns = {terminal.name: terminal.pattern.to_regexp() for terminal in terminals}
    (trivia,) = lark.ignore_tokens
    return {
        "checksum": zlib.crc32(grammar),
        "trivia": patterns.pop(trivia),
        "terminals": patterns,
        "rules": rules,
        "accepting": accepting,
        "actions": [
            {
                symbol: action.target if action.shifts else ~action.target
                for symbol, action in sorted(row.items())
                if symbol in patterns
            }
            for row in rows
        ],
        "settled": settled,
        "gotos": [
            {symbol: action.target for symbol, action in sorted(row.items()) if symbol.islower()}
            for row in rows
        ],
    }


def _callback(rule: Rule) -> str | None:
    """The name of what builds a node by this rule; None where its one child passes unchanged."""
    if rule.options.expand1 and not rule.alias:
        return None
    return rule.alias or str(rule.origin.name)


def _states(lark: Lark) -> tuple[list[_Row], int]:
    """The rows in the order in which a walk from the start meets them: Lark numbers them anew in every process."""
    table = lark.parser.parser._parse_table
    number_of = {rule: number for number, rule in enumerate(lark.rules)}
    found = [table.start_states["start"]]
    numbers = {found[0]: 0}
    for state in found:
        for _, (action, target) in sorted(table.states[state].items()):
            if action is Shift and target not in numbers:
                numbers[target] = len(found)
                found.append(target)
    rows = [
        {
            symbol: _Action(True, numbers[target]) if action is Shift else _Action(False, number_of[target])
            for symbol, (action, target) in table.states[state].items()
        }
        for state in found
    ]
    return rows, numbers[table.end_states["start"]]


def _only_reduction(row: _Row) -> int | None:
    """The rule of a state that can do nothing but reduce by it: the parser need not look at the next token."""
    actions = set(row.values())
    if len(actions) == 1:
        (action,) = actions
        if not action.shifts:
            return action.target
    return None


def _skip_unit_rules(
    rows: list[_Row], settled: list[int | None], rules: list[tuple[str, int, str | None]]
) -> None:
    """Go straight to where a settled state's unit rule leads: half of all reductions only rename their child."""
    for row in rows:
        for symbol, action in row.items():
            while action.shifts:
                rule = settled[action.target]
                if rule is None or rules[rule][2] is not None:
                    break
                action = row[rules[rule][0]]
            row[symbol] = action


def render_table(compiled: Compiled) -> str:
    """The table as the JSON that lies beside the grammar, a state a line."""
    parts = []
    for key, value in compiled.items():
        if isinstance(value, list):
            lines = ",\n".join("  " + json.dumps(item, separators=(",", ":")) for item in value)
            parts.append(f" {json.dumps(key)}: [\n{lines}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value, indent=2)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    folder = grammar_folder()
    table = render_table(compile_grammar((folder / GRAMMAR).read_bytes()))
    (folder / COMPILED).write_text(table, encoding="utf-8", newline="\n")
