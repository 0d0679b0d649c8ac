"""Findings as the protocol's diagnostics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lsprotocol import types

from namel3ss.language import Severity

if TYPE_CHECKING:
    from namel3ss.language import Diagnostic
    from namel3ss.language_server.documents import Document
    from namel3ss.language_server.workspace import Workspace

__all__ = ["SOURCE", "as_diagnostic", "find_problems"]

SOURCE: Final = "namel3ss"
_SEVERITIES: Final = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.INFO: types.DiagnosticSeverity.Information,
}
# What could be taken out; editors show it faded.
_UNUSED: Final = frozenset({"N3509", "N3510", "N3605", "N3891"})


def find_problems(workspace: Workspace, document: Document) -> list[Diagnostic]:
    """The findings about a document in every program that it is part of, each once, in the order of the file."""
    if document.refusals:
        return []
    found: dict[tuple[object, ...], Diagnostic] = {}
    for program in workspace.programs(document):
        for finding in program.findings(document):
            found.setdefault((finding.code, finding.span, finding.message), finding)
    return sorted(found.values(), key=lambda finding: (finding.span, finding.code, finding.message))


def as_diagnostic(workspace: Workspace, document: Document, finding: Diagnostic) -> types.Diagnostic:
    """A finding for the editor: what is wrong and what to do in one text, further places beside it."""
    texts = [finding.message]
    if finding.label:
        texts[0] += f" ({finding.label})"
    if finding.help is not None:
        texts.append(f"help: {finding.help}")
    texts += [f"note: {note}" for note in finding.notes]
    related = []
    for label in finding.labels:
        where = document if label.source is None else workspace.at(label.source.path)
        if where is not None:
            related.append(types.DiagnosticRelatedInformation(where.location(label.span), label.text))
    return types.Diagnostic(
        range=document.range(finding.span),
        message="\n".join(texts),
        severity=_SEVERITIES[finding.severity],
        code=finding.code,
        source=SOURCE,
        tags=[types.DiagnosticTag.Unnecessary] if finding.code in _UNUSED else None,
        related_information=related or None,
    )
