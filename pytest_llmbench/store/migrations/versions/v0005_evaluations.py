"""Use cases: what was found out about a sample stands beside its result."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; NULL says that a result is about no use case."""
    op.add_column("results", sa.Column("evaluation", sa.Text()))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("results", "evaluation")
