"""Asking APIs: costs, attempts and tool calls of replies, samples of results, the budget's account, batches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, with what they say of rows that know nothing of them, and the tables."""
    op.add_column("results", _text("sample", ""))
    op.add_column("replies", _text("cost", "{}"))
    op.add_column("replies", sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("1")))
    op.add_column("replies", _text("role", "subject"))
    op.add_column("replies", _text("tool_calls", "[]"))
    op.add_column("failed_attempts", _text("usage", "{}"))
    op.add_column("failed_attempts", _text("cost", "{}"))
    op.add_column("failed_attempts", _text("role", "subject"))
    _create_spending()
    _create_batches()


def downgrade() -> None:
    """Drop the tables and the columns."""
    for table in ("batch_questions", "batches", "spending"):
        op.drop_table(table)
    for column in ("role", "cost", "usage"):
        op.drop_column("failed_attempts", column)
    for column in ("tool_calls", "role", "attempts", "cost"):
        op.drop_column("replies", column)
    op.drop_column("results", "sample")


def _create_spending() -> None:
    op.create_table(
        "spending",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("use_case", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("reserved_usd", sa.Text(), nullable=False),
        sa.Column("settled_usd", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_spending"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_spending_run_id", ondelete="CASCADE"),
        sa.UniqueConstraint("run_id", "question", "attempt", name="uq_spending"),
        sqlite_autoincrement=True,
    )


def _create_batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("submitted_at", sa.Text(), nullable=False),
        sa.Column("collected_at", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_batches_run_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_batches_run_id", "batches", ["run_id"])
    op.create_table(
        "batch_questions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("custom_id", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_batch_questions"),
        sa.ForeignKeyConstraint(["batch"], ["batches.id"], name="fk_batch_questions_batch", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_batch_questions_batch", "batch_questions", ["batch"])


def _text(name: str, default: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)
