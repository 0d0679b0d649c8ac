"""What the extension says of itself agrees with its files and with the server."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from namel3ss import __version__
from namel3ss.declarations import check_text
from namel3ss.language_server.features import actions
from namel3ss.language_server.session import Options
from tests.editors.npm import EXTENSION
from tests.editors.snippets import snippet_programs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST: Final[dict[str, Any]] = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
CONTRIBUTES: Final[dict[str, Any]] = MANIFEST["contributes"]
SETTINGS: Final[dict[str, dict[str, Any]]] = CONTRIBUTES["configuration"]["properties"]
OWN_FILES: Final = [EXTENSION / "extension.js", *sorted((EXTENSION / "lib").glob("*.js"))]
CODE: Final = "\n".join(path.read_text(encoding="utf-8") for path in OWN_FILES)


def referenced_files(value: object) -> Iterator[str]:
    """Every path to a file of the extension that the manifest holds."""
    if isinstance(value, dict):
        for each in value.values():
            yield from referenced_files(each)
    elif isinstance(value, list):
        for each in value:
            yield from referenced_files(each)
    elif isinstance(value, str) and re.fullmatch(r"(\./|media/)\S+", value):
        yield value


def test_every_file_that_the_manifest_names_is_there() -> None:
    named = set(referenced_files(MANIFEST))

    assert len(named) >= 5
    assert [name for name in named if not (EXTENSION / name).is_file()] == []


def test_the_versions_are_those_of_the_package() -> None:
    for folder in (EXTENSION, EXTENSION / "packaging"):
        for name in ("package.json", "package-lock.json"):
            assert json.loads((folder / name).read_text(encoding="utf-8"))["version"] == __version__, (
                folder / name
            )


@pytest.mark.parametrize("folder", [EXTENSION, EXTENSION / "packaging"], ids=lambda folder: folder.name)
def test_a_lock_names_exact_versions_with_checksums_and_no_address(folder: Path) -> None:
    text = (folder / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]

    assert "resolved" not in text
    assert "registry" not in text
    assert [name for name, entry in packages.items() if name and not entry.get("integrity")] == []
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    for kind in ("dependencies", "devDependencies"):
        assert packages[""].get(kind, {}) == wanted.get(kind, {})
        assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.get(kind, {}).values())


def test_no_package_runs_a_script_when_it_is_installed() -> None:
    for folder in (EXTENSION, EXTENSION / "packaging"):
        assert "ignore-scripts=true" in (folder / ".npmrc").read_text(encoding="utf-8").splitlines()


def test_commands_of_the_manifest_are_those_that_the_extension_registers() -> None:
    declared = {each["command"] for each in CONTRIBUTES["commands"]}
    registered = set(re.findall(r'registerCommand\("([^"]+)"', CODE))

    assert declared == registered
    assert not declared & set(actions.COMMANDS), "the client registers the server's commands itself"


def test_menus_and_welcomes_name_commands_that_exist() -> None:
    declared = {each["command"] for each in CONTRIBUTES["commands"]}
    in_menus = {each["command"] for menu in CONTRIBUTES["menus"].values() for each in menu}
    in_words = set(re.findall(r"\(command:([\w.]+)\)", json.dumps(CONTRIBUTES["viewsWelcome"])))

    assert in_menus | in_words <= declared


def test_the_extension_asks_for_commands_that_the_server_has() -> None:
    asked = set(re.findall(r'\.(?:ask|change)\("(namel3ss\.[\w.]+)"', CODE))

    assert asked
    assert asked <= set(actions.COMMANDS)


def test_every_command_of_the_server_that_does_something_needs_a_trusted_workspace() -> None:
    block = re.search(r"const CHANGING = new Set\(\[(.*?)\]\)", CODE, re.DOTALL)

    assert block is not None
    assert set(re.findall(r'"([^"]+)"', block[1])) == set(actions.COMMANDS) - {actions.STATUS}


def test_settings_of_the_manifest_are_those_that_the_extension_reads() -> None:
    read = set(re.findall(r'(?:ettings|onfiguration\("namel3ss"\))\.get\("([\w.]+)"\)', CODE))

    assert {f"namel3ss.{name}" for name in read} | {"namel3ss.trace.server"} == set(SETTINGS)


def test_settings_that_choose_a_program_or_an_address_are_the_machines() -> None:
    for name, setting in SETTINGS.items():
        assert setting["scope"] == ("window" if name == "namel3ss.trace.server" else "machine"), name
        assert setting.get("description") or setting.get("markdownDescription"), name


def test_options_that_the_server_reads_are_sent_with_its_own_defaults() -> None:
    sent = re.search(r"initializationOptions: \{(.*?)\n\s*\}", CODE, re.DOTALL)

    assert sent is not None
    names = re.findall(r"(\w+): settings", sent[1])
    defaults = Options.read({name: SETTINGS[f"namel3ss.{name}"]["default"] for name in names})
    assert sorted(names) == ["allowedHosts", "onlineChecks"]
    assert defaults == Options()
    assert Options.read({"allowedHosts": ["GPU"], "onlineChecks": False}) == Options(
        frozenset({"gpu"}), online=False
    )


def test_a_workspace_that_is_not_trusted_gets_limited_support() -> None:
    trust = MANIFEST["capabilities"]["untrustedWorkspaces"]

    assert trust["supported"] == "limited"
    assert {name for name, setting in SETTINGS.items() if setting["scope"] == "machine"} >= set(
        trust["restrictedConfigurations"]
    )
    assert "namel3ss.server.command" in trust["restrictedConfigurations"]


def test_the_extension_reaches_for_nothing_but_vs_code_its_client_and_node() -> None:
    required = set(re.findall(r'require\("([^."][^"]*)"\)', CODE))

    assert required == {"vscode", "vscode-languageclient/node", "node:crypto", "node:path"}
    assert set(MANIFEST["dependencies"]) == {"vscode-languageclient"}


@pytest.mark.parametrize(
    ("name", "text"), list(snippet_programs()), ids=[name for name, _ in snippet_programs()]
)
def test_a_snippet_leaves_behind_a_program_without_errors(name: str, text: str) -> None:
    checked = check_text(text, f"{name}.ai")

    assert not checked.errors, checked.diagnostics
    assert "${" not in text
