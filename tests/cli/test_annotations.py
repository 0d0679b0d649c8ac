from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from namel3ss.cli.annotations import as_github, as_sarif
from namel3ss.language import Diagnostic, Severity, Source, Span, parse
from tests.support.command_line import call

ROOT = Path(__file__).resolve().parent.parent.parent
BROKEN = "ai model a {\n    provider: ollama\n    model tiny\n}\nai model b {\n"

# What SARIF 2.1.0 asks of the parts that are written here; its whole schema is some thousand lines long.
MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
NUMBER = {"type": "integer", "minimum": 1}
REGION = {
    "type": "object",
    "required": ["startLine"],
    "properties": dict.fromkeys(["startLine", "startColumn", "endLine", "endColumn"], NUMBER),
    "additionalProperties": False,
}
ARTIFACT = {
    "type": "object",
    "required": ["uri"],
    "properties": {"uri": {"type": "string", "pattern": r"^[!-~]+$"}},
    "additionalProperties": False,
}
PLACE = {
    "type": "object",
    "properties": {"artifactLocation": ARTIFACT, "region": REGION},
    "additionalProperties": False,
}
LOCATION = {
    "type": "object",
    "properties": {
        "id": {"type": "integer", "minimum": -1},
        "physicalLocation": PLACE,
        "message": MESSAGE,
    },
    "additionalProperties": False,
}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
FIX = {
    "type": "object",
    "required": ["artifactChanges"],
    "properties": {
        "description": MESSAGE,
        "artifactChanges": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["artifactLocation", "replacements"],
                "properties": {
                    "artifactLocation": ARTIFACT,
                    "replacements": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["deletedRegion"],
                            "properties": {"deletedRegion": REGION, "insertedContent": {"type": "object"}},
                            "additionalProperties": False,
                        },
                    },
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
RULE = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "shortDescription": MESSAGE,
        "helpUri": {"type": "string", "format": "uri"},
        "defaultConfiguration": {"type": "object", "properties": {"level": LEVEL}},
    },
    "additionalProperties": False,
}
DRIVER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "version": {"type": "string"},
        "informationUri": {"type": "string", "format": "uri"},
        "rules": {"type": "array", "uniqueItems": True, "items": RULE},
    },
    "additionalProperties": False,
}
RESULT = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": LEVEL,
        "message": MESSAGE,
        "locations": {"type": "array", "items": LOCATION},
        "relatedLocations": {"type": "array", "uniqueItems": True, "items": LOCATION},
        "fixes": {"type": "array", "uniqueItems": True, "items": FIX},
    },
    "additionalProperties": False,
}
RUN = {
    "type": "object",
    "required": ["tool"],
    "properties": {
        "tool": {"type": "object", "required": ["driver"], "properties": {"driver": DRIVER}},
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        "results": {"type": "array", "items": RESULT},
    },
    "additionalProperties": False,
}
SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"enum": ["2.1.0"]},
        "runs": {"type": "array", "items": RUN},
    },
    "additionalProperties": False,
}


@pytest.mark.long
def test_sarif_log_is_as_its_schema_wants_it(tmp_path: Path) -> None:
    for path in (ROOT / "grammar/corpus/invalid").glob("*.ai"):
        findings = parse(path.read_bytes().decode(errors="replace"), path.name).diagnostics
        jsonschema.validate(json.loads(as_sarif(findings)), SARIF)

    (tmp_path / "a name.ai").write_text(BROKEN)
    done = call("check", "--format", "sarif", tmp_path)
    log = json.loads(done.stdout)
    jsonschema.validate(log, SARIF)

    (run,) = log["runs"]
    assert done.code == 1
    assert [result["ruleId"] for result in run["results"]] == ["N3006", "N3003"]
    first = run["results"][0]["locations"][0]["physicalLocation"]
    assert first["artifactLocation"]["uri"] == f"file://{tmp_path}/a%20name.ai"
    assert first["region"]["startLine"] == 3
    assert run["results"][0]["fixes"]


def test_healthy_files_make_an_empty_log(tmp_path: Path) -> None:
    (tmp_path / "a.ai").write_text("ai model a { provider: ollama, model: tiny }\n")

    done = call("check", "--format", "sarif", tmp_path)

    assert done.code == 0
    assert json.loads(done.stdout)["runs"][0]["results"] == []


def test_github_annotation_is_a_line_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.ai").write_text(BROKEN)

    done = call("check", "--format", "github", tmp_path)

    first = done.stdout.splitlines()[0]
    assert re.match(rf"::error title=N3006,file={tmp_path}/a\.ai,line=3,col=\d+,endColumn=\d+::", first)


def test_github_annotation_cannot_be_broken_out_of() -> None:
    finding = Diagnostic(
        "N3001", Severity.WARNING, "100% wrong\n::error::x", Source("abc\nd", "a,b:c.ai"), Span(1, 5)
    )

    assert as_github([finding]) == (
        "::warning title=N3001,file=a%2Cb%3Ac.ai,line=1,endLine=2::100%25 wrong%0A::error::x"
    )


def test_hooks_call_commands_that_exist() -> None:
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text()

    entries = re.findall(r"^  entry: namel3ss (\w+)$", hooks, re.MULTILINE)

    assert entries == ["check", "fmt"]
    assert [call(entry, "--help").code for entry in entries] == [0, 0]
