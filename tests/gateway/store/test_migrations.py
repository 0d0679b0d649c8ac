"""The tables come out of the migrations, from nothing and again and again."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from namel3ss.gateway.store import Store, StoreError
from namel3ss.gateway.store.migrating import VERSION_TABLE, migrate
from namel3ss.gateway.store.schema import METADATA
from tests.gateway.store.places import DATABASE, database_file, opened

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Connection


def differences(connection: Connection) -> list[object]:
    options = {"version_table": VERSION_TABLE, "compare_type": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), METADATA))


async def test_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert await store.read(differences) == []
        assert await store.write(migrate) is False


async def test_stores_that_open_at_once_find_the_tables_made_once(tmp_path: Path) -> None:
    stores = await asyncio.gather(*(Store.open(DATABASE, tmp_path, timeout_s=10.0) for _ in range(4)))
    try:
        assert await stores[3].read(differences) == []
    finally:
        await asyncio.gather(*(store.aclose() for store in stores))


async def test_tables_of_a_later_version_are_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    with closing(sqlite3.connect(database_file(tmp_path))) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
        connection.commit()

    with pytest.raises(StoreError, match="later version of namel3ss"):
        await Store.open(DATABASE, tmp_path)


async def test_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    database_file(tmp_path).parent.mkdir()
    with closing(sqlite3.connect(database_file(tmp_path))) as connection:
        connection.execute("CREATE TABLE keys (number INTEGER)")

    with pytest.raises(StoreError, match="not the gateway's"):
        await Store.open(DATABASE, tmp_path)
    with closing(sqlite3.connect(database_file(tmp_path))) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("keys",)]


async def test_opening_that_fails_half_way_leaves_no_tables(tmp_path: Path) -> None:
    """What a kill in the middle leaves: the transaction never happened, and the next start is clean."""

    class KilledError(Exception):
        pass

    def half(connection: Connection) -> None:
        migrate(connection)
        raise KilledError

    database_file(tmp_path).parent.mkdir(mode=0o700)
    database_file(tmp_path).touch(mode=0o600)
    async with opened(tmp_path, "sqlite:///other/other.db") as store:
        connected = store.url.set(database=str(database_file(tmp_path)))
        unopened = Store(connected, timeout_s=5.0)
        try:
            with pytest.raises(KilledError):
                await unopened.write(half)
        finally:
            await unopened.aclose()

    with closing(sqlite3.connect(database_file(tmp_path))) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    async with opened(tmp_path) as store:
        assert await store.read(differences) == []
