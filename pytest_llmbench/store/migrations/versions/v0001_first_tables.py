"""The first tables: runs, results, replies, measurements, repetitions, gates.

A revision, once released, is never changed; what comes later is a new file beside this one. Types are spelled out
here instead of taken from store/tables.py, which moves on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table, parents first."""
    _create_runs()
    _create_results()
    _create_replies()
    _create_measurements()
    _create_repetitions()
    _create_gates()


def downgrade() -> None:
    """Drop every table, children first."""
    for name in ("gates", "repetitions", "measurements", "replies", "results", "runs"):
        op.drop_table(name)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _row_number(table: str) -> tuple[sa.Column[int], sa.PrimaryKeyConstraint]:
    return sa.Column("id", sa.Integer(), nullable=False), sa.PrimaryKeyConstraint("id", name=f"pk_{table}")


def _child_of(parent: str, table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"fk_{table}_{column}", ondelete="CASCADE")


def _create_runs() -> None:
    op.create_table(
        "runs",
        _text("id"),
        _text("started_at"),
        _text("finished_at", nullable=True),
        sa.Column("exit_code", sa.Integer()),
        *map(_text, ("host", "environment", "settings")),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )


def _create_results() -> None:
    op.create_table(
        "results",
        *_row_number("results"),
        *map(_text, ("run_id", "key", "nodeid")),
        _text("outcome", nullable=True),
        *map(_text, ("phase", "message", "category", "model")),
        sa.Column("duration_s", sa.Float()),
        *map(_text, ("measurement_ids", "reply_ids")),
        _text("started_at", nullable=True),
        _text("finished_at", nullable=True),
        _child_of("runs", "results", "run_id"),
        sa.UniqueConstraint("run_id", "key", name="uq_results"),
        sqlite_autoincrement=True,
    )


def _create_replies() -> None:
    op.create_table(
        "replies",
        *_row_number("replies"),
        *map(_text, ("run_id", "test_key", "request_hash")),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        *map(_text, ("model", "served_model", "finish_reason", "text", "reasoning")),
        sa.Column("streamed", sa.Boolean(), nullable=False),
        *map(_text, ("usage", "timing", "events", "request", "completed_at")),
        _child_of("runs", "replies", "run_id"),
        sa.UniqueConstraint("run_id", "test_key", "request_hash", "ordinal", name="uq_replies"),
        sqlite_autoincrement=True,
    )


def _create_measurements() -> None:
    op.create_table(
        "measurements",
        *map(_text, ("id", "run_id", "key", "model", "profile", "settings", "host_fingerprint")),
        *map(_text, ("scalars", "units", "server", "rating", "sentence", "notes", "started_at")),
        _text("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_measurements"),
        _child_of("runs", "measurements", "run_id"),
        sa.UniqueConstraint("run_id", "key", name="uq_measurements"),
    )


def _create_repetitions() -> None:
    op.create_table(
        "repetitions",
        *_row_number("repetitions"),
        _text("measurement_id"),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        *map(_text, ("prompt", "metrics", "reply_id", "timing", "usage", "completed_at")),
        _child_of("measurements", "repetitions", "measurement_id"),
        sa.UniqueConstraint("measurement_id", "idx", name="uq_repetitions"),
        sqlite_autoincrement=True,
    )


def _create_gates() -> None:
    op.create_table(
        "gates",
        *_row_number("gates"),
        *map(_text, ("run_id", "gate", "verdict", "reason", "metric", "model", "profile")),
        sa.Column("value", sa.Float()),
        sa.Column("limit", sa.Float()),
        sa.Column("n", sa.Integer(), nullable=False),
        _child_of("runs", "gates", "run_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_gates_run_id", "gates", ["run_id"])
