"""``namel3ss schema``: the settings of every provider as JSON Schema."""

from __future__ import annotations

import json

import click

from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.declarations.json_schema import language_schema
from namel3ss.errors import UsageError
from namel3ss.language.suggest import closest
from namel3ss.providers.registry import installed_providers


@click.command(cls=Command, short_help="Print the language's values as JSON Schema.")
@click.option("--provider", metavar="NAME", help="Only the settings of this provider.")
@pass_session
def command(session: Session, provider: str | None) -> None:
    """Print what ai models may hold as JSON Schema, with the settings of every installed provider.

    It is made from the models that `check` checks with.
    """
    registry = installed_providers()
    if provider is not None and provider not in registry:
        near = closest(provider, registry.names())
        raise UsageError(
            f"There is no provider `{provider}`.",
            suggestion=f"Did you mean {near[0]}?"
            if near
            else f"Installed: {', '.join(registry.names()) or 'none'}.",
        )
    names = registry.names() if provider is None else (provider,)
    schema = language_schema(registry, names)
    session.output.line(json.dumps(schema, indent=2, ensure_ascii=not session.output.encodes_unicode))
