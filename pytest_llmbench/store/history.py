"""What earlier runs tell: of a model that is about to be asked again, and of how a metric went over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, delete, select, type_coerce, update

from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import Host, PastRun, Reply, Summary
from pytest_llmbench.store.rows import dicts, insert, row_of
from pytest_llmbench.store.tables import replies, runs, summaries

_COLUMNS = (replies.c.model, replies.c.text, replies.c.usage, replies.c.timing, replies.c.request)
_PAST = (runs.c.started_at, runs.c.host, runs.c.environment, summaries)


def recent_replies(connection: Connection, model: str, limit: int) -> list[Reply]:
    """The last replies of a model, of all runs, the newest first; without what nobody needs for an estimate."""
    newest = select(*_COLUMNS).where(replies.c.model == model).order_by(replies.c.id.desc()).limit(limit)
    return [Reply.from_dict({**row}) for row in connection.execute(newest).mappings()]


def save_summaries(connection: Connection, run_id: str, several: Sequence[Summary]) -> None:
    """Replace the run's summaries, and mark it as summed up."""
    connection.execute(delete(summaries).where(summaries.c.run_id == run_id))
    if several:
        connection.execute(insert(summaries), [row_of(summaries, each, run_id=run_id) for each in several])
    connection.execute(update(runs).where(runs.c.id == run_id).values(is_summed=True))


def not_summed(connection: Connection) -> list[str]:
    """The ids of runs that came to their end and have no summaries yet, the oldest first."""
    ended = runs.c.finished_at.is_not(None) & (runs.c.exit_code != int(ExitCode.INTERRUPTED))
    which = select(runs.c.id).where(ended, runs.c.is_summed.is_(False)).order_by(runs.c.started_at)
    return list(connection.scalars(which).all())


def with_metric(connection: Connection, metric: str) -> list[PastRun]:
    """The summaries of all runs that know a metric, the oldest first."""
    # The texts are searched as they are stored: most summaries of a large database need not be read then.
    figures = type_coerce(summaries.c.figures, Text)
    knowing = _ended().where(figures.contains(f'"metric":"{metric}"', autoescape=True))
    return _past(connection, knowing.order_by(runs.c.started_at, runs.c.id, summaries.c.id))


def like(connection: Connection, summary: Summary, until: str, limit: int) -> list[PastRun]:
    """The last runs that asked the same of the same model, the oldest first.

    Args:
        connection: of the database.
        summary: says what was asked.
        until: when the last of them started, at most.
        limit: how many, at most.
    """
    same: list[ColumnElement[bool]] = [
        summaries.c[name] == getattr(summary, name) for name in ("model", "kind", "name", "prompt", "key")
    ]
    until_then = _ended().where(*same, runs.c.started_at <= until)
    newest = until_then.order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(limit)
    return _past(connection, newest)[::-1]


def _ended() -> Select[Any]:
    """Summaries of runs that came to their end; one that is gone on with is none until it does again."""
    return select(*_PAST).join(runs, runs.c.id == summaries.c.run_id).where(runs.c.finished_at.is_not(None))


def _past(connection: Connection, which: Select[Any]) -> list[PastRun]:
    rows = dicts(connection.execute(which))
    return [
        PastRun(
            run_id=row["run_id"],
            started_at=row["started_at"],
            host=Host.from_dict(row["host"]),
            environment=row["environment"],
            summary=Summary.from_dict(row),
        )
        for row in rows
    ]
