"""`import`: which files make up a program, and which may not."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import ProgramFile, check_text, read_program
from namel3ss.declarations.imports import ImportedFile, ImportProblem
from tests.declarations.checks import codes, line_of, only

if TYPE_CHECKING:
    from collections.abc import Mapping


def _model(name: str, more: str = "") -> str:
    return f"ai model {name} {{ provider: ollama, model: x{more} }}\n"


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _read(folder: Path, files: Mapping[str, str], root: Path | None = None) -> ProgramFile:
    _write(folder, files)
    return read_program(folder / "app.ai", environ={}, root=root)


class _Texts:
    """Files that exist only here."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self.asked: list[str] = []

    def __call__(self, written: str, importer: str) -> ImportedFile | ImportProblem:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(importer), written))
        self.asked.append(path)
        text = self._texts.get(path)
        return ImportProblem("N3401", "There is none.") if text is None else ImportedFile(path, path, text)


def test_models_of_imported_files_are_models_of_the_program(tmp_path: Path):
    program = _read(
        tmp_path,
        {
            "app.ai": 'import "./models.ai"\nai model own { extends: base, model: y }\n',
            "models.ai": _model("base", ", config: { temperature: 0.5 }"),
        },
    )

    assert program.diagnostics == ()
    assert list(program.models) == ["base", "own"]
    assert program.models["own"].config == {"temperature": 0.5}


def test_the_path_is_read_from_the_folder_of_the_importing_file(tmp_path: Path):
    program = _read(
        tmp_path,
        {
            "app.ai": 'import "parts/one.ai"\n',
            "parts/one.ai": 'import "./two.ai"\nimport "../three.ai"\n',
            "parts/two.ai": _model("two"),
            "three.ai": _model("three"),
        },
    )

    assert (codes(program), list(program.models)) == ([], ["two", "three"])


def test_a_file_reached_twice_is_read_once(tmp_path: Path):
    program = _read(
        tmp_path,
        {
            "app.ai": 'import "./a.ai"\nimport "./b.ai"\nimport "./shared.ai"\n',
            "a.ai": 'import "./shared.ai"\n',
            "b.ai": 'import "././shared.ai"\n',
            "shared.ai": _model("shared"),
        },
    )

    assert (codes(program), list(program.models)) == ([], ["shared"])


def test_findings_stand_in_their_own_file(tmp_path: Path):
    program = _read(
        tmp_path,
        {"app.ai": 'import "./models.ai"\n' + _model("own"), "models.ai": "\n" + _model("m", ", wire: 5")},
    )

    found = program.errors[0]
    assert (found.source.path, line_of(found)) == (str(tmp_path / "models.ai"), 2)
    assert list(program.models) == ["own"]


def test_one_name_in_two_files_is_an_error_with_both_places(tmp_path: Path):
    program = _read(
        tmp_path, {"app.ai": 'import "./models.ai"\n' + _model("m"), "models.ai": "\n\n" + _model("m")}
    )

    found = only(program)
    assert (found.code, found.source.path, line_of(found)) == ("N3104", str(tmp_path / "app.ai"), 2)
    first = found.labels[0]
    assert first.source is not None
    assert first.source.path == str(tmp_path / "models.ai")
    assert first.source.position(first.span.start).line == 3


def test_a_circle_is_shown_as_a_path(tmp_path: Path):
    program = _read(
        tmp_path,
        {
            "app.ai": 'import "./a.ai"\n' + _model("own"),
            "a.ai": 'import "./b.ai"\n',
            "b.ai": 'import "./a.ai"\n' + _model("b"),
        },
    )

    found = only(program)
    assert (found.code, found.source.path) == ("N3403", str(tmp_path / "b.ai"))
    assert found.message.count(" → ") == 2
    assert list(program.models) == ["b", "own"]


def test_a_name_from_a_missing_file_is_not_reported_again(tmp_path: Path):
    program = _read(
        tmp_path,
        {"app.ai": 'import "./absent.ai"\nai model m { extends: theirs, model: x }\n' + _model("own")},
    )

    assert codes(program) == ["N3401"]
    assert (list(program.models), program.broken) == (["own"], ("m",))


