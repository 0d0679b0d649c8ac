"""The configurations of docs/editors.md: each is well formed, and Neovim and Emacs run theirs where they are installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
import tomllib
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.documentation.pages import snippets
from tests.editors.npm import EXTENSION, ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long

PAGE: Final = ROOT / "docs" / "editors.md"
COMMAND: Final = ["namel3ss", "lsp"]
PAIRS: Final = {")": "(", "]": "[", "}": "{"}
NVIM: Final = shutil.which("nvim")
# Opens a file as a user would, and writes down what the server found and offers.
NVIM_STORY: Final = """\
vim.cmd("edit app.ai")
assert(vim.wait(30000, function() return #vim.diagnostic.get(0) > 0 end, 20), "no diagnostic came")
local diagnostics = vim.tbl_map(function(each) return each.message end, vim.diagnostic.get(0))
local labels
local place = { textDocument = { uri = vim.uri_from_bufnr(0) }, position = { line = 3, character = 11 } }
-- What is installed is known a moment later.
assert(vim.wait(30000, function()
  labels = {}
  for _, answer in pairs(vim.lsp.buf_request_sync(0, "textDocument/completion", place, 30000) or {}) do
    for _, item in ipairs(answer.result.items or answer.result) do table.insert(labels, item.label) end
  end
  return vim.tbl_contains(labels, "llama3:8b")
end, 50), "the installed model was not offered")
local json = (vim.json or {}).encode or vim.fn.json_encode
vim.fn.writefile({ json({ diagnostics = diagnostics, labels = labels }) }, "found.json")
vim.cmd("qa!")
"""

EMACS: Final = shutil.which("emacs")
# The same in Emacs. What waits for a command of the user has to be run by hand where there is none.
EMACS_STORY: Final = """\
(require 'package)
(package-initialize)
(unless (require 'eglot nil t) (kill-emacs 77))
(require 'json)
(load (expand-file-name "init.el") nil t)
(defun patiently (condition)
  (let ((end (+ (float-time) 30)) found)
    (while (and (not (setq found (funcall condition))) (< (float-time) end))
      (accept-process-output nil 0.05))
    found))
(find-file "app.ai")
(run-hooks 'post-command-hook)
(unless (patiently #'eglot-current-server) (error "no server"))
(unless (patiently #'flymake-diagnostics) (error "no diagnostic came"))
(goto-char (point-min))
(search-forward "model: ")
(let ((diagnostics (mapcar #'flymake-diagnostic-text (flymake-diagnostics))) labels)
  ;; What is installed is known a moment later.
  (patiently (lambda ()
    (setq labels (all-completions "" (nth 2 (eglot-completion-at-point))))
    (member "llama3:8b" labels)))
  (with-temp-file "found.json"
    (insert (json-encode `((diagnostics . ,(vconcat diagnostics))
                           (labels . ,(vconcat (mapcar #'substring-no-properties labels))))))))
(eglot-shutdown (eglot-current-server))
"""
BROKEN: Final = "ai model chat {\n    provider: ollama\n    temprature: 0.5\n    model: tiny\n}\n"


def configuration(title: str) -> str:
    (text,) = [snippet.text for snippet in snippets(PAGE) if snippet.title == title]
    return text


def unbalanced(text: str, comment: str) -> list[str]:
    """Brackets that are left open or closed too often, outside of strings and comments."""
    code = re.sub(rf'"(?:[^"\\]|\\.)*"|{comment}[^\n]*', "", text)
    opened: list[str] = []
    for letter in code:
        if letter in PAIRS.values():
            opened.append(letter)
        elif letter in PAIRS and (not opened or opened.pop() != PAIRS[letter]):
            return [letter]
    return opened


def test_helix_is_told_of_the_language_and_its_server() -> None:
    settings = tomllib.loads(configuration("languages.toml"))

    server = settings["language-server"]["namel3ss"]
    assert [server["command"], *server["args"]] == COMMAND
    (language,) = settings["language"]
    assert language["file-types"] == ["ai"]
    assert language["language-servers"] == ["namel3ss"]
    (grammar,) = settings["grammar"]
    assert grammar["name"] == language["name"]
    assert grammar["source"]["path"].endswith("/grammar/tree-sitter-namel3ss")


def test_sublime_text_is_told_of_the_language_and_its_server() -> None:
    syntax: dict[str, Any] = yaml.safe_load(configuration("namel3ss.sublime-syntax"))
    client = json.loads(configuration("LSP.sublime-settings"))["clients"]["namel3ss"]

    assert client["command"] == COMMAND
    assert client["selector"] == syntax["scope"] == "source.namel3ss"
    assert syntax["file_extensions"] == ["ai"]


def test_vs_code_is_shown_settings_that_it_has() -> None:
    manifest = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
    properties = manifest["contributes"]["configuration"]["properties"]

    assert json.loads(configuration("settings.json")).keys() <= properties.keys()
    page = PAGE.read_text(encoding="utf-8")
    readme = (EXTENSION / "README.md").read_text(encoding="utf-8")
    assert [name for name in properties if f"`{name}`" not in page or f"`{name}`" not in readme] == []


@pytest.mark.parametrize("title", ["neovim 0.11", "neovim 0.7"])
def test_neovims_configurations_are_balanced_and_start_the_server(title: str) -> None:
    text = configuration(title)

    assert unbalanced(text, "--") == []
    assert '{ "namel3ss", "lsp" }' in text


def test_neovims_configuration_for_colours_is_balanced() -> None:
    assert unbalanced(configuration("neovim tree-sitter"), "--") == []


def test_emacs_configuration_is_balanced_and_starts_the_server() -> None:
    text = configuration("init.el")

    assert unbalanced(text, ";") == []
    assert '("namel3ss" "lsp")' in text


@pytest.mark.skipif(NVIM is None, reason="Neovim is not installed")
def test_neovim_shows_a_finding_and_completes_an_installed_model(tmp_path: Path) -> None:
    assert NVIM is not None
    asked = subprocess.run([NVIM, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.match(r"NVIM v(\d+)\.(\d+)", asked)
    if version is None or (int(version[1]), int(version[2])) < (0, 7):
        pytest.skip("this Neovim is older than 0.7")
    title = "neovim 0.11" if (int(version[1]), int(version[2])) >= (0, 11) else "neovim 0.7"
    (tmp_path / "init.lua").write_text(configuration(title), encoding="utf-8")
    (tmp_path / "story.lua").write_text(NVIM_STORY, encoding="utf-8")
    options = ["--headless", "-u", "init.lua", "-i", "NONE", "-n"]

    done = edit(tmp_path, [NVIM, *options, "-c", "luafile story.lua", "-c", "cquit"])

    assert done.returncode == 0, done.stdout + done.stderr
    assert_that_it_was_found(tmp_path)


@pytest.mark.skipif(EMACS is None, reason="Emacs is not installed")
def test_emacs_shows_a_finding_and_completes_an_installed_model(tmp_path: Path) -> None:
    assert EMACS is not None
    (tmp_path / "init.el").write_text(configuration("init.el"), encoding="utf-8")
    (tmp_path / "story.el").write_text(EMACS_STORY, encoding="utf-8")

    done = edit(tmp_path, [EMACS, "--batch", "--load", "story.el"])

    if done.returncode == 77:
        pytest.skip("this Emacs has no eglot")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_that_it_was_found(tmp_path)


def edit(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs an editor over a broken file, with a recorded Ollama that has one model."""
    (folder / "app.ai").write_text(BROKEN, encoding="utf-8")
    with SandboxServer(SandboxOptions(installed=("llama3:8b",))) as server:
        return subprocess.run(
            command,
            cwd=folder,
            env={
                **os.environ,
                "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
                "NAMEL3SS_OLLAMA_BASE_URL": server.url,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )


def assert_that_it_was_found(folder: Path) -> None:
    found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    assert any("temprature" in message for message in found["diagnostics"])
    assert "llama3:8b" in found["labels"]
