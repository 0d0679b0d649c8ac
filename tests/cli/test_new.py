from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.command_line import call

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["helper", "helper.ai"])
def test_new_file_checks_and_runs_on_the_sandbox(tmp_path: Path, name: str) -> None:
    done = call("new", tmp_path / name)

    path = tmp_path / "helper.ai"
    assert (done.code, done.stderr) == (0, "")
    assert f"Wrote {path}" in done.stdout
    assert call("check", path, "--strict").stdout == "1 file checked: no mistakes.\n"
    assert call("fmt", path, "--check").code == 0
    assert call("run", path, "Hi", "--sandbox").code == 0


def test_the_command_to_try_can_be_copied_into_a_shell(tmp_path: Path) -> None:
    folder = tmp_path / "my files"
    folder.mkdir()

    done = call("new", folder / "helper")

    command = f"namel3ss run '{folder}/helper.ai' "
    assert command in done.stdout
    assert command in (folder / "helper.ai").read_text(encoding="utf-8")


def test_new_file_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "helper.ai"
    path.write_text("mine")

    done = call("new", path)

    assert done.code == 2
    assert "nothing is overwritten" in done.stderr
    assert path.read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="symbolic links as on Unix")
def test_new_file_does_not_follow_a_link(tmp_path: Path) -> None:
    (tmp_path / "helper.ai").symlink_to(tmp_path / "elsewhere")

    assert call("new", tmp_path / "helper").code == 2
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["", "-x y", "a b", "..", "a{b}", ".ai"])
def test_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    assert call("new", f"{tmp_path}/{name}").code == 2
    assert list(tmp_path.iterdir()) == []


def test_new_file_in_a_folder_that_is_missing_says_so(tmp_path: Path) -> None:
    done = call("new", tmp_path / "absent" / "helper")

    assert done.code == 74
    assert "absent" in done.stderr
