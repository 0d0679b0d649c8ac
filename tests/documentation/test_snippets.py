"""Every snippet of the README and the docs is run as it stands there."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import pytest

from namel3ss.declarations import check_text
from namel3ss.language import Severity
from namel3ss.observability import metrics
from namel3ss.sandbox import SandboxOptions, SandboxServer
from tests.documentation.pages import RUN, SHOWN_ONLY, Snippet, commands, pages, snippets
from tests.support.command_line import call_together

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLLAMA_ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1):11434")
INSTALLED = (
    "claude-sonnet-5-5",
    "llama3:8b",
    "mistral:7b",
    "old-model:tag",
    "nomic-embed-text:latest",
    "llava:7b",
)


def runnable(page: Path, language: str) -> list[Snippet]:
    return [snippet for snippet in snippets(page) if snippet.language == language and not snippet.not_run]


LONG = {("tutorial.md", "console"), ("command-line.md", "console")}


def with_blocks(language: str) -> list[object]:
    """The pages that have something of that language to run, as parameters of a test."""
    return [
        pytest.param(page, id=page.name, marks=[pytest.mark.long] if (page.name, language) in LONG else [])
        for page in pages()
        if runnable(page, language)
    ]


EVERY_PAGE = [pytest.param(page, id=page.name) for page in pages()]


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxOptions(installed=INSTALLED)) as running:
        yield running


@pytest.fixture
def _listeners_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may register a listener for good; the next test must not hear from it."""
    monkeypatch.setattr(metrics, "_listeners", ())


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_block_names_a_language_the_tests_know(page: Path) -> None:
    unknown = [str(snippet) for snippet in snippets(page) if snippet.language not in RUN | SHOWN_ONLY]

    assert unknown == []


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_ai_blocks_check_without_an_error(page: Path) -> None:
    for snippet in runnable(page, "ai"):
        program = check_text(snippet.text, str(snippet), environ={})

        errors = [finding for finding in program.diagnostics if finding.severity is Severity.ERROR]
        assert errors == [], str(snippet)


@pytest.mark.usefixtures("_listeners_put_back")
@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_blocks_run_on_the_sandbox(
    page: Path, server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAMEL3SS_OLLAMA_BASE_URL", server.url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    monkeypatch.chdir(tmp_path)
    _write_files(page, server, tmp_path)
    names: dict[str, object] = {
        "__name__": "__main__",
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    }

    asyncio.run(_run_blocks(runnable(page, "python"), server.url, names))


async def _run_blocks(blocks: list[Snippet], url: str, names: dict[str, object]) -> None:
    try:
        for snippet in blocks:
            code = compile(
                OLLAMA_ADDRESS.sub(url, snippet.text),
                str(snippet),
                "exec",
                flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                dont_inherit=True,
            )
            result = eval(code, names)
            if inspect.isawaitable(result):
                await result
    finally:
        # Pages show one thing at a time and may leave closing to the reader's own program.
        for value in list(names.values()):
            aclose = getattr(value, "aclose", None)
            if aclose is not None and not inspect.isclass(value):
                await aclose()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", with_blocks("console"))
def test_commands_do_what_the_page_says(
    page: Path, server: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NAMEL3SS_OLLAMA_BASE_URL", server.url)
    monkeypatch.setenv("NO_COLOR", "1")
    for snippet in snippets(page):
        # In the order of the page: a file may be shown again, changed.
        _write_file(snippet, server, tmp_path)
        if snippet.language == "console" and not snippet.not_run:
            for command in commands(snippet):
                code, printed = _run(OLLAMA_ADDRESS.sub(server.url, command.line))
                assert code == command.code, f"{snippet}: {command.line}\n{printed}"
                if command.output:
                    assert command.is_followed_by(printed), f"{snippet}: {command.line}\n{printed}"


def _run(line: str) -> tuple[int, str]:
    """The exit code of a command, and what it prints to stdout and stderr together."""
    if re.fullmatch(r"namel3ss [^|<>;&$*]+", line):  # without a shell, and without a new process
        return call_together(*shlex.split(line)[1:])
    done = subprocess.run(
        line,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def _write_files(page: Path, server: SandboxServer, folder: Path) -> None:
    for snippet in snippets(page):
        _write_file(snippet, server, folder)


def _write_file(snippet: Snippet, server: SandboxServer, folder: Path) -> None:
    if snippet.title:
        target = folder / snippet.title
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(OLLAMA_ADDRESS.sub(server.url, snippet.text), encoding="utf-8")
