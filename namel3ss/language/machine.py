"""Runs the compiled grammar over the text of one declaration.

An LALR(1) parser as in the textbooks: a stack of states and beside it a stack of nodes. Each state says in which mode to
look for the next token (tables.py), so a token is only ever what the grammar can go on with. When no token fits,
`Recovery` changes the stacks or the position so that parsing can go on; the machine itself knows nothing of mistakes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from namel3ss.language.builder import MAX_NESTING
from namel3ss.language.recovery import Recovery
from namel3ss.language.source import Span
from namel3ss.language.tree import Declaration, Import, String

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.language.builder import TreeBuilder
    from namel3ss.language.findings import Findings
    from namel3ss.language.tables import Matcher, ParseTable

__all__ = ["Machine", "Token"]

Token: TypeAlias = "tuple[str, int, int]"


class Machine:
    """Parses declarations of one text, one after the other.

    Public attributes are the state that recovery works on: `states` and `nodes` are the two stacks (`states` has one
    more at its bottom), `at` is the end of the last token, `limit` where the declaration must have ended, `angle`
    whether it stands between ``<`` and ``>``.
    """

    def __init__(
        self,
        text: str,
        table: ParseTable,
        builder: TreeBuilder,
        findings: Findings,
        record: list[Token] | None = None,
    ) -> None:
        self.text = text
        self.table = table
        self.builder = builder
        self.findings = findings
        self.states: list[int] = [0]
        self.nodes: list[object] = []
        self.at = 0
        self.limit = len(text)
        self.angle = False
        self.matchers: list[Matcher] = table.matchers
        self._rules = [
            (left, size, None if name is None else getattr(builder, f"build_{name}"))
            for left, size, name in table.rules
        ]
        self._take: dict[str, Callable[[int, int], object]] = {
            name: getattr(builder, f"take_{name.lower()}", builder.take_other) for name in table.terminals
        }
        self._record = record
        if record is not None:
            self._take = {name: self._recording(name, take, record) for name, take in self._take.items()}

    def parse(self, keyword: Token, limit: int, *, by_indentation: bool) -> tuple[Declaration | Import, bool]:
        """Parse the declaration that begins with `keyword`, and tell whether a block in it is never closed.

        `at` is then where it ended.

        `by_indentation` lets a line that stands too far left close what was left open (Recovery says when).
        """
        if self._record is not None:
            while self._record and self._record[-1][1] >= keyword[1]:
                self._record.pop()  # of an earlier reading of the same declaration
        self.states = [0]
        self.nodes = []
        self.limit = limit
        self.angle = False
        recovery = Recovery(self, by_indentation=by_indentation)
        self.feed(*keyword)
        self.at = keyword[2]
        self._run(recovery)
        (item,) = self.nodes
        assert isinstance(item, Declaration | Import), (
            "the start rule of the grammar has these two alternatives"
        )
        return item, recovery.unclosed

    def _run(self, recovery: Recovery) -> None:  # noqa: C901, PLR0915  # one loop; calls would cost half the speed
        # Everything in locals: this loop is the parser's speed.
        states, nodes, text, limit = self.states, self.nodes, self.text, self.limit
        table, take, rules, matchers = self.table, self._take, self._rules, self.matchers
        actions, settled, gotos, accepting = table.actions, table.settled, table.gotos, table.accepting
        before_token = recovery.before_token if recovery.by_indentation else None
        at = self.at
        kind: str | None = None
        start = end = 0
        state = states[-1]
        while state != accepting:
            rule = settled[state]
            if rule is None:
                if kind is None:
                    found = matchers[state](text, at, limit)
                    kind = None if found is None else found.lastgroup
                    if found is None or kind is None:
                        at = self._recover(recovery, at)
                        state = states[-1]
                        continue
                    start, end = found.span(kind)
                    if before_token is not None and before_token(kind, at, start):
                        kind = None
                        state = states[-1]
                        continue
                    if kind == "WORD" and self.angle and text[end - 1] == ">":
                        kind, end = self._word_before_angle(state, start, end)
                        if kind is None:
                            at = self._recover(recovery, at)
                            state = states[-1]
                            continue
                    elif kind == "TIGHT_KEY" and not self._begins_entry(at, start):
                        at = self._recover(recovery, at)
                        kind, state = None, states[-1]
                        continue
                action = actions[state].get(kind)
                if action is None:
                    at = self._recover(recovery, at)
                    kind, state = None, states[-1]
                    continue
                if action >= 0:
                    nodes.append(take[kind](start, end))
                    states.append(action)
                    at = end
                    if kind == "TEXT":
                        at = self.builder.text_end
                    elif action in table.openers:
                        at = self._opened(recovery, kind, at)
                    kind, state = None, states[-1]
                    continue
                rule = ~action
            left, size, build = rules[rule]
            if build is None:
                del states[-1]
            elif size:
                children = nodes[-size:]
                del states[-size:], nodes[-size:]
                nodes.append(build(*children))
            else:
                nodes.append(build())
            state = gotos[states[-1]][left]
            states.append(state)
        self.at = at

    def _recover(self, recovery: Recovery, at: int) -> int:
        self.at = at
        recovery.repair()
        return self.at

    def _opened(self, recovery: Recovery, kind: str, at: int) -> int:
        self.angle = self.angle or kind == "LESS"
        if len(self.states) > MAX_NESTING:
            self.at = at
            recovery.check_nesting()
            return self.at
        return at

    def _word_before_angle(self, state: int, start: int, end: int) -> tuple[str | None, int]:
        """Inside ``< … >`` a word never ends in ``>``: what it was without it, or that closer itself.

        None where the rest is a key, which no word can be.
        """
        word_end = start + len(self.text[start:end].rstrip(">"))
        if word_end == start:
            return "GREATER", start + 1
        found = self.matchers[state](self.text, start, word_end)
        return (None if found is None else found.lastgroup), word_end

    def _begins_entry(self, at: int, start: int) -> bool:
        """Whether a key without a blank behind its colon may stand here: first on its line, or after `{` or a comma."""
        if "\n" in self.text[at:start]:
            return True
        before, state = self.states[-2:]
        # A word may end in a brace or an angle as well: then it is the last on the stack.
        return self.text[at - 1] in "{,<" and (
            state in self.table.openers or self.table.gotos[before].get("entries") == state
        )

    def _recording(
        self, kind: str, take: Callable[[int, int], object], record: list[Token]
    ) -> Callable[[int, int], object]:
        def take_and_record(start: int, end: int) -> object:
            node = take(start, end)
            record.append((kind, start, self.builder.text_end if kind == "TEXT" else end))
            return node

        return take_and_record

    # --- for recovery --------------------------------------------------------------------------------------------

    def accepts(self, kind: str) -> bool:
        """Whether a token of that kind could come next."""
        states = self.states.copy()
        table = self.table
        while True:
            rule = table.settled[states[-1]]
            if rule is None:
                action = table.actions[states[-1]].get(kind)
                if action is None or action >= 0:
                    return action is not None
                rule = ~action
            left, size, _ = table.rules[rule]
            if size:
                del states[-size:]
            states.append(table.gotos[states[-1]][left])

    def feed(self, kind: str, start: int, end: int) -> None:
        """Go on as if this token, which `accepts` allows, had come; an empty one stands for something missing."""
        self.feed_node(kind, self._take[kind](start, end) if start < end else Span(start, end))

    def feed_node(self, kind: str, node: object) -> None:
        """Go on as if a token of this kind had made this node."""
        table = self.table
        while True:
            rule = table.settled[self.states[-1]]
            if rule is None:
                action = table.actions[self.states[-1]][kind]
                if action >= 0:
                    break
                rule = ~action
            self._reduce(rule)
        self.nodes.append(node)
        self.states.append(action)

    def supply(self, symbol: str, node: object) -> None:
        """Go on as if this part of a rule (`value`, `name` …) had been read."""
        self.nodes.append(node)
        self.states.append(self.table.gotos[self.states[-1]][symbol])

    def expects(self, symbol: str) -> bool:
        """Whether that part of a rule may begin here."""
        return symbol in self.table.gotos[self.states[-1]]

    def take(self, kind: str, start: int, end: int) -> object:
        """The node of a token."""
        return self._take[kind](start, end)

    def string_of(self, start: int, end: int, span: Span | None = None) -> String:
        """The text from `start` to `end` as a string, as if it stood in quotes."""
        return String(self.text[start:end], span or Span(start, end))

    def drop_last_node(self) -> None:
        """Forget the last token or part, as if it had not been read."""
        del self.states[-1], self.nodes[-1]

    @property
    def import_state(self) -> int:
        """The state behind the word `import`."""
        return self.table.actions[0]["IMPORT"]

    def innermost(self) -> Span | None:
        """The brace or bracket that was opened last and is not closed."""
        openers = self.table.openers
        for depth in range(len(self.states) - 1, 0, -1):
            if self.states[depth] in openers:
                node = self.nodes[depth - 1]
                return node if isinstance(node, Span) else None
        return None

    def closes_outer(self, kind: str) -> bool:
        """Whether a closer of this kind belongs to a block around the innermost one."""
        wanted = {"RBRACE": "{", "RBRACKET": "[", "GREATER": "<"}[kind]
        openers = [
            self.text[node.end - 1] if node.start < node.end else "{"
            for state, node in zip(self.states[1:], self.nodes, strict=True)
            if state in self.table.openers and isinstance(node, Span)
        ]
        return wanted in openers[:-1]

    def settle(self) -> None:
        """Finish what can be finished: a value becomes a pair, a pair an entry, whatever comes next."""
        while True:
            state = self.states[-1]
            rule = self.table.settled[state]
            if rule is None:
                rules = {~action for action in self.table.actions[state].values() if action < 0}
                if len(rules) != 1:
                    return
                (rule,) = rules
            self._reduce(rule)

    def _reduce(self, rule: int) -> None:
        left, size, build = self._rules[rule]
        children = self.nodes[-size:] if size else []
        if size:
            del self.states[-size:], self.nodes[-size:]
        self.nodes.append(children[0] if build is None else build(*children))
        self.states.append(self.table.gotos[self.states[-1]][left])
