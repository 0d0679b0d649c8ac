"""The command `namel3ss`: finds the sub-command, and turns whatever it raises into one message and an exit code."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem, shell_complete

from namel3ss._version import __version__
from namel3ss.cli.exit_codes import ExitCode
from namel3ss.cli.failures import report, show_traceback
from namel3ss.cli.interruption import Terminated, termination_raises
from namel3ss.cli.output import OutputClosedError
from namel3ss.cli.session import Group, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run_command_line"]

_COMPLETION_VARIABLE: Final = "_NAMEL3SS_COMPLETE"

# Kept here so that the list of commands is shown without importing any of them; a test compares.
_COMMANDS: Final[dict[str, str]] = {
    "run": "Answer one prompt with a model of a .ai file.",
    "chat": "Talk to a model of a .ai file.",
    "check": "Check .ai files and show every mistake.",
    "new": "Write a small .ai file to start from.",
    "schema": "Print the language's values as JSON Schema.",
    "resolve": "Show every value in force and where it comes from.",
    "fmt": "Lay .ai files out in the one common form.",
    "explain": "Explain a code that check reports.",
    "models": "List, show, pull and remove models.",
    "server": "Start, stop and look at the Ollama server.",
    "doctor": "Find out whether everything is in place.",
    "lsp": "Serve an editor: the language server.",
    "serve": "Serve the models of a file to many users: the gateway.",
    "gateway": "Manage the users, keys and usage of a gateway.",
    "top": "Watch the queue of a gateway.",
    "sandbox": "Run the offline server that speaks Ollama's API.",
}


class _LazyGroup(Group):
    """The commands of `_COMMANDS`, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"namel3ss.cli.commands.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in _COMMANDS:
            from namel3ss.language.suggest import did_you_mean

            hint = did_you_mean(name, _COMMANDS) or f"there are {', '.join(_COMMANDS)}."
            if name in ("help", "version"):
                hint = f"did you mean `--{name}`?"
            raise click.UsageError(f"There is no command {name!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [
            CompletionItem(name, help=text) for name, text in _COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


@click.command(
    cls=_LazyGroup,
    name="namel3ss",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes and shell completion: docs/command-line.md",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def application() -> None:
    """Declare local models in a small .ai file; check it, run it, talk to it."""


def run_command_line(arguments: Sequence[str], session: Session) -> int:
    """Run one command; every outcome becomes an exit code here, and none a traceback unless ``--debug`` asks."""
    try:
        with termination_raises():
            return _invoke(arguments, session)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except OutputClosedError:
        return ExitCode.OK
    except BrokenPipeError:
        # From click, which writes help texts itself. What breaks elsewhere is an error of its room.
        session.output.abandon_stdout()
        return ExitCode.OK
    except KeyboardInterrupt as ending:
        return _ended(ending, session, ExitCode.INTERRUPTED)
    except Terminated as ending:
        return _ended(ending, session, ExitCode.TERMINATED)
    except Exception as error:  # noqa: BLE001  # the outermost boundary: reported, and the command ends
        return report(error, session)


def _invoke(arguments: Sequence[str], session: Session) -> int:
    # Not click's own `main`, which prints, exits and hides a closed pipe in ways of its own.
    instruction = session.environ.get(_COMPLETION_VARIABLE)
    if instruction:
        return shell_complete(application, {}, "namel3ss", _COMPLETION_VARIABLE, instruction)
    with application.make_context("namel3ss", list(arguments), obj=session) as context:
        code = application.invoke(context)
    return int(code) if isinstance(code, int) else ExitCode.OK


def _ended(ending: BaseException, session: Session, code: ExitCode) -> int:
    if session.debug:
        show_traceback(ending, session.output)
    elif session.output.stderr_is_terminal:
        session.output.aside("\n")
    return code
