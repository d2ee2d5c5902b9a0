"""Devices that somebody reported lost, and those that we disabled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables, both empty: nobody has lost anything yet, and nothing was disabled."""
    op.create_table(
        "lost_devices",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("serial", sa.String(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_lost_devices_target"), "lost_devices", ["target"], unique=False)
    op.create_table(
        "disabled_devices",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("native_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("target", "native_id"),
        sqlite_with_rowid=False,
    )
