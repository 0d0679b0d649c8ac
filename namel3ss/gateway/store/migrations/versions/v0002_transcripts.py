"""Prompts and answers, where they are stored; pulls, so that a restart does not lose them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the two tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "transcripts",
        sa.Column("id", number, nullable=False, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("user_name", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("class_name", sa.String(64), nullable=False),
        sa.Column("model", sa.String(512), nullable=False),
        sa.Column("route", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("is_cut", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transcripts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_transcripts_user_name", "transcripts", ["user_name"])
    op.create_index("ix_transcripts_expires_at", "transcripts", ["expires_at"])
    op.create_table(
        "pulls",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("server", sa.String(255), nullable=False),
        sa.Column("model", sa.String(512), nullable=False),
        sa.Column("user_name", sa.String(64), nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pulls"),
    )
