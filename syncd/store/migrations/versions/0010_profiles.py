"""What the files of accepted rosters looked like."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rosters accepted so far have no profiles: the next one is compared with nothing."""
    op.add_column("snapshots", sa.Column("profiles", sa.Text(), nullable=True))
