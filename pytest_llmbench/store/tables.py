"""The tables of the results database, as the newest migration leaves them.

    runs ─┬─ results          how each test ended; outcome NULL: started, not finished
          ├─ replies          what models answered, kept the moment they were complete
          ├─ spending         what of a budget is reserved, and what was settled
          ├─ batches ─── batch_questions  what lies with a provider's batch API
          ├─ failed_attempts  requests that failed
          ├─ measurements ─┬─ repetitions
          │                └─ monitor_samples  the machine beside them
          ├─ gates            what the rules decided
          ├─ cells            what a matrix plans, measures, skips
          ├─ lane_states      how the lines before models stand
          └─ summaries        the run in a few numbers, for histories

Columns bear the names of the record fields they hold, so a row becomes a record without a translation table. Types are
portable (SQLite now, PostgreSQL later): timestamps are ISO 8601 text in UTC, structures are JSON text.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)


class JsonText(TypeDecorator[Any]):
    """A structure as strict JSON text; NaN and infinity are refused, other readers could not parse them."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002 - the signature is SQLAlchemy's
        return json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - as above
        if value is None or value in _EMPTY:  # most rows, most columns
            return None if value is None else _EMPTY[value]()
        return json.loads(value)


class MaybeJson(JsonText):
    """As `JsonText`; nothing is NULL."""

    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # type: ignore[override]
        return None if value is None else super().process_bind_param(value, dialect)


_EMPTY: dict[str, type[Any]] = {"[]": list, "{}": dict}


