"""Summaries: each run in a few numbers, so that a history need not read the runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, and the mark of runs that have theirs; of older runs they are made when a history asks."""
    op.create_table(
        "summaries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_summaries_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_summaries"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_summaries_run_id", "summaries", ["run_id"])
    op.create_index("ix_summaries_model", "summaries", ["model"])
    op.add_column("runs", sa.Column("is_summed", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("runs", "is_summed")
    op.drop_table("summaries")