def test_a_misspelt_file_name_is_recognised(tmp_path: Path):
    program = _read(tmp_path, {"app.ai": 'import "./parts/modles.ai"\n', "parts/models.ai": _model("m")})

    assert only(program).help == "did you mean `./parts/models.ai`?"


@pytest.mark.security(40)
@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("../outside.ai", "N3402"),
        ("./parts/../../outside.ai", "N3402"),
        ("/etc/hosts", "N3402"),
        ("~/models.ai", "N3402"),
        ("C:/models.ai", "N3402"),
        ("file:///etc/hosts", "N3402"),
        ("\\\\\\\\server\\\\models.ai", "N3402"),
        ("parts", "N3401"),
        ("x\\u0000y", "N3401"),
        ("x" * 5000, "N3401"),
        ("y" * 300, "N3401"),
    ],
)
def test_what_is_outside_of_the_project_or_no_file_is_refused(tmp_path: Path, written: str, code: str):
    _write(tmp_path, {"outside.ai": _model("outside"), "project/parts/x.ai": ""})

    program = _read(tmp_path / "project", {"app.ai": f'import "{written}"\n' + _model("own")})

    assert codes(program) == [code]
    assert list(program.models) == ["own"]


def test_root_widens_the_project(tmp_path: Path):
    _write(tmp_path, {"shared.ai": _model("shared")})

    program = _read(tmp_path / "apps", {"app.ai": 'import "../shared.ai"\n'}, root=tmp_path)

    assert (codes(program), list(program.models)) == ([], ["shared"])


@pytest.mark.security(40)
@pytest.mark.skipif(os.name != "posix", reason="symbolic links as on Unix")
@pytest.mark.parametrize("link", ["link.ai", "folder/models.ai"])
def test_a_link_that_leads_out_of_the_project_is_refused(tmp_path: Path, link: str):
    _write(tmp_path, {"outside/models.ai": _model("outside"), "project/app.ai": ""})
    (tmp_path / "project/link.ai").symlink_to(tmp_path / "outside/models.ai")
    (tmp_path / "project/folder").symlink_to(tmp_path / "outside")

    program = _read(tmp_path / "project", {"app.ai": f'import "./{link}"\n'})

    assert codes(program) == ["N3402"]


@pytest.mark.skipif(os.name != "posix", reason="symbolic links as on Unix")
def test_a_link_inside_the_project_is_the_file_it_leads_to(tmp_path: Path):
    _write(tmp_path, {"models.ai": _model("m")})
    (tmp_path / "link.ai").symlink_to("models.ai")

    program = _read(tmp_path, {"app.ai": 'import "./link.ai"\nimport "./models.ai"\n'})

    assert (codes(program), list(program.models)) == ([], ["m"])


def test_an_imported_file_that_is_no_text_says_so_in_its_own_place(tmp_path: Path):
    (tmp_path / "models.ai").write_bytes(b"%PDF-1.7 \x00\x01")

    program = _read(tmp_path, {"app.ai": 'import "./models.ai"\nai model m { extends: theirs, model: x }\n'})

    found = only(program)
    assert (found.code, found.source.path) == ("N3902", str(tmp_path / "models.ai"))


@pytest.mark.security(40)
def test_long_chains_end_with_one_finding():
    texts = {f"{n}.ai": f'import "{n + 1}.ai"\n' for n in range(1, 100)}

    program = check_text('import "1.ai"\n', "0.ai", read_import=_Texts(texts))

    found = only(program)
    assert (found.code, found.source.path) == ("N3404", "31.ai")


@pytest.mark.security(40)
def test_the_number_of_files_is_bounded():
    texts = {f"{n}.ai": "" for n in range(1000)}
    reader = _Texts(texts)

    program = check_text("".join(f'import "{n}.ai"\n' for n in range(300)), read_import=reader)

    assert set(codes(program)) == {"N3404"}
    assert len(program.diagnostics) == 300 - 255


