"""Usage on its way into the books: sums in memory, written together, and read for reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from namel3ss.gateway.store.schema import USAGE
from namel3ss.gateway.store.texts import fit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.engine import Connection

    from namel3ss.gateway.usage import UsageEvent

__all__ = [
    "Cell",
    "Dimension",
    "Tally",
    "UsageRow",
    "cell_of",
    "day_of",
    "read_day",
    "read_usage",
    "write_usage",
]

Dimension: TypeAlias = Literal["day", "user", "key", "class", "model", "server"]

_COLUMNS: Final[dict[Dimension, sa.Column[str]]] = {
    "day": USAGE.c.day,
    "user": USAGE.c.user_name,
    "key": USAGE.c.key_id,
    "class": USAGE.c.class_name,
    "model": USAGE.c.model,
    "server": USAGE.c.server,
}
_SUMS: Final = (
    "requests",
    "failed",
    "estimated",
    "prompt_tokens",
    "completion_tokens",
    "wait_s",
    "duration_s",
)
_DAY_S: Final = 86_400
_FIRST_DAY: Final = date(1970, 1, 1)
_LONGEST_VALUE: Final = 512
_FINE: Final = ("ok", "cancelled")
# Sessions come and go: what was done in them is one row.
_SESSION: Final = "session"


class Cell(NamedTuple):
    """One row of the books."""

    day: str
    user_name: str
    key_id: str
    class_name: str
    model: str
    server: str


@dataclass(slots=True)
class Tally:
    """What is added to a row."""

    requests: int = 0
    failed: int = 0
    estimated: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    wait_s: float = 0.0
    duration_s: float = 0.0

    def add(self, event: UsageEvent) -> None:
        self.requests += 1
        self.failed += event.outcome not in _FINE
        self.estimated += event.usage.estimated
        self.prompt_tokens += event.usage.prompt_tokens
        self.completion_tokens += event.usage.completion_tokens
        self.wait_s += event.wait_s
        self.duration_s += event.duration_s

    def merge(self, other: Tally) -> None:
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """Sums of usage. A dimension that was not asked for is None."""

    day: str | None
    user: str | None
    key: str | None
    class_name: str | None
    model: str | None
    server: str | None
    requests: int
    failed: int
    """Neither answered nor cancelled by the caller."""
    estimated: int
    """Requests of which the server did not say what they used."""
    prompt_tokens: int
    completion_tokens: int
    wait_s: float
    duration_s: float


def day_of(at: float) -> str:
    """The day of UTC that a moment belongs to."""
    return _name_of_day(int(at // _DAY_S))


def cell_of(event: UsageEvent) -> Cell:
    """The row that an event is added to."""
    return _cell(
        int(event.at // _DAY_S), event.user, event.key_id, event.class_name, event.model, event.server or ""
    )


@lru_cache(16)
def _name_of_day(number: int) -> str:
    return (_FIRST_DAY + timedelta(days=number)).isoformat()


# Asked for each request, and most are like one before.
@lru_cache(4096)
def _cell(day: int, user: str, key_id: str, class_name: str, model: str, server: str) -> Cell:
    return Cell(
        day=_name_of_day(day),
        user_name=fit(user, 64),
        key_id=_SESSION if key_id.startswith(_SESSION) else fit(key_id, 64),
        class_name=fit(class_name, 64),
        model=fit(model, _LONGEST_VALUE),
        server=fit(server, 255),
    )


def write_usage(connection: Connection, cells: Mapping[Cell, Tally]) -> None:
    """Add to the books. Always in the same order, so that two processes never wait for each other in a circle."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    insert = make(USAGE)
    statement = insert.on_conflict_do_update(
        index_elements=list(Cell._fields),
        set_={name: USAGE.c[name] + insert.excluded[name] for name in _SUMS},
    )
    rows: list[dict[str, Any]] = [
        cell._asdict() | {name: getattr(tally, name) for name in _SUMS}
        for cell, tally in sorted(cells.items())
    ]
    connection.execute(statement, rows)


def read_day(connection: Connection, day: str, keys: Sequence[str] | None = None) -> dict[str, int]:
    """The tokens of one day by key; of these keys, or of all."""
    query = (
        sa.select(USAGE.c.key_id, sa.func.sum(USAGE.c.prompt_tokens + USAGE.c.completion_tokens))
        .where(USAGE.c.day == day)
        .group_by(USAGE.c.key_id)
    )
    if keys is not None:
        query = query.where(USAGE.c.key_id.in_(keys))
    return {row[0]: int(row[1]) for row in connection.execute(query)}


def read_usage(
    connection: Connection,
    *,
    since: date,
    until: date,
    by: Sequence[Dimension],
    only: Mapping[Dimension, str],
    limit: int,
) -> tuple[UsageRow, ...]:
    """Sums from `since` to `until`, both included, one for each combination of the dimensions in `by`, in their order."""
    groups = [_COLUMNS[name] for name in by]
    sums = [sa.func.coalesce(sa.func.sum(USAGE.c[name]), 0).label(name) for name in _SUMS]
    query = (
        sa.select(*groups, *sums)
        .where(USAGE.c.day.between(since.isoformat(), until.isoformat()))
        .group_by(*groups)
        .order_by(*groups)
        .limit(limit)
    )
    for name, value in only.items():
        query = query.where(_COLUMNS[name] == fit(value, _LONGEST_VALUE))
    rows = connection.execute(query).all()
    return tuple(_row(dict(zip((*by, *_SUMS), row, strict=True))) for row in rows if row.requests)


def _row(values: Mapping[str, Any]) -> UsageRow:
    return UsageRow(
        day=values.get("day"),
        user=values.get("user"),
        key=values.get("key"),
        class_name=values.get("class"),
        model=values.get("model"),
        server=values.get("server"),
        requests=int(values["requests"]),
        failed=int(values["failed"]),
        estimated=int(values["estimated"]),
        prompt_tokens=int(values["prompt_tokens"]),
        completion_tokens=int(values["completion_tokens"]),
        wait_s=float(values["wait_s"]),
        duration_s=float(values["duration_s"]),
    )
