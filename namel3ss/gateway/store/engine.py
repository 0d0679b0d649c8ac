"""Connections to SQLite and PostgreSQL that behave alike: whole transactions, waits that end, work that can be ended.

SQLite: one file in WAL mode, every commit on the disk. A transaction that writes takes the lock at its beginning, so
that it waits there or fails there and never in the middle.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import URL, Connection, Engine
    from sqlalchemy.pool import ConnectionPoolEntry

__all__ = [
    "Access",
    "StaleConnectionError",
    "interrupt",
    "is_sqlite",
    "lock_for_migration",
    "make_engine",
    "require_alive",
]

# libpq takes no shorter time.
_CONNECT_TIMEOUT_S: Final = 2
# Any number that no other application of the same database server uses for its locks.
_MIGRATION_LOCK: Final = 7_305_808_869_229_538_660


class Access:
    """What an engine's transactions are for."""

    READ: Final = "BEGIN"
    WRITE: Final = "BEGIN IMMEDIATE"


def is_sqlite(url: URL) -> bool:
    """Whether the database is a file of this machine."""
    return url.get_backend_name() == "sqlite"


def make_engine(url: URL, access: str, patience_s: float) -> Engine:
    """An engine with one connection, for one thread. Makes no connection yet.

    `patience_s` is how long a transaction waits for a lock that another process holds.
    """
    if is_sqlite(url):
        return _make_sqlite(url, access, patience_s)
    milliseconds = round(patience_s * 1000)
    return sa.create_engine(
        url,
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
        connect_args={
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "application_name": "namel3ss",
            # A server whose machine is gone is noticed within some ten seconds, and not after two hours.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            "options": f"-c lock_timeout={milliseconds} -c statement_timeout={max(milliseconds, 10_000)}",
        },
    )


def _make_sqlite(url: URL, access: str, patience_s: float) -> Engine:
    engine = sa.create_engine(
        url, pool_size=1, max_overflow=0, hide_parameters=True, connect_args={"timeout": patience_s}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        # Transactions are begun below, and not by the driver, which begins them too late.
        connection.isolation_level = None
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            # What was deleted is not to be read from the file.
            "secure_delete = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(access)

    return engine


def lock_for_migration(connection: Connection) -> None:
    """Until the transaction ends, no other process changes tables. SQLite's own lock is held already."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATION_LOCK})


class StaleConnectionError(Exception):
    """The server has closed the connection since it was last used. `reason` is how the driver said so."""

    def __init__(self, reason: DBAPIError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def require_alive(connection: Connection) -> None:
    """Raises StaleConnectionError for a connection that is none any more. A file has no such.

    Not left to the pool, whose own look cannot be interrupted where the server stands still.
    """
    if connection.dialect.name == "postgresql":
        try:
            connection.exec_driver_sql("SELECT 1")
        except DBAPIError as error:
            if error.connection_invalidated:
                raise StaleConnectionError(error) from error
            raise


def interrupt(connection: Any) -> None:
    """End what another thread does on this connection of a driver: it fails there."""
    if isinstance(connection, sqlite3.Connection):
        connection.interrupt()
        return
    # Asking the server to cancel needs a second connection to a server that may be the one that hangs.
    with contextlib.suppress(OSError), _duplicate(connection.fileno()) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _duplicate(descriptor: int) -> Iterator[socket.socket]:
    duplicate = socket.socket(fileno=os.dup(descriptor))
    try:
        yield duplicate
    finally:
        duplicate.close()
