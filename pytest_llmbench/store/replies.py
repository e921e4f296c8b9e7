"""Replies, kept the moment they are complete, so that none is ever asked for twice; and the attempts that failed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, select

from pytest_llmbench import clock
from pytest_llmbench.records import FailedAttempt, Reply
from pytest_llmbench.store.rows import insert, row_of
from pytest_llmbench.store.tables import failed_attempts, replies


def save(
    connection: Connection, run_id: str, test_key: str, ordinal: int, *, request: Mapping[str, Any], reply: Reply
) -> Reply:
    """Keep a reply; the first one to the same question stays.

    Args:
        run_id: the run it belongs to.
        test_key: the test that asked.
        ordinal: how many times this test had asked the same before.
        request: what was asked, as sent; builtin types.
        reply: a complete reply.

    Returns:
        The reply that is kept, with its id.
    """
    row = row_of(
        replies,
        reply,
        run_id=run_id,
        test_key=test_key,
        ordinal=ordinal,
        request=dict(request),
        completed_at=clock.now().isoformat(),
    )
    del row["id"]
    kept = connection.execute(insert(replies).values(row).on_conflict_do_nothing().returning(replies.c.id)).scalar()
    if kept is not None:
        return dataclasses.replace(reply, id=str(kept))
    return _reply(connection.execute(_to(run_id, test_key, reply.request_hash, ordinal)).mappings().one())


def find(connection: Connection, run_id: str, test_key: str, request_hash: str, ordinal: int) -> Reply | None:
    """The reply a test received to a request, for the `ordinal`-th time it asked it."""
    row = connection.execute(_to(run_id, test_key, request_hash, ordinal)).mappings().one_or_none()
    return None if row is None else _reply(row)


def of_run(connection: Connection, run_id: str) -> list[Reply]:
    """Every reply of the run, in the order in which they were kept."""
    rows = connection.execute(select(replies).where(replies.c.run_id == run_id).order_by(replies.c.id))
    return [_reply(row) for row in rows.mappings()]


def save_failed(connection: Connection, run_id: str, test_key: str, attempt: FailedAttempt) -> None:
    """Keep what is known of a request that failed."""
    row = row_of(failed_attempts, attempt, run_id=run_id, test_key=test_key)
    connection.execute(insert(failed_attempts).values(row))


def failed_of_run(connection: Connection, run_id: str) -> list[FailedAttempt]:
    """Every failed attempt of the run, in the order in which they were kept."""
    which = select(failed_attempts).where(failed_attempts.c.run_id == run_id).order_by(failed_attempts.c.id)
    return [FailedAttempt.from_dict({**row}) for row in connection.execute(which).mappings()]


def _reply(row: RowMapping) -> Reply:
    return Reply.from_dict({**row, "id": str(row["id"])})


def _to(run_id: str, test_key: str, request_hash: str, ordinal: int) -> Select[Any]:
    return select(replies).where(
        replies.c.run_id == run_id,
        replies.c.test_key == test_key,
        replies.c.request_hash == request_hash,
        replies.c.ordinal == ordinal,
    )
