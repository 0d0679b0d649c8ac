"""What a parsed template is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "Assignment",
    "Block",
    "Branch",
    "Call",
    "Constant",
    "Field",
    "Jump",
    "Node",
    "Operand",
    "Output",
    "Pipeline",
    "Text",
    "fields_used",
]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written out in the template."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Field:
    """`.A.B`, `$name.A` or a parenthesised pipeline's `.A`; `root` None is the dot."""

    root: str | Pipeline | None
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments."""

    function: str
    arguments: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands that hand on their value, left to right."""

    commands: tuple[Operand, ...]


Operand: TypeAlias = "Constant | Field | Call | Pipeline"


@dataclass(frozen=True, slots=True)
class Text:
    """What stands between the actions."""

    text: str


@dataclass(frozen=True, slots=True)
class Output:
    """An action that prints its value."""

    value: Pipeline


@dataclass(frozen=True, slots=True)
class Assignment:
    """`$name := value`, or `=` for one that exists further out."""

    name: str
    value: Pipeline
    declares: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `range` or `with`, its body, and what stands in for it when the value is empty."""

    kind: Literal["if", "range", "with"]
    variables: tuple[str, ...]
    value: Pipeline
    body: Block
    otherwise: Block


@dataclass(frozen=True, slots=True)
class Jump:
    """`break` or `continue`."""

    kind: Literal["break", "continue"]


Node: TypeAlias = "Text | Output | Assignment | Branch | Jump"
Block: TypeAlias = "tuple[Node, ...]"


def fields_used(block: Block) -> set[str]:
    """The first names of all fields that the template mentions, in lower case."""
    found: set[str] = set()
    for node in block:
        if isinstance(node, Output | Assignment):
            _operand_fields(node.value, found)
        elif isinstance(node, Branch):
            _operand_fields(node.value, found)
            found |= fields_used(node.body) | fields_used(node.otherwise)
    return found


def _operand_fields(operand: Operand, found: set[str]) -> None:
    if isinstance(operand, Field):
        found.update(name.lower() for name in operand.path)
        if isinstance(operand.root, Pipeline):
            _operand_fields(operand.root, found)
    elif isinstance(operand, Call):
        for argument in operand.arguments:
            _operand_fields(argument, found)
    elif isinstance(operand, Pipeline):
        for command in operand.commands:
            _operand_fields(command, found)
