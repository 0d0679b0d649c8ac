"""Every code has a page; its example has exactly that finding, and its fix has none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import namel3ss.language
from namel3ss.declarations import read_program
from namel3ss.language.codes import CODES
from namel3ss.language.pages import explanation

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = Path(namel3ss.language.__file__).parent / "explanations"
BLOCK = re.compile(r"^```ai ?(\S*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

# Examples that are no text, or too much of it.
MADE = {
    "N3901": 'ai model chat { provider: ollama, model: tiny, system: "r\u00e9sum\u00e9" }'.encode("latin-1"),
    "N3902": b"%PDF-1.7",
    "N3903": b"#" * 9_000_000,
    "N3904": f"ai model chat {{ stop: {'[' * 70}{']' * 70} }}".encode(),
    "N3613": b"ai model m { provider: ollama, model: x }\nchain c {\n"
    + b"\n".join(b"step s%d { prompt: x }" % number for number in range(1001))
    + b"\n}\n",
    "N3905": b"prompt p { " + b" ".join(b"k%d: 1" % number for number in range(10_001)) + b" }\n",
}
VARIABLES = {"N3303": {"TEMPERATURE": "warm"}}
# These need what a text cannot have: another package, hundreds of files, no file, no permission, no folder. The tests of
# what reports them say what they mean; N3906 always stands beside others.
OTHERWISE = {"N3109", "N3404", "N3407", "N3410", "N3800", "N3906", "N3907", "N3908", "N3909"}


def part(code: str, heading: str) -> str:
    """The part of a page below a heading."""
    return explanation(code).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def found(code: str, heading: str, folder: Path, environ: dict[str, str]) -> set[str]:
    blocks = BLOCK.findall(part(code, heading))
    for name, text in blocks:
        (folder / (name or "app.ai")).write_text(text, encoding="utf-8")
    return {each.code for each in read_program(folder / "app.ai", environ=environ).diagnostics}


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_page_with_its_title_an_example_and_a_fix(code: str) -> None:
    page = explanation(code)

    assert page.startswith(f"# {code}: {CODES[code].title}\n")
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## Example", "## Fix"]
    assert part(code, "Example").strip()


def test_no_page_is_without_a_code() -> None:
    assert {path.stem for path in PAGES.iterdir()} == set(CODES)
    assert (ROOT / "docs/errors").resolve() == PAGES.resolve()


@pytest.mark.parametrize(
    "code", [code for code in CODES if code not in OTHERWISE | set(MADE) | set(VARIABLES)]
)
def test_example_has_exactly_its_finding(code: str, tmp_path: Path) -> None:
    assert found(code, "Example", tmp_path, {}) == {code}


@pytest.mark.parametrize("code", MADE)
def test_example_too_large_or_no_text_has_its_finding(code: str, tmp_path: Path) -> None:
    (tmp_path / "app.ai").write_bytes(MADE[code])

    assert code in {each.code for each in read_program(tmp_path / "app.ai", environ={}).diagnostics}


@pytest.mark.parametrize("code", VARIABLES)
def test_example_with_a_variable_has_exactly_its_finding(code: str, tmp_path: Path) -> None:
    text = part(code, "Example").partition("```text\n")[2].partition("```")[0]
    (tmp_path / "app.ai").write_text(text, encoding="utf-8")

    program = read_program(tmp_path / "app.ai", environ=VARIABLES[code])

    assert {each.code for each in program.diagnostics} == {code}


@pytest.mark.parametrize("code", [code for code in CODES if code not in OTHERWISE])
def test_fix_has_no_finding(code: str, tmp_path: Path) -> None:
    assert found(code, "Fix", tmp_path, {"TEMPERATURE": "0.5"}) <= ({"N3301"} if code == "N3303" else set())
