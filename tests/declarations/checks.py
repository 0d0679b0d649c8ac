"""Short ways to check a text in a test."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from namel3ss.declarations import ModelDeclaration, ProgramFile, check_text

if TYPE_CHECKING:
    from namel3ss.language import Diagnostic


def check(text: str, **environ: str) -> ProgramFile:
    """The check of an indented text, with these environment variables."""
    return check_text(textwrap.dedent(text).lstrip("\n"), "app.ai", environ=environ)


def model(settings: str, **environ: str) -> ProgramFile:
    """The check of one complete model with these further lines."""
    return check(_one_model(settings), **environ)


def declared(settings: str, **environ: str) -> ModelDeclaration:
    """The declaration of one healthy model with these further lines."""
    program = model(settings, **environ)
    assert not program.errors, [found.message for found in program.errors]
    return program.models["m"]


def codes(program: ProgramFile) -> list[str]:
    return [found.code for found in program.diagnostics]


def places(program: ProgramFile) -> list[tuple[str, int, str]]:
    """Code, line and the marked text of every finding."""
    return [(found.code, line_of(found), marked(found)) for found in program.diagnostics]


def only(program: ProgramFile) -> Diagnostic:
    (found,) = program.diagnostics
    return found


def line_of(found: Diagnostic) -> int:
    return found.source.position(found.span.start).line


def marked(found: Diagnostic) -> str:
    return found.source.text[slice(*found.span)]


def _one_model(settings: str) -> str:
    inner = textwrap.indent(textwrap.dedent(settings).strip("\n"), "    ")
    return f"ai model m {{\n    provider: ollama\n    model: llama3:8b\n{inner}\n}}\n"
