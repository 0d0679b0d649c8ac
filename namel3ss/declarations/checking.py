"""The whole check of one text: syntax, drafts, `extends`, providers and settings."""

from __future__ import annotations

import functools
from types import MappingProxyType
from typing import TYPE_CHECKING

from namel3ss.declarations.drafts import draft_models
from namel3ss.declarations.findings import Findings
from namel3ss.declarations.imports import ImportedFile, gather, parse_whole
from namel3ss.declarations.inheritance import parent_names, resolve_extends
from namel3ss.declarations.literal_secrets import report_literal_looks
from namel3ss.declarations.model import ProgramFile
from namel3ss.declarations.models import ModelCheck
from namel3ss.declarations.profiles import Origins, lay_over
from namel3ss.declarations.program_parts import ProgramModels, ProgramParts
from namel3ss.declarations.reloads import report_reloads
from namel3ss.language import Severity
from namel3ss.language.suppression import without_ignored
from namel3ss.providers.registry import installed_providers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from namel3ss.declarations.drafts import Draft
    from namel3ss.declarations.imports import FileParser, Files, ImportReader
    from namel3ss.declarations.memory import CheckMemory
    from namel3ss.declarations.model import ModelDeclaration
    from namel3ss.declarations.places import Location
    from namel3ss.providers.registry import ProviderRegistry

__all__ = ["check_program", "check_text"]

_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


def check_text(
    text: str,
    path: str = "<text>",
    *,
    environ: Mapping[str, str] = _NO_VARIABLES,
    registry: ProviderRegistry | None = None,
    read_import: ImportReader | None = None,
) -> ProgramFile:
    """What a text declares and everything wrong with it. Never raises for bad content.

    `environ` answers references to the environment; `registry` knows the providers, those installed unless given.
    `read_import` finds the files that the text imports; without it they are not followed, which is a warning.
    """
    main = ImportedFile(path, path, text)
    return check_program(main, environ=environ, registry=registry, read_import=read_import)


def check_program(
    main: ImportedFile,
    *,
    environ: Mapping[str, str],
    registry: ProviderRegistry | None,
    read_import: ImportReader | None,
    profile: ImportedFile | None = None,
    parse_file: FileParser = parse_whole,
    memory: CheckMemory | None = None,
) -> ProgramFile:
    """The whole check of a file that is read already, of what it imports, and of the profile that lies over it.

    With a profile that cannot be read as a whole nothing loads: half a profile is not what anybody asked for.
    `parse_file` may give a file in several parts, each with a source of its own, in whose terms its findings then are.
    """
    findings = Findings(memory=memory)
    files = gather(main, read_import, findings, profile, parse_file)
    own_drafts, declared_again = draft_models(files.parts, findings)
    laid_over, laid_over_again = draft_models(files.profile, findings)
    drafts = lay_over(own_drafts, laid_over, findings)
    extended = parent_names(drafts)
    check = ModelCheck(registry or installed_providers(), environ, findings, drafts)
    models: dict[str, ModelDeclaration] = {}
    broken: dict[str, None] = {}  # in order, each once
    resolved = resolve_extends(drafts, findings, is_whole=files.is_whole)
    names = tuple(drafts)
    declare = functools.partial(_declare, check, names, extended, findings)
    each = [(draft,) for draft in resolved.values()]
    declared = findings.recall_all("declare all", each, (names, frozenset(extended)), declare)
    for draft, declaration in zip(resolved.values(), declared, strict=True):
        if declaration is not None:
            models[draft.name] = declaration
        elif draft.name not in extended or draft.is_broken:
            broken[draft.name] = None
    if findings.has_stopped:
        broken.update(dict.fromkeys([other for other in resolved if other not in models]))
    report_reloads(models.values(), findings)
    broken.update(dict.fromkeys((*declared_again, *laid_over_again)))
    parts = _check_parts(files, ProgramModels(models, _places(drafts), broken, extended), environ, findings)
    every_part = files.all()
    report_literal_looks(every_part, findings)
    if any(found.severity is Severity.ERROR for part in files.profile for found in part.diagnostics):
        broken.update(dict.fromkeys(models))
        models.clear()
        parts = ProgramParts(written=parts.written)
    found = findings.sorted()
    if [part for part in every_part if part.ignores]:
        found = without_ignored(found, [part.source for part in every_part])
    return ProgramFile(
        main.path,
        MappingProxyType(models),
        found,
        tuple(broken),
        parts.prompts,
        parts.chains,
        parts.broken("prompt"),
        parts.broken("chain"),
        parts.servers,
        parts.gateways,
        parts.broken("server"),
        parts.broken("gateway"),
        origins=Origins(own_drafts, laid_over, parts.written),
    )


def _declare(
    check: ModelCheck, names: tuple[str, ...], extended: Collection[str], findings: Findings, draft: Draft
) -> ModelDeclaration | None:
    if findings.is_full:
        findings.report_stop(draft.place)
        return None
    is_extended = draft.name in extended
    work = functools.partial(check.declare, draft, is_extended=is_extended)
    return findings.recall(
        "declare", (draft,), (is_extended, names if "fallback" in draft.keys else None), work
    )


def _places(drafts: Mapping[str, Draft]) -> dict[str, Location]:
    return {name: draft.place for name, draft in drafts.items()}


def _check_parts(
    files: Files, models: ProgramModels, environ: Mapping[str, str], findings: Findings
) -> ProgramParts:
    """Everything but the models. Files without such declarations import nothing for them."""
    if not [part for part in files.all() if part.others]:
        return ProgramParts()
    from namel3ss.declarations.part_check import check_parts

    return check_parts(files, models, environ, findings)
