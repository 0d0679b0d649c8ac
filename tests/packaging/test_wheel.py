"""The wheel holds what running needs, the grammar included, and works where it is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Built from a copy: setuptools leaves folders behind where it builds.
    source = folder / "source"
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in listing.split("\0"):
        if name and not name.startswith("tests/") and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder / "dist"), str(source)],
        capture_output=True,
        check=True,
    )
    return next((folder / "dist").glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel alone; its dependencies are those of the environment that runs the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            f"{folder}/bin/python",
            "install",
            "--no-deps",
            "--quiet",
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    Path(paths["purelib"], "dependencies.pth").write_text(
        sysconfig.get_path("purelib") + "\n", encoding="utf-8"
    )
    return folder


def run(installed: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(installed / "bin" / command[0]), *command[1:]],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.security(48)
def test_wheel_holds_the_grammar_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    assert "namel3ss/grammar/namel3ss.lark" in names
    assert "namel3ss/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "examples/", "docs/", "grammar/"))]


@pytest.mark.security(48)
def test_wheel_holds_the_files_of_the_repository_byte_by_byte_and_none_that_runs_by_itself(
    wheel: Path,
) -> None:
    with zipfile.ZipFile(wheel) as packed:
        shipped = {name: packed.read(name) for name in packed.namelist() if ".dist-info/" not in name}

    # As it was when the wheel was made.
    source = wheel.parents[1] / "source"
    own = {name: source / re.sub("^namel3ss/grammar/", "grammar/", name) for name in shipped}
    assert [name for name in shipped if not name.startswith("namel3ss/") or name.endswith(".pth")] == []
    assert [name for name, file in own.items() if shipped[name] != file.read_bytes()] == []


def test_installed_wheel_checks_a_file(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "app.ai").write_text("ai model m { provider: ollama  model: tiny }\n", encoding="utf-8")

    where = run(installed, "python", "-c", "import namel3ss; print(namel3ss.__file__)", cwd=tmp_path)
    done = run(installed, "namel3ss", "check", "app.ai", cwd=tmp_path)

    assert where.stdout.startswith(str(installed))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_installed_wheel_knows_its_version_and_its_provider(installed: Path, tmp_path: Path) -> None:
    done = run(installed, "namel3ss", "--version", cwd=tmp_path)
    code = "from namel3ss.providers.registry import installed_providers; print(installed_providers().names())"
    providers = run(installed, "python", "-c", code, cwd=tmp_path)

    assert "0.1.0" in done.stdout
    assert "ollama" in providers.stdout
