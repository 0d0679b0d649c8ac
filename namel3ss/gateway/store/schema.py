"""The tables. Migrations make them; a test compares the two.

Moments are seconds since the epoch, days are written YYYY-MM-DD and are days of UTC.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

__all__ = [
    "AUDIT",
    "KEYS",
    "METADATA",
    "PULLS",
    "SERVERS",
    "SESSIONS",
    "STATE",
    "TRANSCRIPTS",
    "USAGE",
    "USERS",
    "WHITELIST",
]

# Constraints are named, because later migrations must be able to name them.
METADATA: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# One row. `revision` rises with every change of what requests are judged by, so that other processes notice.
STATE: Final = sa.Table(
    "state",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("first_key_id", sa.String(32)),
)

USERS: Final = sa.Table(
    "users",
    METADATA,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("class_name", sa.String(64)),
    sa.Column("password_hash", sa.String(256)),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("disabled_at", sa.Double),
)

# `digest` is the SHA-256 of the key, which itself is nowhere.
KEYS: Final = sa.Table(
    "keys",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column(
        "user_name",
        sa.String(64),
        sa.ForeignKey("users.name", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
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

SESSIONS: Final = sa.Table(
    "sessions",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column(
        "user_name",
        sa.String(64),
        sa.ForeignKey("users.name", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("last_used_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
)

WHITELIST: Final = sa.Table(
    "whitelist",
    METADATA,
    sa.Column("class_name", sa.String(64), primary_key=True),
    sa.Column("network", sa.String(64), primary_key=True),
    sa.Column("note", sa.String(200), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("created_by", sa.String(64), nullable=False),
)

SERVERS: Final = sa.Table(
    "servers",
    METADATA,
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

# One row for each day, user, key, class, model and server: it grows with what there is, not with what is asked.
# Users and keys are no foreign keys: what was used stays known when they are gone.
USAGE: Final = sa.Table(
    "usage",
    METADATA,
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

# Rows are added and never changed: triggers of the migration hold that.
AUDIT: Final = sa.Table(
    "audit",
    METADATA,
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

# Only where the file says `store_prompts`. `expires_at` is settled when a row is written, so that a later change of the
# file keeps nothing longer than people were told.
TRANSCRIPTS: Final = sa.Table(
    "transcripts",
    METADATA,
    sa.Column(
        "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
    ),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False, index=True),
    sa.Column("request_id", sa.String(128), nullable=False),
    sa.Column("user_name", sa.String(64), nullable=False, index=True),
    sa.Column("key_id", sa.String(64), nullable=False),
    sa.Column("class_name", sa.String(64), nullable=False),
    sa.Column("model", sa.String(512), nullable=False),
    sa.Column("route", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("is_cut", sa.Boolean, nullable=False),
    sqlite_autoincrement=True,
)

# Those that have not ended: a row goes with the end of its pull.
PULLS: Final = sa.Table(
    "pulls",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("server", sa.String(255), nullable=False),
    sa.Column("model", sa.String(512), nullable=False),
    sa.Column("user_name", sa.String(64), nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
)
