"""The whole check of one text: syntax, drafts, `extends`, providers and settings."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from namel3ss.declarations.drafts import draft_models
from namel3ss.declarations.findings import Findings
from namel3ss.declarations.imports import ImportedFile, gather
from namel3ss.declarations.inheritance import parent_names, resolve_extends
from namel3ss.declarations.model import Location, ProgramFile
from namel3ss.declarations.models import ModelCheck
from namel3ss.declarations.profiles import Origins, lay_over
from namel3ss.declarations.reloads import report_reloads
from namel3ss.language import Declaration, Severity
from namel3ss.language.suppression import without_ignored
from namel3ss.providers.registry import installed_providers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from namel3ss.declarations.chains import ChainDeclaration
    from namel3ss.declarations.drafts import Draft
    from namel3ss.declarations.imports import ImportReader
    from namel3ss.declarations.model import ModelDeclaration
    from namel3ss.declarations.prompts import PromptDeclaration
    from namel3ss.language import Diagnostic, SyntaxTree
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
) -> ProgramFile:
    """The whole check of a file that is read already, of what it imports, and of the profile that lies over it.

    With a profile that cannot be read as a whole nothing loads: half a profile is not what anybody asked for.
    """
    findings = Findings()
    files = gather(main, read_import, findings, profile)
    every_file = files.parsed if files.profile is None else (*files.parsed, files.profile)
    trees = tuple(parsed.tree for parsed in every_file)
    own_drafts, declared_again = draft_models(files.parsed, findings)
    laid_over, laid_over_again = draft_models((files.profile,) if files.profile else (), findings)
    drafts = lay_over(own_drafts, laid_over)
    extended = parent_names(drafts)
    check = ModelCheck(registry or installed_providers(), environ, findings, drafts)
    models: dict[str, ModelDeclaration] = {}
    broken: dict[str, None] = {}  # in order, each once
    resolved = resolve_extends(drafts, findings, is_whole=files.is_whole)
    for name, draft in resolved.items():
        if findings.is_full:
            findings.report_stop(draft.place)
            broken.update(dict.fromkeys(other for other in resolved if other not in models))
            break
        declaration = check.declare(draft, is_extended=name in extended)
        if declaration is not None:
            models[name] = declaration
        elif name not in extended or draft.is_broken:
            broken[name] = None
    report_reloads(models.values(), findings)
    broken.update(dict.fromkeys((*declared_again, *laid_over_again)))
    if files.profile is not None and any(
        found.severity is Severity.ERROR for found in files.profile.diagnostics
    ):
        broken.update(dict.fromkeys(models))
        models.clear()
    for tree in trees:
        _report_unsupported(tree, findings)
    syntax = [found for parsed in every_file for found in parsed.diagnostics]
    parts = _check_parts(trees, drafts, syntax, findings)
    return ProgramFile(
        main.path,
        MappingProxyType(models),
        without_ignored(findings.sorted(), [tree.source for tree in trees]),
        tuple(broken),
        *parts,
        origins=Origins(own_drafts, laid_over),
    )


def _check_parts(
    trees: Sequence[SyntaxTree],
    drafts: Mapping[str, Draft],
    syntax: Sequence[Diagnostic],
    findings: Findings,
) -> tuple[Mapping[str, PromptDeclaration], Mapping[str, ChainDeclaration], tuple[str, ...], tuple[str, ...]]:
    """Prompts and chains, and the names of those that do not load. Files without them import nothing for them."""
    if not any(item.kind in ("prompt", "chain") for tree in trees for item in tree.declarations()):
        return MappingProxyType({}), MappingProxyType({}), (), ()
    from namel3ss.declarations.program_parts import check_parts

    places = {name: draft.place for name, draft in drafts.items()}
    found = check_parts(trees, places, syntax, findings)
    return found.prompts, found.chains, found.broken_prompts, found.broken_chains


def _report_unsupported(tree: SyntaxTree, findings: Findings) -> None:
    """Warn once for each kind of declaration that is read but has no meaning yet."""
    seen: set[str] = set()
    kind: str
    for item in tree.items:
        if isinstance(item, Declaration) and item.kind in ("server", "gateway"):
            kind, span = item.kind, item.keyword
        else:
            continue
        if kind not in seen:
            seen.add(kind)
            findings.report(
                "N3110",
                f"This version reads {kind} declarations but does not run them.",
                Location(tree.source, span),
                help="The rest of the file works without them.",
            )