def test_a_text_without_its_folder_says_that_imports_are_not_followed():
    program = check_text('import "./models.ai"\nai model m { extends: base, model: x }\n' + _model("own"))

    assert codes(program) == ["N3407"]
    assert program.errors == ()
    assert list(program.models) == ["own"]


def test_imports_are_found_by_the_reader_that_is_given():
    reader = _Texts({"lib/models.ai": 'import "base.ai"\n', "lib/base.ai": _model("base")})

    program = check_text('import "lib/models.ai"\n', "app.ai", read_import=reader)

    assert (codes(program), list(program.models)) == ([], ["base"])
    assert reader.asked == ["lib/models.ai", "lib/base.ai"]


def test_two_unnamed_models_in_two_files_are_one_too_many(tmp_path: Path):
    unnamed = "ai model { provider: ollama, model: x }\n"

    program = _read(tmp_path, {"app.ai": 'import "./models.ai"\n' + unnamed, "models.ai": unnamed})

    assert codes(program) == ["N3105"]


def test_two_files_that_detours_would_show_as_one_keep_their_places_apart(tmp_path: Path):
    deep = tmp_path / "sub" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "link").symlink_to(deep)
    # `link/../x.ai` is sub/x.ai, although it reads like x.ai
    (tmp_path / "sub" / "x.ai").write_text("ai model a { provider: ollama, model: x y }")
    (tmp_path / "x.ai").write_text("ai model b { provider: ollama, model: x }")
    (tmp_path / "app.ai").write_text('import "./link/../x.ai"\nimport "./x.ai"')

    program = read_program(tmp_path / "app.ai", environ={})

    assert list(program.models) == ["b"]
    (found,) = program.diagnostics
    assert Path(found.source.path).resolve() == tmp_path / "sub" / "x.ai"


def test_two_files_of_one_path_are_told_apart_by_what_they_are():
    texts = {
        "./one.ai": ImportedFile("1", "same.ai", 'prompt p { model: m n template: "{{ x }}" }'),
        "./two.ai": ImportedFile("2", "same.ai", 'prompt q { template: "{{ x }}" }'),
    }

    program = check_text(
        'import "./one.ai"\nimport "./two.ai"\nai model m { provider: ollama, model: x }',
        read_import=lambda written, _importer: texts[written],
    )

    found = {(each.source.path, each.code) for each in program.diagnostics}
    assert found == {("same.ai", "N3002"), ("2", "N3503")}
    assert program.broken_prompts == ("p", "q")


def test_a_comment_ignores_findings_of_its_own_file_only(tmp_path: Path):
    trap = "ai model NAME { provider: ollama, model: NAME, deployment_config: { num_gpu: 1 } }"
    (tmp_path / "app.ai").write_text('import "./models.ai"\n' + trap.replace("NAME", "a"))
    (tmp_path / "models.ai").write_text("\n" + trap.replace("NAME", "b") + "  # n3: ignore[N3801] small card")

    found = read_program(tmp_path / "app.ai", environ={}).diagnostics

    assert [(each.code, Path(each.source.path).name) for each in found] == [("N3801", "app.ai")]


def test_a_comment_in_an_imported_file_that_ignores_nothing_is_a_warning_there(tmp_path: Path):
    (tmp_path / "app.ai").write_text('import "./models.ai"')
    (tmp_path / "models.ai").write_text(
        "ai model a { provider: ollama, model: x }  # n3: ignore[N3801] small card"
    )

    (found,) = read_program(tmp_path / "app.ai", environ={}).diagnostics

    assert (found.code, Path(found.source.path).name) == ("N3891", "models.ai")


def test_a_profile_that_the_program_imports_is_read_once(tmp_path: Path):
    (tmp_path / "app.ai").write_text('import "./app.prod.ai"\nai model a { provider: ollama, model: x }')
    (tmp_path / "app.prod.ai").write_text("ai model a { model: y, deployment_config: { num_gpu: 1 } }")

    program = read_program(tmp_path / "app.ai", environ={}, profile="prod")

    assert [found.code for found in program.diagnostics] == ["N3801"]
    assert program.models["a"].model == "y"
