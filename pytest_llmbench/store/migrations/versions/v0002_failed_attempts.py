"""Failed attempts: requests that broke off and were asked once more, with what had arrived of the reply."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPLICATION_ID = 0x4C4C4D42


def upgrade() -> None:
    """Create the table; write whose file it is into its header."""
    op.create_table(
        "failed_attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("run_id", "test_key", "model", "request_hash")),
        sa.Column("number", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("category", "message", "partial_text", "at")),
        sa.PrimaryKeyConstraint("id", name="pk_failed_attempts"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_failed_attempts_run_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    op.create_index("ix_failed_attempts_run_id", "failed_attempts", ["run_id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("failed_attempts")
    op.execute("PRAGMA application_id = 0")
