"""The command as a whole: its list of commands, its help, what it does before any command runs."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from namel3ss._version import __version__
from namel3ss.cli.application import _COMMANDS, application
from tests.support.command_line import COMMAND, call, environment, on_terminal, run_command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", _COMMANDS)
def test_listed_help_is_the_command_s_own(name: str) -> None:
    command = importlib.import_module(f"namel3ss.cli.commands.{name}").command

    assert isinstance(command, click.Command)
    assert command.short_help == _COMMANDS[name]


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_explains_itself_and_every_option_says_what_it_does(name: str) -> None:
    context = application.make_context("namel3ss", [], resilient_parsing=True)
    command = application.get_command(context, name)
    assert command is not None

    commands = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    for each in commands:
        assert each.help
        undescribed = [
            parameter.name
            for parameter in each.params
            if isinstance(parameter, click.Option) and not parameter.help
        ]
        assert undescribed == []
        assert "--debug" in each.get_help(click.Context(each, info_name=name, parent=context))


@pytest.mark.parametrize("name", _COMMANDS)
def test_no_list_of_commands_breaks_a_sentence_off(name: str) -> None:
    context = application.make_context("namel3ss", [], resilient_parsing=True)
    waiting = [application.get_command(context, name)]
    while waiting:
        command = waiting.pop()
        if isinstance(command, click.Group):
            told = command.get_help(click.Context(command, info_name=name, parent=context))
            assert "..." not in told.partition("Commands:")[2]
            waiting += command.commands.values()


def test_version_is_shown_without_loading_the_rest() -> None:
    code = (
        "import sys; sys.argv = ['namel3ss', '--version']; from namel3ss.cli import main; main();"
        "print(*sys.modules, file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == f"namel3ss {__version__}\n"
    assert not {"click", "rich", "asyncio", "httpx", "lark", "pydantic"} & set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["run", "--help"], ["models", "pull", "-h"]])
def test_help_goes_to_stdout(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    done = call(*arguments)

    written = capsys.readouterr()  # click itself writes it
    assert (done.code, done.stderr, written.err) == (0, "", "")
    assert "Usage: namel3ss" in written.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chec"], "did you mean `check`?"),  # codespell:ignore chec
        (["xyzzy"], "there are run, chat, check"),
        (["help"], "did you mean `--help`?"),
        (["--hlp"], "--help"),
        (["check"], "Missing argument 'FILE...'"),
        (["run"], "Missing argument 'FILE'"),
        (["check", "--format", "xml", "a.ai"], "'terminal', 'concise', 'json'"),
        (["models", "lisst"], "lisst"),
        (["sandbox", "--port", "99999"], "99999"),
    ],
)
def test_wrong_call_is_explained_on_stderr(arguments: list[str], message: str) -> None:
    done = call(*arguments)

    assert (done.code, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_no_command_shows_the_help_as_an_error() -> None:
    done = call()

    assert (done.code, done.stdout) == (2, "")
    assert "Commands:" in done.stderr


def test_help_into_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*COMMAND, "--help"], stdout=writer, stderr=subprocess.PIPE, env=environment(), check=False
        )
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (0, b"")


def test_closed_standard_streams_do_not_matter() -> None:
    script = '"$@" <&- >&- 2>&-'
    for arguments in (["--version"], ["--help"], ["check", "missing.ai"]):
        done = subprocess.run(
            ["bash", "-c", script, "bash", *COMMAND, *arguments], env=environment(), check=False
        )
        assert done.returncode == (1 if "check" in arguments else 0)


def test_command_works_as_a_module_and_as_a_script() -> None:
    done = run_command("--version")

    assert done.stdout == f"namel3ss {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(environ={"_NAMEL3SS_COMPLETE": f"{shell}_source"})

    assert done.code == 0
    assert "_NAMEL3SS_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("namel3ss ch", ["plain,chat", "plain,check"]),
        ("namel3ss run --sa", ["plain,--sandbox"]),
        ("namel3ss run ap", ["file,ap"]),
        ("namel3ss models p", ["plain,ps", "plain,pull"]),
    ],
)
def test_completion_offers_commands_options_and_files(
    words: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))

    call(environ={"_NAMEL3SS_COMPLETE": "bash_complete"})

    assert sorted(capsys.readouterr().out.split()) == sorted(offered)


def test_unforeseen_error_is_one_line_and_debug_shows_where(tmp_path: Path) -> None:
    program = (
        "import sys; from namel3ss.cli import application, main\n"
        "def break_it(*_): raise ZeroDivisionError('a bug')\n"
        "application.application.callback = break_it\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    quiet = subprocess.run(
        [sys.executable, "-c", program, "check", "x"], capture_output=True, text=True, check=False
    )
    loud = subprocess.run(
        [sys.executable, "-c", program, "--debug", "check", "x"], capture_output=True, text=True, check=False
    )

    assert quiet.returncode == loud.returncode == 70
    assert quiet.stderr.count("\n") == 1
    assert "this is a bug in namel3ss: ZeroDivisionError: a bug" in quiet.stderr
    assert "--debug" in quiet.stderr
    assert "Traceback" in loud.stderr
    assert "break_it" in loud.stderr


def test_error_is_red_on_a_terminal_and_plain_with_no_color() -> None:
    with on_terminal("check", environ={"NO_COLOR": ""}) as colored:
        assert colored.wait() == 2
    with on_terminal("check") as plain:
        assert plain.wait() == 2

    assert "\x1b[1;31merror:\x1b[0m" in colored.screen
    assert "\x1b" not in plain.screen
