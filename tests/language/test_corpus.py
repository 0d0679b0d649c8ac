"""What the corpus says about the text of its files, asked of `parse` alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from namel3ss.language import Diagnostic, Severity, decode_source, parse
from namel3ss.language.codes import CODES

CORPUS = Path(__file__).resolve().parent.parent.parent / "grammar" / "corpus"
VALID = sorted((CORPUS / "valid").glob("*.ai"))
EXPECTED = sorted(CORPUS.rglob("*.expected.json"))
OF_THE_TEXT = ("N30", "N39")


def read(path: Path) -> tuple[Diagnostic, ...]:
    source, refusal = decode_source(path.read_bytes(), path.name)
    return refusal if source is None else parse(source.text, source.path).diagnostics


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_valid_files_have_no_error(path: Path) -> None:
    assert [finding for finding in read(path) if finding.severity is Severity.ERROR] == []


@pytest.mark.parametrize("path", EXPECTED, ids=lambda path: path.stem)
def test_expected_findings_are_found_at_their_places(path: Path) -> None:
    listed = json.loads(path.read_text(encoding="utf-8"))["diagnostics"]
    expected = [finding for finding in listed if finding["code"].startswith(OF_THE_TEXT)]

    found = [
        {"code": finding.code, "severity": finding.severity.value, "line": line, "column": column}
        for finding in read(path.with_name(path.name.removesuffix(".expected.json") + ".ai"))
        for line, column in [finding.source.position(finding.span.start)]
    ]

    assert (
        sorted(found, key=lambda finding: (finding["line"], finding["column"], finding["code"])) == expected
    )


def test_every_code_of_the_text_has_a_file() -> None:
    in_corpus = {
        finding["code"]
        for path in EXPECTED
        for finding in json.loads(path.read_text(encoding="utf-8"))["diagnostics"]
    }

    # A file of more than 8 MB does not belong into a repository; test_decoding makes one.
    assert {code for code in CODES if code.startswith("N30") or "N3901" <= code <= "N3906"} - in_corpus == {
        "N3903"
    }
