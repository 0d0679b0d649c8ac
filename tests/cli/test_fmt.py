from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from tests.support.command_line import call

if TYPE_CHECKING:
    from pathlib import Path

UGLY = "llm  a {provider:ollama,model:tiny}\n"
NICE = "llm a { provider: ollama, model: tiny }\n"


def test_file_is_rewritten_in_place_with_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "a.ai").write_text(UGLY)
    (tmp_path / "a.ai").chmod(0o640)

    done = call("fmt", tmp_path)

    assert (done.code, done.stdout, done.stderr) == (
        0,
        f"changed {tmp_path}/a.ai\n",
        "1 of 1 file changed.\n",
    )
    assert (tmp_path / "a.ai").read_text() == NICE
    assert stat.S_IMODE((tmp_path / "a.ai").stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.ai"]


def test_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.ai").write_text(UGLY)
    (tmp_path / "link.ai").symlink_to("real.ai")

    call("fmt", tmp_path / "link.ai")

    assert (tmp_path / "link.ai").is_symlink()
    assert (tmp_path / "real.ai").read_text() == NICE


def test_byte_order_mark_and_windows_line_ends_stay(tmp_path: Path) -> None:
    (tmp_path / "a.ai").write_bytes(b"\xef\xbb\xbfllm  a {\r\nmodel:tiny\r\n}")

    call("fmt", tmp_path / "a.ai")

    assert (tmp_path / "a.ai").read_bytes() == b"\xef\xbb\xbfllm a {\r\n    model: tiny\r\n}\r\n"


def test_check_changes_nothing_and_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / "a.ai").write_text(UGLY)
    (tmp_path / "b.ai").write_text(NICE)

    done = call("fmt", "--check", tmp_path)
    fine = call("fmt", "--check", tmp_path / "b.ai")

    assert (done.code, done.stdout) == (1, f"would change {tmp_path}/a.ai\n")
    assert done.stderr == "1 of 2 files would be changed.\n"
    assert (fine.code, fine.stdout) == (0, "")
    assert (tmp_path / "a.ai").read_text() == UGLY


def test_diff_shows_the_change_and_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "a.ai"
    path.write_text(UGLY)

    done = call("fmt", "--diff", path)

    assert done.code == 1
    assert done.stdout == f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-{UGLY}+{NICE}"
    assert path.read_text() == UGLY


def test_diff_of_a_last_line_without_an_end_says_so() -> None:
    done = call("fmt", "--diff", "-", stdin=NICE.rstrip("\n"))

    assert done.stdout.endswith(f"-{NICE}\\ No newline at end of file\n+{NICE}")


def test_standard_input_goes_to_standard_output() -> None:
    done = call("fmt", "-", stdin=UGLY)

    assert (done.code, done.stdout, done.stderr) == (0, NICE, "")


def test_broken_declaration_is_left_and_named_and_the_rest_formatted(tmp_path: Path) -> None:
    (tmp_path / "a.ai").write_text(UGLY + "llm b {\n  model tiny\n}\n")

    done = call("fmt", tmp_path / "a.ai")

    assert done.code == 1
    assert f"{tmp_path}/a.ai:3:" in done.stderr
    assert "left as they are" in done.stderr
    assert (tmp_path / "a.ai").read_text() == NICE + "llm b {\n  model tiny\n}\n"


def test_file_that_is_no_text_is_named_and_the_others_formatted(tmp_path: Path) -> None:
    (tmp_path / "a.ai").write_bytes(b"%PDF-1.7")
    (tmp_path / "b.ai").write_text(UGLY)

    done = call("fmt", tmp_path)

    assert done.code == 1
    assert "N3902" in done.stderr
    assert (tmp_path / "b.ai").read_text() == NICE


def test_a_file_that_cannot_be_read_is_the_error_that_it_is_for_other_commands(tmp_path: Path) -> None:
    missing = tmp_path / "none.ai"
    loop = tmp_path / "loop.ai"
    loop.symlink_to(loop)

    done = call("fmt", missing)
    assert (done.code, call("run", missing, "Hi").code) == (1, 1)
    assert f"There is no file `{missing}`." in done.stderr
    done = call("fmt", loop)
    assert done.code == 1
    assert "cannot be read" in done.stderr
