"""The tree-sitter grammar, compiled as an editor would, and its trees in the words of the language's own lexer."""

from __future__ import annotations

import ctypes
import itertools
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from tree_sitter import Language, Parser, Query

from namel3ss.language.tokens import read_tokens
from tests.editors.npm import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tree_sitter import Node, Tree

__all__ = ["GRAMMAR", "Parsed", "TreeToken", "compiled", "errors", "lexer_tokens", "query"]

GRAMMAR: Final = ROOT / "grammar" / "tree-sitter-namel3ss"

# A token: its kind, and where it begins and ends in characters.
TreeToken = tuple[str, int, int]

_COMPILER: Final = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
_PATIENCE_S: Final = 120.0
_SETTING: Final = re.compile(r"\(#set! [^()]*\)")
_ONE_KIND_OF_KEY: Final = {"OPEN_KEY": "KEY", "TIGHT_KEY": "KEY"}
_WHOLE: Final = {"string": "STRING", "block_text": "TEXT", "foreign_declaration": "FOREIGN"}
_LEAVES: Final = {
    **dict.fromkeys(("ai model", "llm"), "MODEL"),
    **dict.fromkeys(("prompt", "chain", "server", "gateway"), "PART"),
    "import": "IMPORT",
    "step": "STEP",
    "name": "NAME",
    "key": "KEY",
    "word": "WORD",
    "number": "NUMBER",
    "boolean": "BOOLEAN",
    "null": "NULL",
    "env_variable": "ENV",
    "type": "TYPE",
    "list": "LIST_OF",
    "{": "LBRACE",
    "}": "RBRACE",
    "[": "LBRACKET",
    "]": "RBRACKET",
    "<": "LESS",
    ">": "GREATER",
    ",": "COMMA",
    "|": "BAR",
    "=": "EQUALS",
    "?": "OPTIONAL",
    "??": "OTHERWISE",
    "comment": "COMMENT",
}  # fmt: skip


def compiled(folder: Path) -> Language:
    """The grammar as a library in that folder, loaded. Skips the test where there is no C compiler."""
    if _COMPILER is None:
        pytest.skip("the tree-sitter grammar is not checked: no C compiler (cc, gcc or clang) was found")
    library = folder / "namel3ss.so"
    source = GRAMMAR / "src"
    files = [str(source / name) for name in ("parser.c", "scanner.c")]
    done = subprocess.run(
        [_COMPILER, "-shared", "-fPIC", "-O0", "-std=c11", "-I", str(source), "-o", str(library), *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    make = ctypes.CDLL(str(library)).tree_sitter_namel3ss
    make.restype = ctypes.c_void_p
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype = ctypes.py_object
    capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return Language(capsule(make(), b"tree_sitter.Language", None))


def lexer_tokens(text: str) -> list[TreeToken]:
    """What the language's own lexer finds, comments among the tokens; all keys are of one kind."""
    view = read_tokens(text)
    tokens = [(_ONE_KIND_OF_KEY.get(kind, kind), *span) for kind, span in view.tokens]
    return sorted([*tokens, *(("COMMENT", *span) for span in view.comments)], key=lambda token: token[1])


def query(language: Language, path: Path) -> Query:
    """The patterns of a file. What `#set!` says is left out: the package for Python cannot hold it beside a condition."""
    return Query(language, _SETTING.sub("", path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Parsed:
    """A text with its tree."""

    text: str
    tree: Tree

    @classmethod
    def of(cls, text: str, language: Language) -> Parsed:
        return cls(text, Parser(language).parse(text.encode()))

    @property
    def is_broken(self) -> bool:
        return self.tree.root_node.has_error

    def tokens(self) -> list[TreeToken]:
        """The leaves of the tree, put together where the lexer has one token of them."""
        characters = _characters(self.text)
        found: list[TreeToken] = []
        for node in _leaves(self.tree.root_node):
            end = characters[node.end_byte]
            if node.type == ":":
                found[-1] = ("KEY", found[-1][1], end)
            elif node.type == "[" and node.parent is not None and node.parent.type == "list_type":
                found[-1] = ("LIST_OF", found[-1][1], end)
            else:
                kind = _WHOLE.get(node.type) or _LEAVES.get(node.type, node.type)
                found.append((kind, characters[node.start_byte], end))
        return found


def _characters(text: str) -> dict[int, int]:
    """For each byte at which a character begins, which one that is."""
    starts = itertools.accumulate((len(letter.encode()) for letter in text), initial=0)
    return {byte: number for number, byte in enumerate(starts)}


def _leaves(node: Node) -> Iterator[Node]:
    if node.child_count == 0 or node.type in _WHOLE:
        if node.start_byte < node.end_byte:
            yield node
        return
    for child in node.children:
        yield from _leaves(child)


def errors(node: Node) -> Iterator[Node]:
    """The nodes that say what is missing or was not understood."""
    if node.is_error or node.is_missing:
        yield node
        return
    for child in node.children if node.has_error else ():
        yield from errors(child)
