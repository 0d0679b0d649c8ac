"""``namel3ss server``: the Ollama server of this machine, as a process."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from namel3ss.cli.ai_files import AI_FILE
from namel3ss.cli.event_loop import EventLoop
from namel3ss.cli.exit_codes import ExitCode
from namel3ss.cli.model_server import ServerChoice, models_on_one_server
from namel3ss.cli.opening import load_program
from namel3ss.cli.progress import spinning
from namel3ss.cli.session import Group, Session, pass_session
from namel3ss.providers.local.ollama import OllamaServerManager

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping


def _on_server(work: Callable[..., Coroutine[Any, Any, ExitCode]]) -> Callable[..., ExitCode]:
    """Make a click callback of an async function: with the options that name a server, and its manager open."""

    @click.option(
        "-f", "--file", type=AI_FILE, metavar="FILE", help="The server of the models in a .ai file."
    )
    @click.option("-m", "--model", metavar="NAME", help="With --file: the server of this model.")
    @click.option("--base-url", metavar="URL", help="The server at this address.")
    @pass_session
    @functools.wraps(work)
    def callback(
        session: Session, /, file: str | None, model: str | None, base_url: str | None, **arguments: Any
    ) -> ExitCode:
        settings = _settings(session, ServerChoice(file, model, base_url))

        async def run() -> ExitCode:
            # The line about a started server is for those who did not ask for one.
            async with OllamaServerManager(
                settings, environ=session.environ, announce=lambda _line: None
            ) as manager:
                return await work(session, manager, **arguments)

        with EventLoop() as loop:
            return loop.run(run())

    return callback


def _settings(session: Session, choice: ServerChoice) -> Mapping[str, Any]:
    if choice.file is None:
        return {"base_url": choice.base_url} if choice.base_url else {}
    program = load_program(session, choice.file)
    name = models_on_one_server(program, choice)[0].name
    return program.model(name).declaration.settings(session.environ)


@click.group(cls=Group, short_help="Start, stop and look at the Ollama server.")
def command() -> None:
    """Start, stop and look at the Ollama server of this machine.

    Only a server that namel3ss started is ever stopped.
    """


@command.command("start")
@_on_server
async def start(session: Session, manager: OllamaServerManager) -> ExitCode:
    """Start the server, unless one runs, and wait until it answers. It stays when the command ends."""
    async with spinning(session.output, f"Starting Ollama at {manager.base_url}"):
        is_new = await manager.start()
        status = await manager.status()
    if is_new:
        session.output.note(f"Started Ollama {status.version} at {status.base_url} (process {status.pid}).")
        session.output.note(f"Log: {status.log}    Stop it: namel3ss server stop")
    else:
        session.output.note(f"Ollama {status.version} runs already at {status.base_url}.")
    return ExitCode.OK


@command.command("stop")
@_on_server
async def stop(session: Session, manager: OllamaServerManager) -> ExitCode:
    """Stop the server that namel3ss started, with everything it started. Another one is left alone."""
    async with spinning(session.output, f"Stopping Ollama at {manager.base_url}"):
        was_running = await manager.stop()
    what = "Stopped the server" if was_running else "No server was running"
    session.output.note(f"{what} at {manager.base_url}.")
    return ExitCode.OK


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_on_server
async def show_status(session: Session, manager: OllamaServerManager, as_json: bool) -> ExitCode:
    """Show whether a server answers, and whether namel3ss started it. Exits with 3 when none answers."""
    status = await manager.status()
    output = session.output
    if as_json:
        output.line(json.dumps(asdict(status)))
    elif status.version is None:
        output.line(f"No server at {status.base_url}: {status.problem or 'nothing answers there'}")
    else:
        output.line(f"Ollama {status.version} answers at {status.base_url}.")
    if status.is_ours and not as_json:
        output.line(f"Started by namel3ss at {status.started_at} (process {status.pid}). Log: {status.log}")
    return ExitCode.OK if status.version is not None else ExitCode.SERVER
