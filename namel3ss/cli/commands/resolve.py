"""``namel3ss resolve FILE``: every value in force, and where it comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from namel3ss.cli.ai_files import AI_FILE
from namel3ss.cli.assignments import read_assignments
from namel3ss.cli.exit_codes import ExitCode
from namel3ss.cli.provenance_text import declaration_as_text, value_as_json, value_as_text, values_as_json
from namel3ss.cli.reading import read_file, reading_options
from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.declarations.part_provenance import resolve_part
from namel3ss.declarations.provenance import resolve_model
from namel3ss.errors import UsageError
from namel3ss.language.render import render_terminal
from namel3ss.language.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from namel3ss.declarations import ProgramFile
    from namel3ss.declarations.part_provenance import ResolvedPart
    from namel3ss.declarations.provenance import ResolvedModel


@click.command(cls=Command, short_help="Show every value in force and where it comes from.")
@click.argument("file", metavar="FILE", type=AI_FILE)
@click.option("-m", "--model", metavar="NAME", help="Show this ai model alone.")
@click.option("--why", metavar="NAME.KEY", help="Show all the places that were asked for one value.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change a setting. May be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@reading_options
@pass_session
def command(
    session: Session,
    file: str,
    model: str | None,
    why: str | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> ExitCode:
    """Show a .ai file as it runs: every value of every declaration, and where that comes from.

    Secrets are shown as the variables that they come from. Nothing is run and no server is asked.
    """
    program = read_file(session, file)
    output = session.output
    if program.errors:
        output.aside(
            render_terminal(program.errors, width=output.width, color=output.stderr_has_color) + "\n"
        )
    if why is not None:
        name, key = _split(why, program)
        chosen = _resolve(program, name, session, assignments)
        if key not in chosen.values:
            whole = next((head for head in chosen.values if key.startswith(f"{head}.")), None)
            suggestion = (
                _meant(key, chosen.values) if whole is None else f"Ask for {name}.{whole} as a whole."
            )
            raise UsageError(f"There is no `{key}` in {name}.", suggestion=suggestion)
        value = chosen.values[key]
        shown = (
            json.dumps(value_as_json(value), ensure_ascii=not output.encodes_unicode)
            if as_json
            else value_as_text(f"{name}.{key}", value)
        )
        output.line(shown)
    else:
        kinds = {
            kind: [_resolve(program, name, session, assignments) for name in names]
            for kind, names in _shown(program, model).items()
        }
        if as_json:
            found = {
                kind: {each.name: values_as_json(each) for each in declared}
                for kind, declared in kinds.items()
            }
            document = {"file": program.path, "profile": session.profile, **found}
            output.line(json.dumps(document, ensure_ascii=not output.encodes_unicode))
        else:
            texts = [declaration_as_text(each) for declared in kinds.values() for each in declared]
            output.line("\n\n".join(texts))
    return ExitCode.PROGRAM if program.errors else ExitCode.OK


def _shown(program: ProgramFile, model: str | None) -> dict[str, list[str]]:
    """The names of what is shown, by kind."""
    kinds = {
        "models": program.models,
        "prompts": program.prompts,
        "chains": program.chains,
        "servers": program.servers,
        "gateways": program.gateways,
    }
    if model is None:
        return {kind: list(names) for kind, names in kinds.items()}
    return {kind: [_known(model, program.models, program)] if kind == "models" else [] for kind in kinds}


def _resolve(
    program: ProgramFile, name: str, session: Session, assignments: tuple[str, ...]
) -> ResolvedModel | ResolvedPart:
    if name not in program.models:
        return resolve_part(program, name, session.environ)
    assigned = read_assignments(
        assignments, program.models[name].config_model, chosen=name, declared=program.models
    )
    return resolve_model(program, name, session.environ, assigned)


def _split(why: str, program: ProgramFile) -> tuple[str, str]:
    """The declaration and the key of ``NAME.KEY``; where there is one model, its name may be left out."""
    names = [*program.models, *program.prompts, *program.chains, *program.servers, *program.gateways]
    known = max((name for name in names if why.startswith(f"{name}.")), key=len, default=None)
    if known is not None:
        return known, why[len(known) + 1 :]
    name, dot, key = why.partition(".")
    if dot:
        return _known(name, names, program, "declaration"), key
    if name in names:
        key = "num_ctx" if name in program.models else "KEY"
        raise UsageError(
            f"{why!r} is a declaration, not one of its values.", suggestion=f"Write it as {name}.{key}"
        )
    if len(program.models) == 1:
        return next(iter(program.models)), name
    raise UsageError(
        f"{why!r} names no declaration.", suggestion="Write it as NAME.KEY, such as chat.num_ctx"
    )


def _known(name: str, names: Collection[str], program: ProgramFile, what: str = "ai model") -> str:
    if name in names:
        return name
    raise UsageError(f"{program.path} has no {what} `{name}` that loads.", suggestion=_meant(name, names))


def _meant(word: str, candidates: Iterable[str]) -> str | None:
    near = closest(word, candidates)
    return f"Did you mean {near[0]}?" if near else None
