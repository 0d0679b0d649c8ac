"""The `.ai` language: text in, a syntax tree with exact places and diagnostics out. Pure.

Importing this package loads no parser; the first `parse` does.
"""

from __future__ import annotations

from namel3ss.language.decoding import decode_source
from namel3ss.language.diagnostics import Diagnostic, Fix, Label, Severity, TextEdit
from namel3ss.language.parser import parse
from namel3ss.language.source import Position, Source, Span
from namel3ss.language.tree import (
    BareWord,
    Block,
    BlockText,
    Boolean,
    Declaration,
    EnvReference,
    ForeignDeclaration,
    Import,
    Item,
    Key,
    List,
    Name,
    Null,
    Number,
    Pair,
    ParseResult,
    Scalar,
    Step,
    String,
    SyntaxTree,
    TypeForm,
    Value,
)

__all__ = [
    "BareWord",
    "Block",
    "BlockText",
    "Boolean",
    "Declaration",
    "Diagnostic",
    "EnvReference",
    "Fix",
    "ForeignDeclaration",
    "Import",
    "Item",
    "Key",
    "Label",
    "List",
    "Name",
    "Null",
    "Number",
    "Pair",
    "ParseResult",
    "Position",
    "Scalar",
    "Severity",
    "Source",
    "Span",
    "Step",
    "String",
    "SyntaxTree",
    "TextEdit",
    "TypeForm",
    "Value",
    "decode_source",
    "parse",
]
