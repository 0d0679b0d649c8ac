"""Diagnostics for programs: one JSON object per run of `check`. Lines and columns count from 1, offsets from 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from namel3ss.language import Diagnostic, Source, Span

__all__ = ["JsonObject", "diagnostic_as_json"]

JsonObject: TypeAlias = "dict[str, object]"


def diagnostic_as_json(finding: Diagnostic) -> JsonObject:
    """One finding, with everything an editor or a script needs to show and mend it."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        **_place(finding.source, finding.span),
        "label": finding.label,
        "labels": [
            {**_place(label.source or finding.source, label.span), "text": label.text}
            for label in finding.labels
        ],
        "help": finding.help,
        "notes": list(finding.notes),
        "fixes": [
            {
                "title": fix.title,
                "safe": fix.safe,
                "edits": [
                    {"start": edit.span.start, "end": edit.span.end, "text": edit.text} for edit in fix.edits
                ],
            }
            for fix in finding.fixes
        ],
    }


def _place(source: Source, span: Span) -> JsonObject:
    line, column = source.position(span.start)
    end_line, end_column = source.position(span.end)
    return {
        "file": source.path,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "start": span.start,
        "end": span.end,
    }
