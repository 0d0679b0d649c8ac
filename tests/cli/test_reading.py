"""`--profile` and `--root`, as every command that reads a file takes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.command_line import call

if TYPE_CHECKING:
    from pathlib import Path

BASE = "ai model chat { provider: ollama  model: tiny }\n"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name.replace('__', '.')}.ai").write_text(text, encoding="utf-8")


def test_check_with_a_profile_shows_its_mistakes_in_its_file(tmp_path: Path) -> None:
    write(tmp_path, app=BASE, app__prod="ai model chat { config: { temperature: 9 } }")

    plain = call("check", tmp_path / "app.ai")
    done = call("check", tmp_path / "app.ai", "--profile", "prod")

    assert plain.code == 0
    assert done.code == 1
    assert f"{tmp_path}/app.prod.ai:1:" in done.stdout


def test_profile_in_a_checked_folder_is_laid_over_its_file(tmp_path: Path) -> None:
    write(tmp_path, app=BASE, app__prod="ai model chat { config: { temperature: 0.5 } }")

    done = call("check", tmp_path)

    assert (done.code, done.stdout) == (0, "2 files checked: no mistakes.\n")


def test_finding_of_an_imported_file_is_counted_once(tmp_path: Path) -> None:
    write(tmp_path, app='import "./models.ai"\n' + BASE, models="ai model m { provider: ollama  model: }")

    done = call("check", tmp_path, "--format", "json")

    assert len(json.loads(done.stdout)["diagnostics"]) == 1


def test_profile_that_does_not_exist_ends_a_command(tmp_path: Path) -> None:
    write(tmp_path, app=BASE)

    done = call("run", tmp_path / "app.ai", "hello", "--sandbox", "--profile", "prod")

    assert done.code == 1
    assert "There is no profile `prod`" in done.stderr


@pytest.mark.parametrize("command", [["run", "hello"], ["doctor"]])
def test_profile_decides_what_runs(tmp_path: Path, command: list[str]) -> None:
    write(tmp_path, app=BASE, app__prod="ai model chat { model: production }")

    done = call(command[0], tmp_path / "app.ai", *command[1:], "--sandbox", "--profile", "prod", "--json")

    assert "production" in done.stdout


def test_root_widens_what_may_be_imported(tmp_path: Path) -> None:
    folder = tmp_path / "apps"
    folder.mkdir()
    write(tmp_path, shared=BASE)
    write(folder, app='import "../shared.ai"\n')

    assert call("check", folder / "app.ai").code == 1
    assert call("check", folder / "app.ai", "--root", tmp_path).code == 0
