"""Brings the tables to the form that this version knows, from nothing or from any earlier form.

The steps are in migrations/versions. Whoever comes second waits and finds the work done.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from namel3ss.gateway.store.engine import lock_for_migration
from namel3ss.gateway.store.errors import StoreError
from namel3ss.gateway.store.schema import METADATA

if TYPE_CHECKING:
    from alembic.runtime.migration import RevisionStep
    from sqlalchemy.engine import Connection

__all__ = ["VERSION_TABLE", "migrate"]

_SCRIPTS: Final = Path(__file__).parent / "migrations"
VERSION_TABLE: Final = "namel3ss_version"


def migrate(connection: Connection) -> bool:
    """Make or change the tables within the connection's transaction; whether there was anything to do.

    Raises StoreError for tables that a later version of namel3ss made.
    """
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    lock_for_migration(connection)
    found = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE}
    ).get_current_revision()
    if found == scripts.get_current_head():
        return False
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(
            "The database was made by a later version of namel3ss.",
            suggestion="Upgrade namel3ss, or restore the backup from before the upgrade.",
        )
    if found is None and sa.inspect(connection).has_table("keys"):
        raise StoreError(
            "The database has tables already, and they are not the gateway's.",
            suggestion="Name a database of its own in `database`.",
        )

    def steps(revision: object, _context: MigrationContext) -> list[RevisionStep]:
        return scripts._upgrade_revs("head", revision)  # type: ignore[arg-type]  # as alembic's own command does

    with EnvironmentContext(config, scripts, fn=steps, destination_rev="head") as environment:
        environment.configure(connection=connection, target_metadata=METADATA, version_table=VERSION_TABLE)
        environment.run_migrations()
    return True
