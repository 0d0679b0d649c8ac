"""What the commands about gateways share: which gateway of a file is meant, and what they need installed."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import click

from namel3ss.cli.reading import read_file
from namel3ss.errors import UsageError
from namel3ss.language import Severity
from namel3ss.language.render import render_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from namel3ss.cli.session import Session
    from namel3ss.declarations import ProgramFile
    from namel3ss.gateway.plan import GatewayPlan

__all__ = ["gateway_extra", "gateway_option", "plan_of"]

gateway_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--gateway", metavar="NAME", help="Which gateway of FILE, where it declares several."
)


def gateway_extra() -> None:
    """Raises UsageError where the gateway cannot run, or what it needs is not installed."""
    if sys.platform == "win32":
        raise UsageError("The gateway runs on Linux and macOS; on Windows, inside WSL2.")
    for package in (
        "alembic",
        "argon2",
        "httptools",
        "prometheus_client",
        "sqlalchemy",
        "starlette",
        "uvicorn",
    ):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise UsageError(
                f"The gateway needs the package {package}, which is not installed.",
                suggestion="pip install 'namel3ss[gateway]'",
            ) from None


def plan_of(session: Session, file: str, gateway: str | None) -> tuple[ProgramFile, GatewayPlan]:
    """The program of a file and the plan of its gateway. Warnings of the file go to stderr.

    Raises ProgramError where the gateway, or anything it needs, has mistakes.
    """
    from namel3ss.gateway.plan import plan_gateway

    program = read_file(session, file)
    plan = plan_gateway(program, gateway, session.environ)
    found = tuple(each for each in program.diagnostics if each.severity is not Severity.INFO)
    if found:
        output = session.output
        output.aside(render_terminal(found, width=output.width, color=output.stderr_has_color) + "\n")
    return program, plan
