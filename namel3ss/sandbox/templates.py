"""The part of Go's template language that prompt templates use: parsing.

Kept: text with trim marks, fields, variables, `if`/`else if`/`range`/`with`/`break`/`continue`, pipelines and the
functions in `FUNCTIONS`. Errors carry Go's wording, since they reach clients.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from namel3ss.sandbox.template_tree import (
    Assignment,
    Block,
    Branch,
    Call,
    Constant,
    Field,
    Jump,
    Node,
    Operand,
    Output,
    Pipeline,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FUNCTIONS", "TemplateError", "parse_template"]

FUNCTIONS = frozenset(
    [
        "and",
        "or",
        "not",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "len",
        "index",
        "slice",
        "print",
        "printf",
        "println",
        "json",
        "currentDate",
        "yesterdayDate",
        "toTypeScriptType",
    ]
)


class TemplateError(ValueError):
    """The template is wrong; the message is the server's."""


_ACTION = re.compile(
    r"\{\{(?P<left>-(?=\s))?(?P<body>(?:\"(?:\\.|[^\"\\\n])*\"|`[^`]*`|/\*.*?\*/|(?!\}\}).)*?)(?P<right>(?<=\s)-)?\}\}",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"""\s+ | (?P<string>"(?:\\.|[^"\\])*") | (?P<raw>`[^`]*`) | (?P<variable>\$[A-Za-z_0-9]*)
    | (?P<field>(?:\.[A-Za-z_][A-Za-z_0-9]*)) | (?P<number>-?[0-9]+(?:\.[0-9]+)?)
    | (?P<word>[A-Za-z_][A-Za-z_0-9]*) | (?P<mark>:=|[=|(),.])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Action:
    body: str
    line: int


@lru_cache(maxsize=64)
def parse_template(source: str) -> Block:
    """The template's nodes. Raises TemplateError."""
    return _Parser(list(_pieces(source)), source.count("\n") + 1).whole()


def _pieces(source: str) -> Iterator[str | _Action]:
    """Text and actions in turn, trim marks applied."""
    position = 0
    trim_next = False
    for match in _ACTION.finditer(source):
        text = source[position : match.start()]
        if "{{" in text:
            break
        yield _trimmed(text, trim_next, bool(match["left"]))
        if not match["body"].lstrip().startswith("/*"):
            yield _Action(match["body"].strip(), source.count("\n", 0, match.start()) + 1)
        trim_next = bool(match["right"])
        position = match.end()
    rest = source[position:]
    if "{{" in rest:
        line = source.count("\n", 0, position + rest.index("{{")) + 1
        raise TemplateError(f"template: :{line}: unclosed action")
    yield _trimmed(rest, trim_next, False)


def _trimmed(text: str, left: bool, right: bool) -> str:
    text = text.lstrip(" \t\r\n") if left else text
    return text.rstrip(" \t\r\n") if right else text


class _Parser:
    """Builds the tree from the pieces; `stop` is the action that ended the innermost block."""

    def __init__(self, pieces: list[str | _Action], last_line: int) -> None:
        self._pieces = iter(pieces)
        self._last_line = last_line

    def whole(self) -> Block:
        block, stop = self._block(inside=False)
        if stop is not None:
            raise _fault(stop, f"unexpected {{{{{_first_word(stop.body)}}}}}")
        return block

    def _block(self, *, inside: bool) -> tuple[Block, _Action | None]:
        nodes: list[Node] = []
        for piece in self._pieces:
            if isinstance(piece, str):
                if piece:
                    nodes.append(Text(piece))
                continue
            word = _first_word(piece.body)
            if word in ("end", "else"):
                return tuple(nodes), piece
            nodes.append(self._node(piece, word))
        if inside:
            raise TemplateError(f"template: :{self._last_line}: unexpected EOF")
        return tuple(nodes), None

    def _node(self, action: _Action, word: str) -> Node:
        if word == "if":
            return self._branch("if", action, action.body[len(word) :])
        if word == "range":
            return self._branch("range", action, action.body[len(word) :])
        if word == "with":
            return self._branch("with", action, action.body[len(word) :])
        if word == "break":
            return Jump("break")
        if word == "continue":
            return Jump("continue")
        if not action.body:
            raise _fault(action, "missing value for command")
        tokens = _Tokens(action.body, action)
        assigned = tokens.assigned_variables()
        value = tokens.pipeline("command")
        tokens.expect_end("command")
        if assigned:
            names, declares = assigned
            return Assignment(names[0], value, declares)
        return Output(value)

    def _branch(self, kind: Literal["if", "range", "with"], action: _Action, text: str) -> Branch:
        tokens = _Tokens(text, action)
        assigned = tokens.assigned_variables()
        value = tokens.pipeline(kind)
        tokens.expect_end(kind)
        body, stop = self._block(inside=True)
        otherwise: Block = ()
        if stop is not None and _first_word(stop.body) == "else":
            rest = stop.body[len("else") :].strip()
            if _first_word(rest) == kind and kind != "range":
                return Branch(
                    kind,
                    assigned[0] if assigned else (),
                    value,
                    body,
                    (self._branch(kind, stop, rest[len(kind) :]),),
                )
            otherwise, _ = self._block(inside=True)
        return Branch(kind, assigned[0] if assigned else (), value, body, otherwise)


def _first_word(body: str) -> str:
    match = re.match(r"[A-Za-z]+", body)
    return match[0] if match else ""


def _fault(action: _Action, message: str) -> TemplateError:
    return TemplateError(f"template: :{action.line}: {message}")


class _Tokens:
    """The inside of one action."""

    def __init__(self, text: str, action: _Action) -> None:
        self._action = action
        self._tokens: list[tuple[str, str, bool]] = []  # kind, text, whether a blank stands before it
        position, blank = 0, False
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                what = "unterminated quoted string" if text[position] in "\"'`" else None
                shown = text[position]
                raise _fault(action, what or f"unexpected {shown!r} in command".replace("'", '"'))
            if match.lastgroup is not None:
                self._tokens.append((match.lastgroup, match[0], blank))
            blank = match.lastgroup is None
            position = match.end()
        self._at = 0

    def _peek(self, ahead: int = 0) -> tuple[str, str, bool]:
        index = self._at + ahead
        return self._tokens[index] if index < len(self._tokens) else ("end", "", True)

    def assigned_variables(self) -> tuple[tuple[str, ...], bool] | None:
        """`$a :=`, `$a, $b :=` or `$a =` at the beginning."""
        if self._peek()[0] != "variable":
            return None
        names = [self._peek()[1]]
        ahead = 1
        if self._peek(1)[1] == "," and self._peek(2)[0] == "variable":
            names.append(self._peek(2)[1])
            ahead = 3
        mark = self._peek(ahead)[1]
        if mark not in (":=", "="):
            return None
        self._at += ahead + 1
        return tuple(names), mark == ":="

    def pipeline(self, context: str) -> Pipeline:
        commands = [self._command(context)]
        while self._peek()[1] == "|":
            self._at += 1
            commands.append(self._command(context))
        return Pipeline(tuple(commands))

    def expect_end(self, context: str) -> None:
        kind, text, _ = self._peek()
        if kind != "end":
            raise _fault(self._action, f'unexpected "{text}" in {context}')

    def _command(self, context: str) -> Operand:
        operands: list[Operand] = []
        while self._peek()[0] != "end" and self._peek()[1] not in ("|", ")"):
            operands.append(self._operand(context))
        if not operands:
            raise _fault(self._action, f"missing value for {context}")
        first = operands[0]
        if isinstance(first, Call):
            return Call(first.function, tuple(operands[1:]))
        if len(operands) > 1:
            raise _fault(self._action, f'unexpected "{self._tokens[self._at - 1][1]}" in operand')
        return first

    def _operand(self, context: str) -> Operand:
        kind, text, _ = self._peek()
        self._at += 1
        if kind == "string":
            return Constant(_unquoted(text))
        if kind == "raw":
            return Constant(text[1:-1])
        if kind == "number":
            return Constant(float(text) if "." in text else int(text))
        if kind == "variable":
            return Field(text, self._path())
        if kind == "field":
            return Field(None, (text[1:], *self._path()))
        if text == ".":
            return Field(None, ())
        if text == "(":
            inner = self.pipeline(context)
            if self._peek()[1] != ")":
                raise _fault(self._action, "unclosed left paren")
            self._at += 1
            path = self._path()
            return Field(inner, path) if path else inner
        if kind == "word":
            return self._word(text)
        raise _fault(self._action, f'unexpected "{text}" in {context}')

    def _word(self, text: str) -> Operand:
        if text in ("true", "false"):
            return Constant(text == "true")
        if text == "nil":
            return Constant(None)
        if text not in FUNCTIONS:
            raise _fault(self._action, f'function "{text}" not defined')
        return Call(text, ())

    def _path(self) -> tuple[str, ...]:
        names = []
        while self._peek()[0] == "field" and not self._peek()[2]:
            names.append(self._peek()[1][1:])
            self._at += 1
        return tuple(names)


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1])
