"""Sends the telemetry of a command where ``--otel`` or the OTEL_ variables say, for as long as the command runs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from namel3ss.cli.session import Session

__all__ = ["exported_telemetry", "otel_option"]

otel_option: Callable[[click.decorators.FC], click.decorators.FC] = click.option(
    "--otel",
    is_flag=True,
    help="Export traces and metrics with OpenTelemetry; the OTEL_ variables say where.",
)


@contextlib.contextmanager
def exported_telemetry(session: Session, *, asked: bool) -> Iterator[None]:
    """What happens inside is exported; leaving it sends what is left, for at most five seconds.

    Without ``--otel``, variables that name an exporter do the same. They may be meant for other programs, so what
    is wrong with them is then no more than a warning. Raises UsageError for it if `asked`.
    """
    stop = _start(session, asked=asked)
    try:
        yield
    finally:
        stop()


def _start(session: Session, *, asked: bool) -> Callable[[], None]:
    if not asked and not any(name.startswith("OTEL_") for name in session.environ):
        return _nothing_to_stop
    # Here, because few commands export.
    from namel3ss.observability.export import configure_from_environment, is_export_configured

    if not asked and not is_export_configured(session.environ):
        return _nothing_to_stop
    try:
        return configure_from_environment()
    except UsageError as error:
        if asked:
            raise
        session.output.warn(f"telemetry is not exported: {error.message}")
        return _nothing_to_stop


def _nothing_to_stop() -> None: ...
