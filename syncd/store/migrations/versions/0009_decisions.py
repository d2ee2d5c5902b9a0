"""Approvals by more than one human, and what somebody turned down."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Approvals keep what they let go; who gave them is not known by number."""
    op.drop_index(op.f("ix_approvals_expires"), table_name="approvals")
    op.rename_table("approvals", "approvals_before")
    op.create_table(
        "approvals",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("who", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("expires", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("lets_go", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "who", name="approvals_by_human"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO approvals (digest, who, run, at, expires, actor, because, lets_go) "
        "SELECT digest, -1, run, at, expires, actor, because, true FROM approvals_before"
    )
    op.drop_table("approvals_before")
    op.create_index(op.f("ix_approvals_expires"), "approvals", ["expires"], unique=False)
    op.create_table(
        "rejections",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), sa.ForeignKey("persons.seq"), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("expires", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_rejections_person"), "rejections", ["person"], unique=False)
