"""The server that `models` and `server` work on: that of a file, that of an address, a sandbox, or the one in force."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from namel3ss.cli.opening import load_program, where_to_run
from namel3ss.errors import N3Error, UsageError
from namel3ss.providers.local.ollama import OllamaProvider, resolve_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

    from namel3ss.cli.session import Session
    from namel3ss.runtime import Program

__all__ = [
    "ServerChoice",
    "complete_model_name",
    "models_on_one_server",
    "open_model_server",
    "plain_provider",
]

# How long a person who pressed TAB waits for names.
_COMPLETION_S = 2.0
# Looking after a server concerns no model in particular, yet a provider has one.
_ANY_MODEL = "any"


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """How the caller named a server. `model` chooses among those of `file` where they live on several servers."""

    file: str | None = None
    model: str | None = None
    base_url: str | None = None
    sandbox: bool = False

    def __post_init__(self) -> None:
        if self.base_url and (self.file or self.sandbox):
            other = "--file" if self.file else "--sandbox"
            raise UsageError(f"--base-url and {other} both name a server.", suggestion="Give one of the two.")
        if self.model and not self.file:
            raise UsageError("--model chooses among the models of a file.", suggestion="Add --file app.ai")


@contextlib.contextmanager
def open_model_server(
    session: Session, choice: ServerChoice
) -> Iterator[tuple[OllamaProvider, tuple[str, ...]]]:
    """A provider on the server, and the models that the file declares there. The caller closes it in its event loop."""
    with where_to_run(session, choice.file, sandbox=choice.sandbox) as url:
        if choice.file:
            providers = models_on_one_server(load_program(session, choice.file, url), choice)
            yield providers[0], tuple(dict.fromkeys(provider.model for provider in providers))
            return
        warning = None if url or choice.base_url else resolve_address(environ=session.environ).warning
        if warning:
            session.output.warn(warning)
        yield plain_provider(url or choice.base_url), ()


def plain_provider(base_url: str | None) -> OllamaProvider:
    """A provider for looking after the server at an address, or the one that the environment names."""
    return OllamaProvider("namel3ss", _ANY_MODEL, {"base_url": base_url} if base_url else {})


def models_on_one_server(program: Program, choice: ServerChoice) -> list[OllamaProvider]:
    """The providers of a program that share one server: of all its models, or of the chosen one. Never empty."""
    chosen = [program.model(choice.model)] if choice.model else program.models.values()
    providers = [model.provider for model in chosen if isinstance(model.provider, OllamaProvider)]
    servers = list(dict.fromkeys(provider.base_url for provider in providers))
    if not servers:
        raise UsageError(
            f"No model of {choice.file} runs on Ollama, whose models and servers can be managed."
        )
    if len(servers) > 1:
        raise UsageError(
            f"The models of {choice.file} live on several servers: {', '.join(servers)}.",
            suggestion=f"Choose one with --model NAME: {', '.join(program.models)}.",
        )
    return providers


def complete_model_name(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The installed models that begin so, for a shell that completes; none where the server does not say."""
    try:
        names = asyncio.run(_installed_names(context.params.get("base_url")))
    except (N3Error, TimeoutError):
        return []
    return [name for name in names if name.startswith(incomplete)]


async def _installed_names(base_url: str | None) -> list[str]:
    async with asyncio.timeout(_COMPLETION_S), plain_provider(base_url) as provider:
        return [str(model["name"]) for model in await provider.list_models()]
