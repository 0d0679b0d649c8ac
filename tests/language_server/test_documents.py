"""Positions, edits, and findings that are those of a fresh check after any edit."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lsprotocol import types

from namel3ss.declarations import check_text
from namel3ss.declarations.reading import read_program
from namel3ss.language_server.features.diagnostics import find_problems
from namel3ss.language_server.positions import Encoding, Lines
from tests.language_server.files import make_workspace, opened

if TYPE_CHECKING:
    from namel3ss.language import Diagnostic

_CORPUS = Path(__file__).parents[2] / "grammar" / "corpus"
MODEL = "ai model chat { provider: ollama  model: tiny }\n"
TEXT = "a😀b\r\nüx\n\rlast"


@pytest.mark.parametrize(
    ("encoding", "columns"), [("utf-16", [0, 1, 3, 4]), ("utf-8", [0, 1, 5, 6]), ("utf-32", [0, 1, 2, 3])]
)
def test_columns_count_the_units_that_were_agreed_on(encoding: Encoding, columns: list[int]) -> None:
    lines = Lines(TEXT, encoding)

    assert [lines.position(offset).character for offset in range(4)] == columns
    assert [lines.offset(types.Position(0, column)) for column in columns] == [0, 1, 2, 3]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_every_offset_comes_back_from_its_position(encoding: Encoding) -> None:
    lines = Lines(TEXT, encoding)

    for offset in range(len(TEXT) + 1):
        if TEXT[offset - 1 : offset + 1] != "\r\n":  # between the two halves of a line end nobody stands
            assert lines.offset(lines.position(offset)) == offset


@pytest.mark.parametrize(
    ("line", "column", "offset"), [(0, 99, 3), (0, 2, 1), (9, 0, len(TEXT)), (1, 5, 7), (2, 0, 8)]
)
def test_positions_outside_of_the_text_mean_the_nearest_place(line: int, column: int, offset: int) -> None:
    assert Lines(TEXT, "utf-16").offset(types.Position(line, column)) == offset


def test_changes_are_made_one_after_the_other() -> None:
    workspace, document = opened("one\ntwo\n")

    def put(line: int, start: int, end: int, text: str) -> types.TextDocumentContentChangePartial:
        place = types.Range(types.Position(line, start), types.Position(line, end))
        return types.TextDocumentContentChangePartial(range=place, text=text)

    changed = workspace.change(document.uri, 2, [put(0, 0, 3, "😀\n"), put(0, 2, 2, "x"), put(2, 0, 3, "2")])

    assert changed is not None
    assert changed.text == "😀x\n\n2\n"
    assert changed.version == 2


@pytest.mark.parametrize("text", ["%PDF-1.5\n…", "%!PS-Adobe-3.0\n", "ai model a {\0}"])
def test_a_drawing_has_no_findings(text: str) -> None:
    workspace, document = opened(text)

    assert document.refusals
    assert find_problems(workspace, document) == []


@pytest.mark.parametrize("refused", ["%PDF", "a\0", "\N{BYTE ORDER MARK}%!PS "])
def test_edits_of_what_is_no_program_lead_back_to_the_editors_text(refused: str) -> None:
    workspace, document = opened(MODEL)

    def put(start: int, end: int, text: str) -> types.TextDocumentContentChangePartial:
        place = types.Range(types.Position(0, start), types.Position(0, end))
        return types.TextDocumentContentChangePartial(range=place, text=text)

    refusing = workspace.change(document.uri, 2, [put(0, 0, refused)])
    assert refusing is not None
    assert refusing.refusals
    mended = workspace.change(document.uri, 3, [put(0, len(refused), "")])

    assert mended is not None
    assert (mended.text, mended.refusals) == (MODEL, ())


def as_told(found: list[Diagnostic]) -> list[tuple[object, ...]]:
    return sorted(
        (
            finding.span,
            finding.code,
            finding.message,
            finding.label,
            tuple((label.span, label.text, label.source is None) for label in finding.labels),
            finding.help,
            finding.notes,
            finding.fixes,
        )
        for finding in found
    )


_INSERTED = (
    "{", "}", "[", "]", "<", '"', "'", ":", "|", ",", " ", "\n", "\r\n", "# c\n", "env.", "env.HOME ?? ", "junk", "0", "model: ",
    "provider: ollama\n", "temprature: 3\n", "ai model x {\n", "prompt p {\n", "chain c {\n", "step s { ", "}\n", "extends: chat\n",
    "{{ text }}", "{{", "}}", "num_ctx: 4096\n", "# n3: ignore[N3801] x\n", "# n3: ignore[N3510]\n", "default", "gateway g {\n",
    "server s {\n", "page X {\n", "fallback: chat\n", 'import "./x.ai"\n',
)  # fmt: skip


def _texts() -> list[str]:
    found = []
    for path in sorted(
        [*_CORPUS.glob("valid/*.ai"), *_CORPUS.glob("invalid/*.ai"), *Path("examples").glob("*.ai")]
    ):
        try:
            found.append(path.read_bytes().decode())
        except UnicodeDecodeError:
            continue
    return [text for text in found if "\0" not in text and not text.startswith("%")]


@pytest.mark.parametrize("seed", range(10))
def test_after_any_edit_the_findings_are_those_of_a_fresh_check(seed: int) -> None:
    choose = random.Random(seed)
    texts = _texts()
    for _ in range(5):
        workspace, document = opened("\n".join(choose.choice(texts)[:900] for _ in range(2)))
        for version in range(20):
            start = choose.randint(0, len(document.text))
            end = min(len(document.text), start + choose.choice((0, 0, 0, 1, 2, 7, 40, 300)))
            place = types.Range(document.lines.position(start), document.lines.position(end))
            text = choose.choice(_INSERTED) if choose.random() < 0.8 else ""
            edit = types.TextDocumentContentChangePartial(range=place, text=text)
            changed = workspace.change(document.uri, version, [edit])
            assert changed is not None
            document = changed
            if document.refusals:
                break

            fresh = check_text(document.text, document.path)

            assert as_told(find_problems(workspace, document)) == as_told(list(fresh.diagnostics)), (
                document.text
            )


def test_an_imported_file_is_checked_in_the_program_that_imports_it(tmp_path: Path) -> None:
    (tmp_path / "models.ai").write_text("ai model small { provider: ollama  model: tiny }\n")
    (tmp_path / "app.ai").write_text(
        'import "./models.ai"\nimport "./ask.ai"\nchain c { step s { prompt: ask  output: x } }\n'
    )
    workspace = make_workspace(tmp_path)
    list(workspace.find_files())
    text = 'prompt ask { model: small  template: "hi" }\n'

    _, document = opened(text, workspace, (tmp_path / "ask.ai").as_uri())
    assert find_problems(workspace, document) == []
    _, document = opened(text.replace("small", "smal"), workspace, (tmp_path / "ask.ai").as_uri())
    assert [finding.code for finding in find_problems(workspace, document)] == ["N3507"]


def test_what_is_open_counts_and_not_what_lies_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "models.ai").write_text("")
    workspace = make_workspace(tmp_path)
    opened("ai model small { provider: ollama  model: tiny }\n", workspace, (tmp_path / "models.ai").as_uri())
    _, document = opened(
        'import "./models.ai"\nprompt ask { model: small  template: "hi" }\n',
        workspace,
        (tmp_path / "app.ai").as_uri(),
    )

    assert find_problems(workspace, document) == []
    workspace.close((tmp_path / "models.ai").as_uri())
    assert [finding.code for finding in find_problems(workspace, document)] == ["N3507"]


def test_a_deleted_file_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "models.ai"
    path.write_text("ai model small { provider: ollama  model: tiny }\n")
    workspace, document = opened(
        'import "./models.ai"\n', make_workspace(tmp_path), (tmp_path / "app.ai").as_uri()
    )
    assert find_problems(workspace, document) == []

    path.unlink()
    workspace.forget(str(path))

    assert [finding.code for finding in find_problems(workspace, document)] == ["N3401"]


def test_a_profile_is_checked_over_its_file(tmp_path: Path) -> None:
    (tmp_path / "app.ai").write_text("ai model small { provider: ollama  model: tiny }\n")
    path = tmp_path / "app.prod.ai"
    text = "ai model small { config: { temprature: 1 } }\n"
    path.write_text(text)
    workspace, document = opened(text, make_workspace(tmp_path), path.as_uri())

    found = find_problems(workspace, document)

    program = read_program(tmp_path / "app.ai", environ={}, profile="prod")
    assert as_told(found) == as_told([replace(each) for each in program.diagnostics])
    assert [finding.code for finding in found] == ["N3201"]
