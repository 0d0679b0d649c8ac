"""`namel3ss check` gives what the corpus says, for every file of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import call

CORPUS = Path(__file__).resolve().parent.parent.parent / "grammar" / "corpus"
VALID = sorted((CORPUS / "valid").glob("*.ai"))
INVALID = sorted((CORPUS / "invalid").glob("*.ai"))


def findings(file: Path) -> list[dict[str, object]]:
    done = call("check", "--format", "json", file, environ={})
    document: dict[str, Any] = json.loads(done.stdout)
    found = [
        {**imported(finding, file), **{key: finding[key] for key in ("code", "severity", "line", "column")}}
        for finding in document["diagnostics"]
    ]
    assert done.code == (1 if any(finding["severity"] == "error" for finding in found) else 0)
    return sorted(
        found,
        key=lambda finding: (finding.get("file", ""), finding["line"], finding["column"], finding["code"]),
    )


def imported(finding: dict[str, Any], main: Path) -> dict[str, str]:
    """Which imported file a finding is in; nothing where it is the file itself."""
    there = Path(finding["file"])
    return {} if there == main else {"file": there.relative_to(main.parent).as_posix()}


def expected(file: Path) -> list[dict[str, object]]:
    document: dict[str, Any] = json.loads(file.with_suffix(".expected.json").read_text(encoding="utf-8"))
    wanted: list[dict[str, object]] = document["diagnostics"]
    return wanted


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_valid_file_has_no_error(file: Path) -> None:
    found = findings(file)

    assert [finding for finding in found if finding["severity"] == "error"] == []
    if file.with_suffix(".expected.json").exists():
        assert found == expected(file)


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem)
def test_invalid_file_has_exactly_the_findings_listed(file: Path) -> None:
    assert findings(file) == expected(file)
