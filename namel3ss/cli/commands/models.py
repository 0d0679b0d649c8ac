"""``namel3ss models``: the models of one Ollama server."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from namel3ss.cli.ai_files import AI_FILE
from namel3ss.cli.event_loop import EventLoop
from namel3ss.cli.formats import format_age, format_bytes, parse_timestamp
from namel3ss.cli.model_server import ServerChoice, complete_model_name, open_model_server
from namel3ss.cli.opening import sandbox_option
from namel3ss.cli.pull_display import PullDisplay
from namel3ss.cli.session import Group, Session, pass_session
from namel3ss.cli.tables import show_table
from namel3ss.errors import UsageError
from namel3ss.providers.local.ollama import OllamaEditorTools

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from namel3ss.providers.local.ollama import OllamaProvider


@dataclass(frozen=True, slots=True)
class Work:
    """What a sub-command works with; `declared` are the models that a file names on this server."""

    session: Session
    server: OllamaProvider
    declared: tuple[str, ...]
    as_json: bool

    def show_json(self, document: object) -> None:
        """Print one JSON document."""
        self.session.output.line(json.dumps(document))


def _checked(
    _context: click.Context, _parameter: click.Parameter, given: str | tuple[str, ...]
) -> str | tuple[str, ...]:
    """The names as they were given. One that cannot be a name is a wrong call, before any server is asked."""
    for name in (given,) if isinstance(given, str) else given:
        judged = OllamaEditorTools.validate_model_name(name)
        if not judged["is_valid"]:
            raise UsageError(
                judged["message"], suggestion="A name looks like llama3:8b or namespace/model:tag."
            )
    return given


def _on_server(work: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a click callback of an async function: with the options that name a server, and that server open."""

    @click.option(
        "-f", "--file", type=AI_FILE, metavar="FILE", help="The server of the models in a .ai file."
    )
    @click.option("-m", "--model", metavar="NAME", help="With --file: the server of this model.")
    @click.option("--base-url", metavar="URL", help="The server at this address.")
    @sandbox_option
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @pass_session
    @functools.wraps(work)
    def callback(
        session: Session,
        /,
        file: str | None,
        model: str | None,
        base_url: str | None,
        sandbox: bool,
        as_json: bool,
        **arguments: Any,
    ) -> None:
        choice = ServerChoice(file, model, base_url, sandbox)
        with open_model_server(session, choice) as (server, declared), EventLoop() as loop:
            loop.run(_closing(server, work(Work(session, server, declared, as_json), **arguments)))

    return callback


