"""Addresses that an account had before, for as long as they go on as aliases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No account has had another address as far as anybody remembers."""
    op.create_table(
        "former_addresses",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), sa.ForeignKey("persons.seq"), nullable=False),
        sa.Column("attribute", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("ended", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("target", "person", "attribute", "value"),
        sqlite_with_rowid=False,
    )
