"""``namel3ss sandbox``: the offline server, for as long as the command runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, get_args

import click

from namel3ss.cli.exit_codes import ExitCode
from namel3ss.cli.interruption import Terminated
from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.sandbox.options import OllamaVersion, SandboxOptions

if TYPE_CHECKING:
    from namel3ss.sandbox import SandboxServer


@click.command(cls=Command, short_help="Run the offline server that speaks Ollama's API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The loopback address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="The port; 0, the default, is a free one."
)
@click.option(
    "--tokens-per-second",
    type=click.FloatRange(min=0, min_open=True),
    help="The pace of its answers; as fast as the machine allows unless given.",
)
@click.option(
    "--load-delay",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="How long loading a model takes.",
)
@click.option(
    "--context",
    type=click.IntRange(min=4),
    default=4096,
    show_default=True,
    metavar="TOKENS",
    help="The context window of its models.",
)
@click.option(
    "--installed", metavar="A,B", default="", help="Models that count as installed, beside the tiny ones."
)
@click.option(
    "--ollama-version",
    type=click.Choice(get_args(OllamaVersion)),
    default=get_args(OllamaVersion)[0],
    show_default=True,
    help="Whose answers are given where versions differ.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[:KEY=VALUE,...]",
    help="Fail on purpose, such as cut:after=3; docs/sandbox.md lists the names. May be repeated.",
)
@pass_session
def command(
    session: Session,
    host: str,
    port: int,
    tokens_per_second: float | None,
    load_delay: float,
    context: int,
    installed: str,
    ollama_version: OllamaVersion,
    faults: tuple[str, ...],
) -> ExitCode:
    """Run the offline server that speaks Ollama's API, until Ctrl-C.

    Its answers are made up. No other command uses it unless NAMEL3SS_OLLAMA_BASE_URL or a base_url says so.
    """
    from namel3ss.sandbox import SandboxServer

    options = SandboxOptions(
        host=host,
        port=port,
        tokens_per_second=tokens_per_second,
        load_delay=load_delay,
        context=context,
        installed=tuple(name.strip() for name in installed.split(",") if name.strip()),
        ollama_version=ollama_version,
        faults=faults,
    )
    try:
        with SandboxServer(options) as server:
            _wait(session, server)
    except (KeyboardInterrupt, Terminated):
        # Being stopped is how a server ends well.
        return ExitCode.OK
    return ExitCode.OK


def _wait(session: Session, server: SandboxServer) -> None:
    session.output.line(f"Sandbox listening on {server.url}")
    session.output.note(f"To use it: export NAMEL3SS_OLLAMA_BASE_URL={server.url}    Ctrl-C ends it.")
    threading.Event().wait()
