"""The whole check of one text: syntax, drafts, `extends`, providers and settings."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from namel3ss.declarations.drafts import draft_models
from namel3ss.declarations.findings import Findings
from namel3ss.declarations.inheritance import parent_names, resolve_extends
from namel3ss.declarations.model import Location, ProgramFile
from namel3ss.declarations.models import ModelCheck
from namel3ss.language import Declaration, Import, parse
from namel3ss.providers.registry import installed_providers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from namel3ss.declarations.model import ModelDeclaration
    from namel3ss.language import SyntaxTree
    from namel3ss.providers.registry import ProviderRegistry

__all__ = ["check_text"]

_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


def check_text(
    text: str,
    path: str = "<text>",
    *,
    environ: Mapping[str, str] = _NO_VARIABLES,
    registry: ProviderRegistry | None = None,
) -> ProgramFile:
    """What a text declares and everything wrong with it. Never raises for bad content.

    `environ` answers references to the environment; `registry` knows the providers, those installed unless given.
    """
    result = parse(text, path)
    findings = Findings(result.diagnostics)
    drafts, declared_again = draft_models(result.tree, result.diagnostics, findings)
    extended = parent_names(drafts)
    check = ModelCheck(registry or installed_providers(), environ, findings)
    models: dict[str, ModelDeclaration] = {}
    broken: dict[str, None] = {}  # in order, each once
    resolved = resolve_extends(drafts, findings)
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
    broken.update(dict.fromkeys(declared_again))
    _report_unsupported(result.tree, findings)
    return ProgramFile(path, MappingProxyType(models), findings.sorted(), tuple(broken))


def _report_unsupported(tree: SyntaxTree, findings: Findings) -> None:
    """Warn once for each kind of declaration that is read but has no meaning yet."""
    seen: set[str] = set()
    kind: str
    for item in tree.items:
        if isinstance(item, Declaration) and item.kind != "ai model":
            kind, span = item.kind, item.keyword
        elif isinstance(item, Import):
            kind, span = "import", item.path.span
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
