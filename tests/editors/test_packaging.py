"""The one command of grammar/vscode/README.md makes a .vsix that holds all it needs, and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from namel3ss import __version__
from tests.editors.npm import EXTENSION, ROOT, npm

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long

COMMAND = "npm run package"


@pytest.fixture(scope="module")
def vsix(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Made in a copy of what is in the repository, as on a fresh clone."""
    folder = tmp_path_factory.mktemp("packaging")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", str(EXTENSION)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        copy = folder / (ROOT / name).relative_to(EXTENSION)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy)
    npm(*COMMAND.split()[1:], folder=folder)
    return zipfile.ZipFile(_only(folder, "*.vsix"))


def _only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


# The first run of a checkout fetches about 170 packages.
@pytest.mark.timeout(400)
def test_the_documented_command_packages_the_extension_with_its_locked_dependencies(
    vsix: zipfile.ZipFile,
) -> None:
    for page in (EXTENSION / "README.md", ROOT / "docs" / "editors.md"):
        assert COMMAND in page.read_text(encoding="utf-8"), page

    names = {name.removeprefix("extension/") for name in vsix.namelist() if name.startswith("extension/")}
    own = {name for name in names if not name.startswith("node_modules/")}
    manifest = json.loads(vsix.read("extension/package.json"))
    assert manifest["version"] == __version__
    assert {"package.json", "extension.js", "language-configuration.json", "snippets.json"} <= own
    assert {f"lib/{path.name}" for path in (EXTENSION / "lib").iterdir()} <= own
    assert {f"media/{path.name}" for path in (EXTENSION / "media").iterdir()} <= own
    assert "syntaxes/namel3ss.tmLanguage.json" in own
    assert {name for name in own if name.startswith(("packaging", ".", "package-lock"))} == set()

    lock = json.loads((EXTENSION / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    needed = {path for path, entry in lock.items() if path and not entry.get("dev")}
    packed = {
        name.removesuffix("/package.json")
        for name in names
        if name in {f"{each}/package.json" for each in needed}
    }
    assert packed == needed
    for path in needed:
        assert json.loads(vsix.read(f"extension/{path}/package.json"))["version"] == lock[path]["version"]
    assert not [
        name for name in names if name.startswith(("node_modules/vscode-textmate", "node_modules/@vscode"))
    ]
