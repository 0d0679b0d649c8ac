"""Findings for the services that run checks: GitHub's workflow commands, and SARIF 2.1.0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote

from namel3ss._version import __version__
from namel3ss.language import Severity
from namel3ss.language.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from namel3ss.language import Diagnostic, Fix, Source, Span

__all__ = ["as_github", "as_sarif"]

_Object: TypeAlias = "dict[str, object]"

_GITHUB: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_SARIF: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_PAGES: Final = "https://github.com/namel3ss-Ai/namel3ss/blob/main/docs/errors"


def as_github(findings: Sequence[Diagnostic]) -> str:
    """A line for each finding that GitHub shows beside the changed line of the file."""
    return "\n".join(map(_github_line, findings))


def _github_line(finding: Diagnostic) -> str:
    line, column = finding.source.position(finding.span.start)
    end_line, end_column = finding.source.position(finding.span.end)
    properties: dict[str, object] = {"title": finding.code, "file": finding.source.path, "line": line}
    if end_line == line:
        properties |= {"col": column, "endColumn": max(column, end_column - 1)}
    else:
        properties |= {"endLine": end_line}
    shown = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in properties.items())
    text = f"{finding.message}\n{finding.help}" if finding.help else finding.message
    return f"::{_GITHUB[finding.severity]} {shown}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    """As workflow commands want it: a line's end, a per cent sign, and in properties the signs between them."""
    return "".join(f"%{ord(sign):02X}" if sign in f"%\r\n{more}" else sign for sign in text)


def as_sarif(findings: Sequence[Diagnostic]) -> str:
    """One SARIF log with one run."""
    codes = list(dict.fromkeys(finding.code for finding in findings))
    numbers = {code: number for number, code in enumerate(codes)}
    driver = {
        "name": "namel3ss",
        "version": __version__,
        "informationUri": "https://github.com/namel3ss-Ai/namel3ss",
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, numbers) for finding in findings],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(code: str) -> _Object:
    info = CODES[code]
    return {
        "id": code,
        "shortDescription": {"text": info.title},
        "helpUri": f"{_PAGES}/{code}.md",
        "defaultConfiguration": {"level": _SARIF[info.severity]},
    }


def _result(finding: Diagnostic, numbers: Mapping[str, int]) -> _Object:
    text = f"{finding.message}\n{finding.help}" if finding.help else finding.message
    result: _Object = {
        "ruleId": finding.code,
        "ruleIndex": numbers[finding.code],
        "level": _SARIF[finding.severity],
        "message": {"text": text},
        "locations": [{"physicalLocation": _place(finding.source, finding.span)}],
    }
    if finding.labels:
        result["relatedLocations"] = [
            {
                "id": number,
                "message": {"text": label.text},
                "physicalLocation": _place(label.source or finding.source, label.span),
            }
            for number, label in enumerate(finding.labels)
        ]
    if finding.fixes:
        result["fixes"] = [_fix(finding.source, fix) for fix in finding.fixes]
    return result


def _fix(source: Source, fix: Fix) -> _Object:
    replacements = [
        {"deletedRegion": _region(source, edit.span), "insertedContent": {"text": edit.text}}
        for edit in fix.edits
    ]
    change = {"artifactLocation": {"uri": _uri(source.path)}, "replacements": replacements}
    return {"description": {"text": fix.title}, "artifactChanges": [change]}


def _place(source: Source, span: Span) -> _Object:
    return {"artifactLocation": {"uri": _uri(source.path)}, "region": _region(source, span)}


def _region(source: Source, span: Span) -> _Object:
    line, column = source.position(span.start)
    end_line, end_column = source.position(span.end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _uri(path: str) -> str:
    return Path(path).as_uri() if Path(path).is_absolute() else quote(Path(path).as_posix())
