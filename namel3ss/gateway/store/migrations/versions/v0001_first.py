"""The first tables: users, keys, sessions, whitelist, servers, usage, audit."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Written out, because the schema of later versions is not that of this step.
_NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_SQLITE_GUARDS: Final = (
    "CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
)
_POSTGRESQL_GUARDS: Final = (
    "CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
    "CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE ON audit "
    "FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()",
    "CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()",
)


def upgrade() -> None:
    """Make the tables in an empty database."""
    tables = sa.MetaData(naming_convention=_NAMES)
    _state(tables)
    _users(tables)
    _keys(tables)
    _sessions(tables)
    _whitelist(tables)
    _servers(tables)
    _usage(tables)
    _audit(tables)
    connection = op.get_bind()
    tables.create_all(connection)
    is_sqlite = connection.dialect.name == "sqlite"
    for statement in _SQLITE_GUARDS if is_sqlite else _POSTGRESQL_GUARDS:
        op.execute(sa.text(statement))
    connection.execute(tables.tables["state"].insert().values(id=1, revision=1))


def _owner() -> sa.Column[str]:
    return sa.Column(
        "user_name",
        sa.String(64),
        sa.ForeignKey("users.name", ondelete="CASCADE"),
        nullable=False,
        index=True,
    )


def _state(tables: sa.MetaData) -> None:
    sa.Table(
        "state",
        tables,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("first_key_id", sa.String(32)),
    )


def _users(tables: sa.MetaData) -> None:
    sa.Table(
        "users",
        tables,
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("class_name", sa.String(64)),
        sa.Column("password_hash", sa.String(256)),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("disabled_at", sa.Double),
    )


def _keys(tables: sa.MetaData) -> None:
    sa.Table(
        "keys",
        tables,
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
        _owner(),
        sa.Column("note", sa.String(200), nullable=False),
        sa.Column("class_name", sa.String(64)),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("models", sa.JSON(none_as_null=True)),
        sa.Column("networks", sa.JSON(none_as_null=True)),
        sa.Column("requests_per_minute", sa.Integer),
        sa.Column("tokens_per_minute", sa.BigInteger),
        sa.Column("tokens_per_day", sa.BigInteger),
        sa.Column("streams", sa.Integer),
        sa.Column("allows_fallback", sa.Boolean, nullable=False),
        sa.Column("allows_cloud", sa.Boolean, nullable=False),
        sa.Column("in_address", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
        sa.Column("last_used_at", sa.Double),
    )


def _sessions(tables: sa.MetaData) -> None:
    sa.Table(
        "sessions",
        tables,
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
        _owner(),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("last_used_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )


def _whitelist(tables: sa.MetaData) -> None:
    sa.Table(
        "whitelist",
        tables,
        sa.Column("class_name", sa.String(64), primary_key=True),
        sa.Column("network", sa.String(64), primary_key=True),
        sa.Column("note", sa.String(200), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
    )


def _servers(tables: sa.MetaData) -> None:
    sa.Table(
        "servers",
        tables,
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("base_url", sa.String(1024), nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("max_loaded_models", sa.Integer),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("disabled_at", sa.Double),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
    )


def _usage(tables: sa.MetaData) -> None:
    sa.Table(
        "usage",
        tables,
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("user_name", sa.String(64), primary_key=True),
        sa.Column("key_id", sa.String(64), primary_key=True),
        sa.Column("class_name", sa.String(64), primary_key=True),
        sa.Column("model", sa.String(512), primary_key=True),
        sa.Column("server", sa.String(255), primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("estimated", sa.BigInteger, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("wait_s", sa.Double, nullable=False),
        sa.Column("duration_s", sa.Double, nullable=False),
        sa.Index(None, "day", "key_id"),
    )


def _audit(tables: sa.MetaData) -> None:
    sa.Table(
        "audit",
        tables,
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
