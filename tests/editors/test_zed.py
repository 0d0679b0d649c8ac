"""The extension for Zed names what there is, and colours as the grammar does."""

from __future__ import annotations

import json
import tomllib
from typing import Any, Final

import pytest

from namel3ss import __version__
from tests.documentation.pages import snippets
from tests.editors.npm import ROOT
from tests.editors.tree_sitter_parser import GRAMMAR

EXTENSION: Final = ROOT / "grammar" / "zed"
LANGUAGE: Final = EXTENSION / "languages" / "namel3ss"


def toml(*parts: str) -> dict[str, Any]:
    return tomllib.loads(EXTENSION.joinpath(*parts).read_text(encoding="utf-8"))


def test_the_extension_takes_the_grammar_of_this_repository() -> None:
    manifest, project = toml("extension.toml"), tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    grammar = manifest["grammars"]["namel3ss"]

    assert project["project"]["urls"]["Documentation"].startswith(f"{grammar['repository']}/")
    assert (ROOT / grammar["path"] / "src" / "parser.c").is_file()
    assert ROOT / grammar["path"] == GRAMMAR


def test_the_language_and_its_server_are_those_of_the_manifest() -> None:
    manifest, language = toml("extension.toml"), toml("languages", "namel3ss", "config.toml")
    (server,) = manifest["language_servers"].values()

    assert language["grammar"] in manifest["grammars"]
    assert server["languages"] == [language["name"]]
    assert language["path_suffixes"] == ["ai"]


def test_everything_is_of_the_version_of_the_package() -> None:
    grammar = json.loads((GRAMMAR / "tree-sitter.json").read_text(encoding="utf-8"))
    crate = toml("Cargo.toml")["package"]

    assert {
        toml("extension.toml")["version"],
        crate["version"],
        grammar["metadata"]["version"],
    } == {__version__}


@pytest.mark.parametrize("name", ["highlights.scm", "injections.scm"])
def test_the_copies_of_the_grammars_queries_are_equal(name: str) -> None:
    assert (LANGUAGE / name).read_bytes() == (GRAMMAR / "queries" / name).read_bytes()


def test_the_page_shows_settings_of_the_server_that_the_extension_starts() -> None:
    (text,) = [
        snippet.text
        for snippet in snippets(ROOT / "docs" / "editors.md")
        if snippet.title == "Zed settings.json"
    ]
    (server,) = toml("extension.toml")["language_servers"]

    settings = json.loads(text)["lsp"]
    assert settings.keys() == {server}
    assert settings[server]["binary"]["arguments"] == ["lsp"]
    assert settings[server]["initialization_options"].keys() <= {"allowedHosts", "onlineChecks"}
