"""Gates: the numbers behind a verdict, what was decided in a test, and the gates that tests are marked with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; older rows have no evidence, and no gates in tests."""
    op.add_column("gates", sa.Column("evidence", sa.Text(), nullable=False, server_default=sa.text("'{}'")))
    op.add_column("results", sa.Column("gates", sa.Text(), nullable=False, server_default=sa.text("'[]'")))
    op.add_column("results", sa.Column("rules", sa.Text(), nullable=False, server_default=sa.text("'[]'")))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("results", "rules")
    op.drop_column("results", "gates")
    op.drop_column("gates", "evidence")
