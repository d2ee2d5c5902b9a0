"""Edges between persons only, and indexes for what every run asks: who has left, who is only planned, who is at a campus."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The table of edges is made anew: roles and enrolments tell the others."""
    edges = op.get_bind().execute(sa.text("SELECT source, key, person FROM refs WHERE subject = 'person'")).all()
    op.drop_table("refs")
    table = op.create_table(
        "refs",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("person", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("source", "key", "person"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_refs_person"), "refs", ["person"], unique=False)
    op.bulk_insert(table, [row._asdict() for row in edges])
    op.create_index("roles_by_campus", "roles", ["source", "campus"], unique=False)
    op.create_index("classes_by_campus", "classes", ["source", "campus"], unique=False)
    op.create_index(op.f("ix_persons_state"), "persons", ["state"], unique=False)
    op.create_index(op.f("ix_persons_since"), "persons", ["since"], unique=False)
