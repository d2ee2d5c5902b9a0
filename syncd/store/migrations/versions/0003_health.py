"""How fresh sources, targets and campuses are, and why a run is held: what monitors are told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table and a column; both begin empty, and are filled by the next run."""
    op.create_table(
        "freshness",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("good_at", sa.String(), nullable=True),
        sa.Column("changed_at", sa.String(), nullable=True),
        sa.Column("failed_at", sa.String(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
        sqlite_with_rowid=False,
    )
    op.add_column("runs", sa.Column("held", sa.Text(), nullable=False, server_default="[]"))