class ModelText(TypeDecorator[str]):
    """Text that others wrote. Lone surrogates, which no database encodes, become U+FFFD instead of losing the row."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - as above
        if value is None or value.isascii():
            return value
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s",
    }
)


def _row_number() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _of_run(*, index: bool = False) -> Column[str]:
    return Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=index)


runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
    Column("exit_code", Integer),
    Column("host", JsonText, nullable=False),
    Column("environment", JsonText, nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("is_summed", Boolean, nullable=False, server_default=false()),
)

results = Table(
    "results",
    metadata,
    _row_number(),
    _of_run(),
    Column("key", Text, nullable=False),
    Column("nodeid", Text, nullable=False),
    Column("outcome", Text),
    Column("phase", Text, nullable=False),
    Column("message", ModelText, nullable=False),
    Column("category", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("sample", Text, nullable=False, server_default=text("''")),
    Column("duration_s", Float),
    Column("measurement_ids", JsonText, nullable=False),
    Column("reply_ids", JsonText, nullable=False),
    Column("evaluation", MaybeJson),
    Column("gates", JsonText, nullable=False, server_default=text("'[]'")),
    Column("rules", JsonText, nullable=False, server_default=text("'[]'")),
    Column("started_at", Text),
    Column("finished_at", Text),
    UniqueConstraint("run_id", "key"),
    sqlite_autoincrement=True,
)

replies = Table(
    "replies",
    metadata,
    _row_number(),
    _of_run(),
    Column("test_key", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("served_model", ModelText, nullable=False),
    Column("finish_reason", ModelText, nullable=False),
    Column("text", ModelText, nullable=False),
    Column("reasoning", ModelText, nullable=False),
    Column("streamed", Boolean, nullable=False),
    Column("usage", JsonText, nullable=False),
    Column("timing", JsonText, nullable=False),
    Column("events", JsonText, nullable=False),
    Column("request", JsonText, nullable=False),
    Column("completed_at", Text, nullable=False),
    Column("cost", JsonText, nullable=False, server_default="{}"),
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    Column("role", Text, nullable=False, server_default="subject"),
    Column("tool_calls", JsonText, nullable=False, server_default="[]"),
    UniqueConstraint("run_id", "test_key", "request_hash", "ordinal"),
    # Ids stand in results and reports as references: one of a removed run must not come to mean another reply.
    sqlite_autoincrement=True,
)

failed_attempts = Table(
    "failed_attempts",
    metadata,
    _row_number(),
    _of_run(index=True),
    Column("test_key", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("category", Text, nullable=False),
    Column("message", ModelText, nullable=False),
    Column("partial_text", ModelText, nullable=False),
    Column("at", Text, nullable=False),
    Column("usage", JsonText, nullable=False, server_default="{}"),
    Column("cost", JsonText, nullable=False, server_default="{}"),
    Column("role", Text, nullable=False, server_default="subject"),
    sqlite_autoincrement=True,
)

spending = Table(
    "spending",
    metadata,
    _row_number(),
    _of_run(),
    Column("question", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("use_case", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("reserved_usd", Text, nullable=False),
    Column("settled_usd", Text),
    Column("state", Text, nullable=False),
    Column("at", Text, nullable=False),
    UniqueConstraint("run_id", "question", "attempt"),
    sqlite_autoincrement=True,
)

batches = Table(
    "batches",
    metadata,
    _row_number(),
    _of_run(index=True),
    Column("provider_id", Text, nullable=False),
    Column("target", JsonText, nullable=False),
    Column("state", Text, nullable=False),
    Column("submitted_at", Text, nullable=False),
    Column("collected_at", Text),
    sqlite_autoincrement=True,
)

batch_questions = Table(
    "batch_questions",
    metadata,
    _row_number(),
    Column("batch", Integer, ForeignKey("batches.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("custom_id", Text, nullable=False),
    Column("question", JsonText, nullable=False),
    sqlite_autoincrement=True,
)

measurements = Table(
    "measurements",
    metadata,
    Column("id", Text, primary_key=True),
    _of_run(),
    Column("key", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("host_fingerprint", Text, nullable=False),
    Column("scalars", JsonText, nullable=False),
    Column("units", JsonText, nullable=False),
    Column("server", JsonText, nullable=False),
    Column("rating", Text, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("notes", JsonText, nullable=False),
    Column("tables", JsonText, nullable=False, server_default="[]"),
    Column("unavailable", JsonText, nullable=False, server_default="{}"),
    Column("client_error", JsonText, nullable=False, server_default="{}"),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
    UniqueConstraint("run_id", "key"),
)

repetitions = Table(
    "repetitions",
    metadata,
    _row_number(),
    Column("measurement_id", Text, ForeignKey("measurements.id", ondelete="CASCADE"), nullable=False),
    Column("idx", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("prompt", ModelText, nullable=False),
    Column("metrics", JsonText, nullable=False),
    Column("reply_id", Text, nullable=False),
    Column("timing", JsonText, nullable=False),
    Column("usage", JsonText, nullable=False),
    Column("completed_at", Text, nullable=False),
    Column("labels", JsonText, nullable=False, server_default="{}"),
    Column("at_s", Float),
    Column("dirty", Text, nullable=False, server_default=text("''")),
    Column("superseded", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("measurement_id", "idx"),
    sqlite_autoincrement=True,
)

monitor_samples = Table(
    "monitor_samples",
    metadata,
    _row_number(),
    Column("measurement_id", Text, ForeignKey("measurements.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at_s", Float, nullable=False),
    Column("readings", JsonText, nullable=False),
    sqlite_autoincrement=True,
)

gates = Table(
    "gates",
    metadata,
    _row_number(),
    _of_run(index=True),
    Column("gate", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("value", Float),
    Column("limit", Float),
    Column("n", Integer, nullable=False),
    Column("evidence", JsonText, nullable=False, server_default=text("'{}'")),
    sqlite_autoincrement=True,
)

summaries = Table(
    "summaries",
    metadata,
    _row_number(),
    _of_run(index=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("model", Text, nullable=False, index=True),
    Column("prompt", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("version", Text, nullable=False),
    Column("figures", JsonText, nullable=False),
    sqlite_autoincrement=True,
)

cells = Table(
    "cells",
    metadata,
    _row_number(),
    _of_run(),
    Column("key", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("profile", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("reason", ModelText, nullable=False),
    Column("evidence", JsonText, nullable=False),
    Column("expected", JsonText, nullable=False),
    Column("size_bytes", Integer),
    Column("bits_per_weight", Float),
    Column("parameters", Integer),
    Column("architecture", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("measurement_id", Text, nullable=False),
    Column("begun_at", Text, nullable=False),
    Column("duration_s", Float),
    UniqueConstraint("run_id", "key"),
    sqlite_autoincrement=True,
)

lane_states = Table(
    "lane_states",
    metadata,
    _row_number(),
    _of_run(),
    Column("model", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("limit", Integer, nullable=False),
    Column("in_flight", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("held_until", Text, nullable=False),
    Column("breaker", Text, nullable=False),
    Column("opened", Integer, nullable=False),
    Column("cuts", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("retries_left", Float),
    Column("at", Text, nullable=False),
    UniqueConstraint("run_id", "model", "account"),
    sqlite_autoincrement=True,
)
