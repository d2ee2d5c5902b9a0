"""What people decided here: overrides, freezes, locks, sponsorships and seals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table that begins empty."""
    op.create_table(
        "facts",
        sa.Column("seq", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("person", sa.Integer(), sa.ForeignKey("persons.seq"), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("kind", "attribute", "target", "since", "actor")),
        sa.Column("until", sa.String(), nullable=True),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_end", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_facts_person"), "facts", ["person"], unique=False)
    op.create_index(op.f("ix_facts_kind"), "facts", ["kind"], unique=False)
