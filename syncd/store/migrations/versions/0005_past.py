"""What the rows of a roster were before their last change, by which an older roster is recognised."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column that begins empty, and is filled with the next change of each row."""
    op.add_column("digests", sa.Column("before", sa.LargeBinary(), nullable=True))
