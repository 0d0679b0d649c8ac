"""The whole corpus: what grammar/corpus says of each file is what a check finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import check_text, read_program
from namel3ss.language import decode_source
from namel3ss.language.codes import CODES
from namel3ss.language.fixing import fix_until_stable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from namel3ss.language import Diagnostic

_CORPUS = Path(__file__).parents[2] / "grammar/corpus"
_VALID = sorted((_CORPUS / "valid").glob("*.ai"))
_INVALID = sorted((_CORPUS / "invalid").glob("*.ai"))
_EXPECTED = sorted(_CORPUS.rglob("*.expected.json"))


@pytest.mark.parametrize("path", _VALID, ids=lambda path: path.stem)
def test_a_valid_file_has_no_error(path: Path):
    assert [str(found) for found in read_program(path, environ={}).errors] == []


def test_every_invalid_file_says_what_is_expected():
    assert [path.name for path in _INVALID if not path.with_suffix(".expected.json").exists()] == []


def _file(found: Diagnostic, main: Path) -> dict[str, str]:
    """Where a finding is in an imported file, which one."""
    there = Path(found.source.path)
    return {} if there == main else {"file": there.relative_to(main.parent).as_posix()}


@pytest.mark.parametrize("path", _EXPECTED, ids=lambda path: path.name.removesuffix(".expected.json"))
def test_a_check_finds_what_the_corpus_says(path: Path):
    expected = json.loads(path.read_text(encoding="utf-8"))

    main = path.with_name(path.name.removesuffix(".expected.json") + ".ai")
    program = read_program(main, environ={})

    found = [
        {
            **_file(each, main),
            "code": each.code,
            "severity": each.severity.value,
            "line": each.source.position(each.span.start).line,
            "column": each.source.position(each.span.start).column,
        }
        for each in program.diagnostics
    ]
    found.sort(key=lambda each: (each.get("file", ""), each["line"], each["column"], each["code"]))
    assert found == expected["diagnostics"]
    if "models" in expected:
        assert list(program.models) == expected["models"]
    if path.parent.name == "invalid":
        assert program.errors


# A corpus file is text, and checked without variables: it cannot have these.
_BEYOND_TEXT = {
    "N3109",  # another package
    "N3303",  # a variable
    "N3404",  # hundreds of files
    "N3407",  # a text without its folder
    "N3410",  # a profile
    "N3800",  # another provider
    "N3903",  # more than 8 MB
    "N3907",  # no file
    "N3908",  # a folder
    "N3909",  # no permission
}


def test_every_code_has_a_file_in_the_corpus():
    found = {
        finding["code"]
        for path in _EXPECTED
        for finding in json.loads(path.read_text(encoding="utf-8"))["diagnostics"]
    }

    assert found == set(CODES) - _BEYOND_TEXT


@pytest.mark.parametrize("unsafe", [False, True])
@pytest.mark.parametrize(
    "path",
    [path for path in (*_VALID, *_INVALID) if path.stat().st_size < 20_000],
    ids=lambda path: path.stem,
)
def test_fixing_twice_is_fixing_once_and_safe_fixes_lose_no_model(path: Path, unsafe: bool):
    source, _ = decode_source(path.read_bytes(), "app.ai")
    if source is None:
        return

    def findings(text: str) -> Sequence[Diagnostic]:
        return check_text(text, "app.ai").diagnostics

    fixed = fix_until_stable(source.text, findings, unsafe=unsafe).text

    assert fix_until_stable(fixed, findings, unsafe=unsafe) == (fixed, 0)
    if not unsafe:
        before, after = check_text(source.text).models, check_text(fixed).models
        assert set(before) <= set(after)
        for name, model in before.items():
            written = [
                ({**each.config, **each.deployment_config}, each.model) for each in (model, after[name])
            ]
            assert written[0] == written[1]
