from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import namel3ss

ROOT = Path(__file__).resolve().parent.parent.parent

PUBLIC_MODULES = [
    "namel3ss",
    "namel3ss.bridge",
    "namel3ss.caching",
    "namel3ss.declarations",
    "namel3ss.errors",
    "namel3ss.language",
    "namel3ss.observability.metrics",
    "namel3ss.providers.anthropic",
    "namel3ss.providers.base",
    "namel3ss.providers.local.ollama",
    "namel3ss.providers.local.openai_compatible",
    "namel3ss.providers.registry",
    "namel3ss.providers.settings",
    "namel3ss.runtime",
    "namel3ss.sandbox",
    "namel3ss.scheduling",
    "namel3ss.testing",
]
TOP_LEVEL = {
    "namel3ss",
    "grammar",
    "examples",
    "tests",
    "docs",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
}


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_listed_packages_are_the_folders_there_are() -> None:
    listed = set(project()["tool"]["setuptools"]["packages"])  # type: ignore[index]  # a TOML document

    found = {"namel3ss", "namel3ss.grammar"}
    for module in pkgutil.walk_packages(namel3ss.__path__, "namel3ss."):
        if module.ispkg:
            found.add(module.name)
    assert listed == found


def test_top_level_holds_only_what_the_architecture_names() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    entries = {line.split("/")[0] for line in tracked.splitlines()}
    assert {entry for entry in entries if not entry.startswith(".")} <= TOP_LEVEL


def test_architecture_names_only_modules_that_exist() -> None:
    gone: list[str] = []
    room: Path | None = None
    for line in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            folder = ROOT / "namel3ss" / line.strip("# ")
            room = folder if folder.is_dir() else None
        elif room is not None and line.startswith("| `"):
            named = re.findall(r"`(\w+)`", line.split("|")[1])
            gone += [f"{room.name}/{name}" for name in named if not (room / f"{name}.py").is_file()]

    assert gone == []


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_public_modules_list_names_that_exist_sorted(name: str) -> None:
    module = importlib.import_module(name)

    assert list(module.__all__) == sorted(module.__all__, key=str), name
    for public in module.__all__:
        assert getattr(module, public) is not None


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import namel3ss; print(*sorted(set(sys.modules) - before))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded <= {"namel3ss", "__future__", "typing", "collections", "functools", "re", "enum", "types", "operator",
                      "contextlib", "copyreg", "keyword", "reprlib", "warnings", "_collections", "_functools", "_operator",
                      "_sre", "_typing", "itertools", "abc"}  # fmt: skip


def test_importing_the_provider_loads_no_http_library_and_no_pydantic() -> None:
    code = "import sys; import namel3ss.providers.local.ollama as o; o.OllamaProvider; print(*sorted(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"httpx", "aiohttp", "pydantic", "rich", "click", "lark"} & set(done.stdout.split())
