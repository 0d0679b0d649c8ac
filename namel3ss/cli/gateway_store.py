"""The database that a command about a gateway works on, and what such commands share."""

from __future__ import annotations

import functools
import getpass
import json
import os
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from namel3ss.cli.ai_files import AI_FILE
from namel3ss.cli.event_loop import EventLoop
from namel3ss.cli.formats import format_age
from namel3ss.cli.gateways import gateway_extra, gateway_option, plan_of
from namel3ss.cli.reading import reading_options
from namel3ss.cli.session import Session, pass_session
from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from namel3ss.gateway.plan import GatewayPlan
    from namel3ss.gateway.store import KeyAdministration, Store

__all__ = ["StoreWork", "moment", "on_store"]

# Somebody waits at a terminal, and not in a queue of requests.
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class StoreWork:
    """What a sub-command works with. `plan` is None where only a database was named."""

    session: Session
    store: Store
    plan: GatewayPlan | None
    administration: KeyAdministration
    as_json: bool
    named_by: str
    """The options that another command needs to work on the same database."""

    @property
    def actor(self) -> str:
        """Who does it, for the audit log."""
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a user without a name on this machine
            name = str(os.getuid())
        return f"{name} (command line)"

    def show_json(self, document: object) -> None:
        """Print one JSON document."""
        self.session.output.line(json.dumps(document))


def on_store(
    *, creates: bool = False
) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Callable[..., None]]:
    """Make a click callback of an async function: with the options that name a database, and that database open.

    Where nothing is there yet, only a command that `creates` makes it.
    """

    def decorate(work: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @click.option("-f", "--file", type=AI_FILE, metavar="FILE", help="The gateway of a .ai file.")
        @gateway_option
        @click.option("--database", metavar="URL", help="The database at this URL, instead of a file's.")
        @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
        @reading_options
        @pass_session
        @functools.wraps(work)
        def callback(
            session: Session,
            /,
            file: str | None,
            gateway: str | None,
            database: str | None,
            as_json: bool,
            **arguments: Any,
        ) -> None:
            gateway_extra()
            plan, url, folder = _choose(session, file, gateway, database)
            named_by = _named_by(file, gateway)

            async def run() -> None:
                from namel3ss.gateway.errors import Refusal
                from namel3ss.gateway.store import KeyAdministration, Store

                async with await Store.open(url, folder, timeout_s=_PATIENCE_S, creates=creates) as store:
                    administration = KeyAdministration(store, plan)
                    try:
                        await work(
                            StoreWork(session, store, plan, administration, as_json, named_by), **arguments
                        )
                    except Refusal as refusal:
                        raise _explained(refusal) from refusal

            with EventLoop() as loop:
                loop.run(run())

        return callback

    return decorate


def _choose(
    session: Session, file: str | None, gateway: str | None, database: str | None
) -> tuple[GatewayPlan | None, str, Path]:
    """The plan, the database and the folder that a relative path is read from."""
    if file is not None and database is None:
        _, plan = plan_of(session, file, gateway)
        return plan, plan.settings.database, plan.path.parent
    if database is not None and file is None and gateway is None:
        return None, database, Path.cwd()
    raise UsageError(
        "The database is named by --file or by --database, and by one of them.",
        suggestion="Name the file that the gateway serves: --file team.ai",
    )


def _named_by(file: str | None, gateway: str | None) -> str:
    if file is None:
        return "--database URL"  # not the URL itself: it may hold a password
    return shlex.join(["--file", file, *(("--gateway", gateway) if gateway is not None else ())])


def _explained(refusal: Exception) -> Exception:
    """What a refusal is on the command line: a wrong call, or a database that failed."""
    from namel3ss.gateway.errors import Reason, Refusal
    from namel3ss.gateway.store import StoreError

    assert isinstance(refusal, Refusal)
    if refusal.reason is Reason.store_down:
        return StoreError(refusal.message, suggestion="Is the database locked, read-only, or its disk full?")
    return UsageError(refusal.message, suggestion=refusal.suggestion)


def moment(at: float | None, now: float, never: str = "-") -> str:
    """A moment as a list shows it: ``3 weeks ago``, ``in 4 minutes``."""
    if at is None:
        return never
    return format_age(datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC))