async def _closing(server: OllamaProvider, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    finally:
        await server.aclose()


@click.group(cls=Group, short_help="List, show, pull and remove models.")
def command() -> None:
    """List, show, pull and remove the models of an Ollama server.

    The server is that of --file or --base-url; else the one the environment names; else the one on this machine.
    """


@command.command("list")
@_on_server
async def list_models(work: Work) -> None:
    """List the installed models, most recently changed first."""
    models = await work.server.list_models()
    if work.as_json:
        work.show_json(models)
    elif not models:
        work.session.output.note(
            f"No model is installed on {work.server.base_url}. Get one: namel3ss models pull NAME"
        )
    else:
        now = datetime.now(UTC)
        columns = ("NAME", "SIZE", "PARAMETERS", "QUANTIZATION", "MODIFIED")
        show_table(work.session.output, columns, [_listed(model, now) for model in models])


def _listed(model: dict[str, Any], now: datetime) -> tuple[str, ...]:
    details = model.get("details") or {}
    return (
        str(model.get("name")),
        _size(model.get("size")),
        str(details.get("parameter_size") or "-"),
        str(details.get("quantization_level") or "-"),
        _age(model.get("modified_at"), now),
    )


@command.command("ps", short_help="List the models that are loaded.")
@_on_server
async def list_running(work: Work) -> None:
    """List the models that are loaded, with the window and the memory they have."""
    models = await work.server.running_models()
    if work.as_json:
        work.show_json(models)
    elif not models:
        work.session.output.note(f"No model is loaded on {work.server.base_url}.")
    else:
        now = datetime.now(UTC)
        columns = ("NAME", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL")
        show_table(work.session.output, columns, [_running(model, now) for model in models])


def _running(model: dict[str, Any], now: datetime) -> tuple[str, ...]:
    context = model.get("context_length")
    return (
        str(model.get("name")),
        _size(model.get("size")),
        _processor(model.get("size"), model.get("size_vram")),
        f"{context} tokens" if context else "-",
        _age(model.get("expires_at"), now),
    )


def _processor(size: object, on_gpu: object) -> str:
    """Which part of a model lies in the GPU's memory."""
    if not isinstance(size, int) or not isinstance(on_gpu, int) or size <= 0:
        return "-"
    if on_gpu >= size:
        return "GPU"
    return f"{on_gpu / size:.0%} GPU" if on_gpu else "CPU"


@command.command("show")
@click.argument("name", callback=_checked, metavar="NAME", shell_complete=complete_model_name)
@_on_server
async def show_model(work: Work, name: str) -> None:
    """Show what is known of a model: size, window, abilities, settings."""
    model = await work.server.show_model(name)
    if work.as_json:
        work.show_json(model)
    else:
        rows = [(label, text) for label, text in _described(model) if text]
        show_table(work.session.output, ("MODEL", name), rows)


def _described(model: dict[str, Any]) -> list[tuple[str, str]]:
    details = model.get("details") or {}
    context = model.get("context_length")
    parameters = str(model.get("parameters") or "").splitlines()
    rows = [
        ("family", str(details.get("family") or "")),
        ("parameters", str(details.get("parameter_size") or "")),
        ("quantization", str(details.get("quantization_level") or "")),
        ("trained for", f"{context} tokens" if context else ""),
        ("can", ", ".join(model.get("capabilities") or ())),
        ("system", str(model.get("system") or "")),
        ("license", next(iter(str(model.get("license") or "").strip().splitlines()), "")),
    ]
    return rows + [("setting", " ".join(line.split())) for line in parameters]


@command.command("pull")
@click.argument("names", callback=_checked, metavar="[NAME]...", nargs=-1)
@_on_server
async def pull_models(work: Work, names: tuple[str, ...]) -> None:
    """Download models; with --file and no NAME those that the file names."""
    wanted = names or work.declared
    if not wanted:
        raise UsageError("There is no model to pull.", suggestion="Name one, or give --file app.ai")
    with PullDisplay(work.session.output) as display:
        for name in wanted:
            await work.server.pull_model(name, on_progress=display)
    if work.as_json:
        work.show_json({"pulled": list(wanted)})


@command.command("rm")
@click.argument(
    "names", callback=_checked, metavar="NAME...", nargs=-1, required=True, shell_complete=complete_model_name
)
@_on_server
async def remove_models(work: Work, names: tuple[str, ...]) -> None:
    """Remove models from the server."""
    for name in names:
        await work.server.delete_model(name)
        work.session.output.note(f"Removed {name}.")
    if work.as_json:
        work.show_json({"removed": list(names)})


@command.command("cp")
@click.argument("source", callback=_checked, metavar="NAME", shell_complete=complete_model_name)
@click.argument("destination", callback=_checked, metavar="NEW_NAME")
@_on_server
async def copy_model(work: Work, source: str, destination: str) -> None:
    """Give a model a second name."""
    await work.server.copy_model(source, destination)
    work.session.output.note(f"Copied {source} to {destination}.")
    if work.as_json:
        work.show_json({"source": source, "destination": destination})


def _size(value: object) -> str:
    return format_bytes(value) if isinstance(value, int) else "-"


def _age(value: object, now: datetime) -> str:
    moment = parse_timestamp(value)
    if moment is None:
        return "-"
    # A model that is kept for ever has an end centuries from now.
    return format_age(moment, now) if moment.year < now.year + 100 else "for ever"
