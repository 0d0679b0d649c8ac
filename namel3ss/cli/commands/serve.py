"""``namel3ss serve``: the gateway of a file, for as long as the command runs."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import click

from namel3ss.cli.ai_files import AI_FILE
from namel3ss.cli.exit_codes import ExitCode
from namel3ss.cli.exposure import how_to_hide, reached_from_outside
from namel3ss.cli.gateway_sandbox import offline_servers
from namel3ss.cli.gateway_summary import configuration_text
from namel3ss.cli.gateways import gateway_extra, gateway_option, plan_of
from namel3ss.cli.interruption import Terminated
from namel3ss.cli.reading import reading_options
from namel3ss.cli.session import Command, Session, pass_session
from namel3ss.cli.telemetry import exported_telemetry, otel_option
from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from ssl import SSLContext

    from namel3ss.declarations import ProgramFile
    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.serving.gateway import Gateway


@click.command(cls=Command, short_help="Serve the models of a file to many users: the gateway.")
@click.argument("file", metavar="FILE", type=AI_FILE)
@gateway_option
@click.option("--check", "only_check", is_flag=True, help="Show what would be served and how, and end.")
@click.option(
    "--sandbox", is_flag=True, help="An offline server in the place of each. Their answers are made up."
)
@click.option(
    "--tokens-per-second",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    help="With --sandbox: the pace of its answers.",
)
@click.option(
    "--tls-cert", type=click.Path(path_type=Path), metavar="FILE", help="A certificate with its chain (PEM)."
)
@click.option(
    "--tls-key", type=click.Path(path_type=Path), metavar="FILE", help="The certificate's key (PEM)."
)
@click.option(
    "--expose-admin", is_flag=True, help="Serve the administration although other machines can reach it."
)
@click.option(
    "--access-log",
    type=click.Choice(["text", "json"]),
    help="Write a line for each request to stderr.",
)
@otel_option
@click.option("--trust-every-proxy", is_flag=True, help="Believe X-Forwarded-For whoever sends it.")
@reading_options
@pass_session
def command(
    session: Session,
    file: str,
    gateway: str | None,
    only_check: bool,
    sandbox: bool,
    tokens_per_second: float,
    tls_cert: Path | None,
    tls_key: Path | None,
    expose_admin: bool,
    access_log: Literal["text", "json"] | None,
    trust_every_proxy: bool,
    otel: bool,
) -> ExitCode:
    """Serve a gateway of FILE until Ctrl-C or SIGTERM: one address for many users of its Ollama servers.

    The first start makes the administrator's key and shows it once. docs/gateway.md begins at the beginning.
    """
    gateway_extra()
    program, plan = plan_of(session, file, gateway)
    tls = _certificate(tls_cert, tls_key)
    granted = {
        option
        for option, is_given in (
            ("--expose-admin", expose_admin),
            ("--trust-every-proxy", trust_every_proxy),
        )
        if is_given
    }
    if only_check:
        session.output.line(configuration_text(program, plan, session.environ))
    _advise(session, plan, granted, has_tls=tls is not None)
    if not sandbox:
        _warn_of_open_servers(session, plan)
    if only_check:
        # A model with a mistake would be left out, and the others served: who checks wants to know.
        return ExitCode.PROGRAM if program.errors else ExitCode.OK
    with contextlib.suppress(KeyboardInterrupt, Terminated), contextlib.ExitStack() as stack:
        if access_log is not None:
            stack.enter_context(_access_log(session, access_log))
        stack.enter_context(exported_telemetry(session, asked=otel))
        if sandbox:
            plan = stack.enter_context(offline_servers(session, plan, tokens_per_second))
        _serve(session, program, plan, tls)
    return ExitCode.OK


def _serve(session: Session, program: ProgramFile, plan: GatewayPlan, tls: SSLContext | None) -> None:
    from namel3ss.gateway.administration.configuration import effective_configuration
    from namel3ss.gateway.serving.running import serve_until_stopped

    def say(gateway: Gateway) -> None:
        session.output.line(f"Gateway {plan.name} listening on {gateway.url}")
        session.output.note(f"Administration, panel and metrics: {gateway.admin_url}    Ctrl-C ends it.")

    serve_until_stopped(
        plan,
        configuration=effective_configuration(program, plan, session.environ),
        tls=tls,
        terminal=session.output.stderr,
        on_ready=say,
        environ=session.environ,
    )


@contextlib.contextmanager
def _access_log(session: Session, form: Literal["text", "json"]) -> Iterator[None]:
    """Write the front's line for each request while inside. It holds no key, no query and nothing of the content."""
    from namel3ss.observability.logs import JsonFormatter, LineFormatter

    handler = logging.StreamHandler(session.output.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else LineFormatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("namel3ss.gateway.access")
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
        logger.setLevel(logging.NOTSET)


def _certificate(certificate: Path | None, key: Path | None) -> SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("--tls-cert and --tls-key are given together.")
    from namel3ss.gateway.serving.tls import load_certificate

    return load_certificate(certificate, key)


def _warn_of_open_servers(session: Session, plan: GatewayPlan) -> None:
    """Name each server of this machine that others can ask without the gateway, and so without a key."""
    for backend in plan.backends:
        if (place := reached_from_outside(backend.base_url)) is not None:
            session.output.warn(
                f"The server `{backend.name}` also answers at {place}, where other machines may ask it without the gateway"
                f" and without a key. {how_to_hide(urlsplit(backend.base_url).port)}"
            )


def _advise(session: Session, plan: GatewayPlan, granted: Collection[str], *, has_tls: bool) -> None:
    """Warn of what is not safe. Raises UsageError for what takes an option that was not given."""
    from namel3ss.gateway.serving.advice import advise

    for advice in advise(plan, has_tls=has_tls):
        if advice.option is not None and advice.option not in granted:
            raise UsageError(
                advice.message, suggestion=f"Change it in {plan.path}, or add {advice.option} if it is meant."
            )
        session.output.warn(advice.message)
