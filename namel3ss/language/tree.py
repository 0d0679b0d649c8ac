"""The syntax tree: what stands in a file and where, before anything is given a meaning.

Every node carries the span of what it was made from; names, keys, values and braces have spans of their own.
The tree is also built for broken files: it then lacks what could not be understood, and the diagnostics say so.

    SyntaxTree ── items: Declaration | Import | ForeignDeclaration
      Declaration ── kind ("ai model", "prompt", …), name, Block
        Block ── entries: Pair | Step
          Pair ── Key, Value
    Value: String | BlockText | BareWord | Number | Boolean | Null | List | Block (a map) | EnvReference | TypeForm
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from namel3ss.language.diagnostics import Diagnostic
    from namel3ss.language.source import Source, Span

__all__ = [
    "BareWord",
    "Block",
    "BlockText",
    "Boolean",
    "Declaration",
    "EnvReference",
    "ForeignDeclaration",
    "Import",
    "Item",
    "Key",
    "List",
    "Name",
    "Null",
    "Number",
    "Pair",
    "ParseResult",
    "Scalar",
    "Step",
    "String",
    "SyntaxTree",
    "TypeForm",
    "Value",
]


@dataclass(frozen=True, slots=True)
class Name:
    """A declared or referenced name, as text without quotes."""

    text: str
    span: Span
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """A key as text without quotes; `colon` is the span of its colon."""

    text: str
    span: Span
    colon: Span
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class String:
    """A quoted string with its escapes resolved; the span includes the quotes."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class BlockText:
    """The text of ``key: |`` without its common indentation; the span runs from ``|`` to the last line's end."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class BareWord:
    """An unquoted word that is not a number, boolean or null: a string, or a reference to a declaration."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Number:
    """A number; `spelling` is how the file wrote it."""

    value: int | float
    span: Span
    spelling: str


@dataclass(frozen=True, slots=True)
class Boolean:
    """``true`` or ``false``."""

    value: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Null:
    """``null``."""

    span: Span

    @property
    def value(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class EnvReference:
    """``env.NAME``, or ``env.NAME ?? fallback``; the fallback may be a reference again."""

    name: Name
    span: Span
    fallback: Scalar | EnvReference | None = None


@dataclass(frozen=True, slots=True)
class List:
    """``[a, b]``; `close` is None where the bracket is missing."""

    items: tuple[Value, ...]
    span: Span
    open: Span
    close: Span | None


@dataclass(frozen=True, slots=True)
class TypeForm:
    """A type where `input` and `output` take one: ``int = 100``, ``list[str]``, ``"a" | "b"``, ``str?``.

    A lone word (``text: str``) stays a BareWord and a lone map stays a Block: only their place makes them types.
    `base` is the word, map or alternatives; `argument` that of ``list[…]``; `default` what follows ``=``.
    """

    base: BareWord | Block | tuple[String, ...]
    span: Span
    argument: Value | None = None
    optional: bool = False
    default: Value | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """``key: value``. `value` is None where it is missing or could not be read (a diagnostic says which)."""

    key: Key
    value: Value | None
    span: Span


@dataclass(frozen=True, slots=True)
class Step:
    """``step NAME { … }`` inside a chain."""

    keyword: Span
    name: Name
    block: Block
    span: Span


@dataclass(frozen=True, slots=True)
class Block:
    """``{ … }``, or ``< … >`` around a top-level declaration. Also the value of a map."""

    entries: tuple[Pair | Step, ...]
    span: Span
    open: Span
    close: Span | None

    def pairs(self) -> Iterator[Pair]:
        """The pairs in the order of the file, duplicates included."""
        return (entry for entry in self.entries if isinstance(entry, Pair))

    def get(self, key: str) -> Pair | None:
        """The first pair of that key."""
        return next((pair for pair in self.pairs() if pair.key.text == key), None)


Scalar: TypeAlias = String | BlockText | BareWord | Number | Boolean | Null
Value: TypeAlias = Scalar | List | Block | EnvReference | TypeForm


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declaration of the language.

    `kind` is ``ai model`` (for `llm` too), ``prompt``, ``chain``, ``server`` or ``gateway``; `keyword` is the span of
    the word or words. `name` is None for an unnamed ``ai model { … }``.
    """

    kind: Literal["ai model", "prompt", "chain", "server", "gateway"]
    keyword: Span
    name: Name | None
    block: Block
    span: Span


@dataclass(frozen=True, slots=True)
class ForeignDeclaration:
    """A declaration of the wider language (`page`, `endpoint`, `agent` …): kept as text, its inside not read."""

    kind: str
    keyword: Span
    head: str
    span: Span


@dataclass(frozen=True, slots=True)
class Import:
    """``import "./models.ai"``."""

    path: String
    span: Span


Item: TypeAlias = Declaration | ForeignDeclaration | Import


@dataclass(frozen=True, slots=True)
class SyntaxTree:
    """A whole file, its items in order."""

    source: Source
    items: tuple[Item, ...]

    def declarations(self) -> Iterator[Declaration]:
        """The declarations this language gives a meaning to."""
        return (item for item in self.items if isinstance(item, Declaration))


@dataclass(frozen=True, slots=True)
class ParseResult:
    """What `parse` gives: a tree, always, and the syntax diagnostics in the order of the file."""

    tree: SyntaxTree
    diagnostics: tuple[Diagnostic, ...]
