from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command_line import call, on_terminal

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "ai model good { provider: ollama  model: tiny }\n"
BAD = "ai model bad { provider: ollama  model: tiny\n    config: { temperature: 9 } }\n"
# Valid, but every wise reader doubts it.
DOUBTFUL = "ai model gpu { provider: ollama  model: tiny  deployment_config: { num_gpu: 1 } }\n"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.ai").write_text(text, encoding="utf-8")


def test_healthy_file_says_so_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, good=GOOD)

    done = call("check", tmp_path / "good.ai")

    assert (done.code, done.stdout, done.stderr) == (0, "1 file checked: no mistakes.\n", "")


def test_finding_is_shown_with_its_place_and_the_exit_code_says_so(tmp_path: Path) -> None:
    write(tmp_path, bad=BAD)

    done = call("check", tmp_path / "bad.ai")

    assert done.code == 1
    assert f"{tmp_path}/bad.ai:2:" in done.stdout
    assert done.stdout.endswith("1 file checked: 1 error.\n")
    assert done.stderr == ""


def test_warnings_alone_are_fine_unless_strict(tmp_path: Path) -> None:
    write(tmp_path, doubtful=DOUBTFUL)

    relaxed = call("check", tmp_path / "doubtful.ai")
    strict = call("check", "--strict", tmp_path / "doubtful.ai")

    assert (relaxed.code, relaxed.stdout.splitlines()[-1]) == (0, "1 file checked: 1 warning.")
    assert (strict.code, strict.stdout.splitlines()[-1]) == (1, "1 file checked: 1 error.")
    assert relaxed.stdout.startswith("warning[")
    assert strict.stdout.startswith("error[")


def test_several_files_and_folders_are_checked_each_once(tmp_path: Path) -> None:
    write(tmp_path, good=GOOD, bad=BAD)
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", other=DOUBTFUL)
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / ".hidden", bad=BAD)
    (tmp_path / "notes.txt").write_text("ai model", encoding="utf-8")

    done = call("check", tmp_path / "good.ai", tmp_path)

    assert done.code == 1
    assert done.stdout.splitlines()[-1] == "3 files checked: 1 error, 1 warning."


def test_folder_without_ai_files_is_a_usage_error(tmp_path: Path) -> None:
    done = call("check", tmp_path)

    assert (done.code, done.stdout) == (2, "")
    assert "no .ai file" in done.stderr


def test_concise_format_is_a_line_for_each_finding(tmp_path: Path) -> None:
    write(tmp_path, bad=BAD, doubtful=DOUBTFUL)

    lines = call("check", "--format", "concise", tmp_path).stdout.splitlines()

    assert len(lines) == 3
    assert lines[0].startswith(f"{tmp_path}/bad.ai:2:28: error[N3")
    assert lines[1].startswith(f"{tmp_path}/doubtful.ai:1:")


def test_json_format_is_one_object_with_everything(tmp_path: Path) -> None:
    write(tmp_path, bad=BAD, good=GOOD)

    done = call("check", "--format", "json", tmp_path)

    document: dict[str, Any] = json.loads(done.stdout)
    (finding,) = document["diagnostics"]
    assert done.code == 1
    assert document["files"] == [f"{tmp_path}/bad.ai", f"{tmp_path}/good.ai"]
    assert document["summary"] == {"errors": 1, "warnings": 0}
    assert (finding["severity"], finding["line"], finding["column"]) == ("error", 2, 28)
    assert BAD[finding["start"] : finding["end"]] == "9"


def test_json_of_a_healthy_file_is_an_object_too(tmp_path: Path) -> None:
    write(tmp_path, good=GOOD)

    document = json.loads(call("check", "--format", "json", tmp_path / "good.ai").stdout)

    assert (document["diagnostics"], document["summary"]) == ([], {"errors": 0, "warnings": 0})


def test_dash_reads_standard_input() -> None:
    done = call("check", "-", stdin=BAD)

    assert done.code == 1
    assert "<stdin>:2:28" in done.stdout


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.7\n\x00\x01", "N39"),
        (b"%!PS-Adobe-3.0\n", "N39"),
        (b"ai model m {\n  model: \xff\xfe\n}", "UTF-8"),
        (b"\x00" * 100, "N39"),
        (b"a" * (10 * 1024 * 1024), "8"),
        (b"ai model m " + b"{ a: " * 5000, "N39"),
    ],
    ids=["pdf", "postscript", "not utf-8", "binary", "10 MB", "deep"],
)
def test_what_is_no_program_is_a_diagnostic(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "odd.ai").write_bytes(data)

    done = call("check", tmp_path / "odd.ai")

    assert done.code == 1
    assert "odd.ai:" in done.stdout
    assert words in done.stdout
    assert len(done.stdout) < 5000


@pytest.mark.parametrize("name", ["missing.ai", "folder.ai/missing.ai", "\x00.ai", "a" * 300 + ".ai"])
def test_file_that_cannot_be_read_is_a_diagnostic(name: str, tmp_path: Path) -> None:
    done = call("check", tmp_path / name)

    assert done.code == 1
    assert "error[N39" in done.stdout


def test_pipe_that_nobody_writes_to_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ai")

    assert call("check", tmp_path / "pipe.ai").code == 1


def test_link_to_nowhere_inside_a_folder_is_a_finding_of_that_file(tmp_path: Path) -> None:
    write(tmp_path, good=GOOD)
    (tmp_path / "gone.ai").symlink_to(tmp_path / "nowhere")

    done = call("check", "--format", "concise", tmp_path)

    assert done.code == 1
    assert "gone.ai:1:1: error[N3907]" in done.stdout


def test_lines_fit_the_terminal_and_colour_shows_on_it(tmp_path: Path) -> None:
    write(tmp_path, bad=BAD)
    with on_terminal("check", "bad.ai", cwd=tmp_path, environ={"NO_COLOR": ""}, columns=40) as terminal:
        assert terminal.wait() == 1

    assert "\x1b[" in terminal.screen
    assert "bad.ai:2:28" in terminal.screen


def test_escapes_in_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "evil.ai").write_text("ai model m {\n  provider: \x1b]0;owned\x07 x\n}\n", encoding="utf-8")
    with on_terminal("check", "evil.ai", cwd=tmp_path) as terminal:
        assert terminal.wait() == 1

    assert "\x1b]0;" not in terminal.screen
    assert "\x07" not in terminal.screen
