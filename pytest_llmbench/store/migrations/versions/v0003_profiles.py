"""What profiles find: labels and marks of repetitions, tables of measurements, the system monitor's samples."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, with what they say of rows that know nothing of them, and the table."""
    op.add_column("measurements", _text("tables", "[]"))
    op.add_column("measurements", _text("unavailable", "{}"))
    op.add_column("measurements", _text("client_error", "{}"))
    op.add_column("repetitions", _text("labels", "{}"))
    op.add_column("repetitions", sa.Column("at_s", sa.Float()))
    op.add_column("repetitions", _text("dirty", ""))
    op.add_column("repetitions", sa.Column("superseded", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "monitor_samples",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("measurement_id", sa.Text(), nullable=False),
        sa.Column("at_s", sa.Float(), nullable=False),
        sa.Column("readings", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_monitor_samples"),
        sa.ForeignKeyConstraint(
            ["measurement_id"], ["measurements.id"], name="fk_monitor_samples_measurement_id", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_monitor_samples_measurement_id", "monitor_samples", ["measurement_id"])


def downgrade() -> None:
    """Drop the table and the columns."""
    op.drop_table("monitor_samples")
    for column in ("superseded", "dirty", "at_s", "labels"):
        op.drop_column("repetitions", column)
    for column in ("client_error", "unavailable", "tables"):
        op.drop_column("measurements", column)


def _text(name: str, default: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default)
