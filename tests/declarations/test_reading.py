"""Whatever stands at a path, reading it gives an answer and never an exception."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import ProgramFile, read_program
from namel3ss.language import Severity
from tests.declarations.checks import codes, only

if TYPE_CHECKING:
    from pathlib import Path

_HEALTHY = "ai model m { provider: ollama, model: x }\n"


def _read(path: Path) -> ProgramFile:
    return read_program(path, environ={})


def test_a_file_is_read_with_its_path(tmp_path: Path):
    path = tmp_path / "app.ai"
    path.write_text(_HEALTHY)

    program = _read(path)

    assert program.path == str(path)
    assert list(program.models) == ["m"]


def test_a_missing_file_is_one_finding(tmp_path: Path):
    found = only(_read(tmp_path / "absent.ai"))

    assert (found.code, found.severity) == ("N3907", Severity.ERROR)
    assert "absent.ai" in found.message


def test_a_folder_is_one_finding(tmp_path: Path):
    assert codes(_read(tmp_path)) == ["N3908"]


@pytest.mark.skipif(os.name != "posix", reason="permissions as on Unix")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_one_finding(tmp_path: Path):
    path = tmp_path / "app.ai"
    path.write_text(_HEALTHY)
    path.chmod(0)

    assert codes(_read(path)) == ["N3909"]


@pytest.mark.security(40)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_hang(tmp_path: Path):
    path = tmp_path / "app.ai"
    os.mkfifo(path)

    found = only(_read(path))

    assert (found.code, "not a regular file" in found.message) == ("N3909", True)


@pytest.mark.parametrize("name", ["app\0.ai", "x" * 5000, "app.ai/inside"])
def test_a_path_that_cannot_be_is_one_finding(tmp_path: Path, name: str):
    (tmp_path / "app.ai").write_text(_HEALTHY)

    program = read_program(f"{tmp_path}/{name}", environ={})

    assert len(program.errors) == 1
    assert only(program).code in ("N3907", "N3909")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"%PDF-1.7 \x00\x01", "N3902"),
        (b"%!PS-Adobe-3.0\n", "N3902"),
        (b"\x00\x01\x02", "N3902"),
        (b"ai model m { model: \xff }", "N3901"),
        (b" " * (8 * 1024 * 1024 + 1), "N3903"),
    ],
    ids=["pdf", "postscript", "binary", "not utf-8", "too large"],
)
def test_what_is_no_text_is_one_finding(tmp_path: Path, data: bytes, code: str):
    path = tmp_path / "app.ai"
    path.write_bytes(data)

    assert codes(_read(path)) == [code]


def test_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path):
    path = tmp_path / "app.ai"
    path.write_bytes(b"\xef\xbb\xbfai model m {\r\n    provider: ollama\r\n    model: x\r\n}\r\n")

    program = _read(path)

    assert program.diagnostics == ()
    assert program.models["m"].model == "x"


def test_the_process_environment_answers_unless_another_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "app.ai"
    path.write_text("ai model m { provider: ollama, model: env.N3_TEST_MODEL }")
    monkeypatch.setenv("N3_TEST_MODEL", "from-the-process")

    assert read_program(path).models["m"].model == "from-the-process"
    assert read_program(path, environ={"N3_TEST_MODEL": "given"}).models["m"].model == "given"
