"""``namel3ss gateway``: users, keys, whitelist and usage of a gateway, whether it runs or not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import click

from namel3ss.cli.gateway_keys import keys
from namel3ss.cli.gateway_store import StoreWork, on_store
from namel3ss.cli.gateway_transcripts import transcripts
from namel3ss.cli.gateway_users import users
from namel3ss.cli.gateway_values import DAY
from namel3ss.cli.gateway_whitelist import whitelist
from namel3ss.cli.session import Group
from namel3ss.cli.tables import show_table
from namel3ss.errors import UsageError

if TYPE_CHECKING:
    from namel3ss.gateway.store import Dimension, UsageRow

_DIMENSIONS: Final = ("day", "user", "key", "class", "model", "server")
_USUAL_DAYS: Final = 30
_MOST_ROWS: Final = 10_000


@click.group(cls=Group, short_help="Manage the users, keys and usage of a gateway.")
def command() -> None:
    """Manage the users, keys, whitelist and usage of a gateway.

    Works on the gateway's database, which --file or --database names, while the gateway runs and while it does not.
    """


command.add_command(keys)
command.add_command(users)
command.add_command(whitelist)
command.add_command(transcripts)


@command.command("usage")
@click.option(
    "--by",
    default="user,model",
    show_default=True,
    metavar="LIST",
    help=f"What sums are made for: {', '.join(_DIMENSIONS)}.",
)
@click.option(
    "--since",
    type=DAY,
    metavar="DAY",
    help="The first day (UTC): 2026-11-21, or 7d for a week ago. Else 30 days ago.",
)
@click.option("--until", type=DAY, metavar="DAY", help="The last day (UTC). Else today.")
@click.option("--user", metavar="NAME", help="Only this user's.")
@click.option("--model", metavar="NAME", help="Only of this model, by its Ollama name.")
@on_store()
async def show_usage(
    work: StoreWork, by: str, since: date | None, until: date | None, user: str | None, model: str | None
) -> None:
    """Show what was used, in requests and tokens."""
    from namel3ss.gateway.store.tallies import read_usage

    dimensions = _dimensions(by)
    today = datetime.now(UTC).date()
    last = until or today
    first = since or last - timedelta(days=_USUAL_DAYS)
    if first > last:
        raise UsageError(f"The first day, {first}, is after the last, {last}.")
    only: dict[Dimension, str] = {}
    if user is not None:
        only["user"] = user
    if model is not None:
        only["model"] = model
    rows = await work.store.read(
        lambda connection: read_usage(
            connection, since=first, until=last, by=dimensions, only=only, limit=_MOST_ROWS
        )
    )
    if work.as_json:
        work.show_json(
            {"since": str(first), "until": str(last), "usage": [_described(row, dimensions) for row in rows]}
        )
    elif not rows:
        work.session.output.note(f"Nothing was used from {first} to {last}.")
    else:
        columns = (
            *(name.upper() for name in dimensions),
            "REQUESTS",
            "FAILED",
            "PROMPT",
            "ANSWER",
            "ESTIMATED",
        )
        show_table(work.session.output, columns, [_listed(row, dimensions) for row in rows])


def _dimensions(text: str) -> tuple[Dimension, ...]:
    names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in _DIMENSIONS:
            from namel3ss.language.suggest import did_you_mean

            raise UsageError(
                f"Usage is not summed by {name!r}.",
                suggestion=did_you_mean(name, _DIMENSIONS) or f"There are {', '.join(_DIMENSIONS)}.",
            )
    return cast("tuple[Dimension, ...]", tuple(names))


def _values(row: UsageRow) -> dict[str, str | None]:
    return {
        "day": row.day,
        "user": row.user,
        "key": row.key,
        "class": row.class_name,
        "model": row.model,
        "server": row.server,
    }


def _listed(row: UsageRow, by: tuple[Dimension, ...]) -> tuple[str, ...]:
    values = _values(row)
    return (
        *(values[name] or "-" for name in by),
        str(row.requests),
        str(row.failed),
        str(row.prompt_tokens),
        str(row.completion_tokens),
        str(row.estimated),
    )


def _described(row: UsageRow, by: tuple[Dimension, ...]) -> dict[str, Any]:
    values = _values(row)
    return {name: values[name] for name in by} | {
        "requests": row.requests,
        "failed": row.failed,
        "estimated": row.estimated,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "total_tokens": row.prompt_tokens + row.completion_tokens,
        "wait_s": round(row.wait_s, 3),
        "duration_s": round(row.duration_s, 3),
    }
