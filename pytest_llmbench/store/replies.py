"""Replies, kept the moment they are complete, so that none is ever asked for twice; and the attempts that failed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select

from pytest_llmbench import clock
from pytest_llmbench.records import FailedAttempt, Reply
from pytest_llmbench.store.rows import dicts, insert, row_of
from pytest_llmbench.store.tables import failed_attempts, replies

Place = tuple[str, str, int]
"""Whose reply it is: the test's key, the request's hash, how many times the test had asked the same before."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A complete reply on its way into the store."""

    run_id: str
    test_key: str
    ordinal: int
    request: Mapping[str, Any]
    """What was asked, as sent; builtin types."""
    reply: Reply

    @property
    def place(self) -> Place:
        return self.test_key, self.reply.request_hash, self.ordinal

    def row(self, completed_at: str) -> dict[str, Any]:
        row = row_of(
            replies,
            self.reply,
            run_id=self.run_id,
            test_key=self.test_key,
            ordinal=self.ordinal,
            request=dict(self.request),
            completed_at=completed_at,
        )
        del row["id"]
        return row


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
    return save_all(connection, [Kept(run_id, test_key, ordinal, request, reply)])[0]


def save_all(connection: Connection, several: Sequence[Kept]) -> list[Reply]:
    """Keep replies; the first one to the same question stays.

    Returns:
        The replies that are kept, with their ids, in the order of `several`.
    """
    newest = connection.scalar(select(func.max(replies.c.id))) or 0
    at = clock.now().isoformat()
    connection.execute(insert(replies).on_conflict_do_nothing(), [kept.row(at) for kept in several])
    found = connection.execute(
        select(replies.c.id, replies.c.run_id, replies.c.test_key, replies.c.request_hash, replies.c.ordinal).where(
            replies.c.id > newest
        )
    )
    # Nobody else writes meanwhile: what is newer than the newest is ours.
    new = {(run_id, (test_key, request_hash, ordinal)): id_ for id_, run_id, test_key, request_hash, ordinal in found}
    return [_kept(connection, kept, new.pop((kept.run_id, kept.place), None)) for kept in several]


def _kept(connection: Connection, kept: Kept, new_id: int | None) -> Reply:
    if new_id is not None:
        return dataclasses.replace(kept.reply, id=str(new_id))
    return _reply(connection.execute(_to(kept.run_id, *kept.place)).mappings().one())


def find(connection: Connection, run_id: str, test_key: str, request_hash: str, ordinal: int) -> Reply | None:
    """The reply a test received to a request, for the `ordinal`-th time it asked it."""
    row = connection.execute(_to(run_id, test_key, request_hash, ordinal)).mappings().one_or_none()
    return None if row is None else _reply(row)


def models_asked(connection: Connection, run_id: str, test_key: str) -> list[str]:
    """The models that a test has replies of."""
    which = select(replies.c.model).where(replies.c.run_id == run_id, replies.c.test_key == test_key).distinct()
    return list(connection.scalars(which))


def places_of_run(connection: Connection, run_id: str) -> dict[Place, Reply]:
    """Every whole reply of the run, by whose it is."""
    rows = connection.execute(select(replies).where(replies.c.run_id == run_id)).mappings()
    found = {(row["test_key"], row["request_hash"], row["ordinal"]): _reply(row) for row in rows}
    return {place: reply for place, reply in found.items() if is_whole(reply)}


def is_whole(reply: Reply) -> bool:
    """Whether what the model said was kept with its numbers; without it a test cannot be given it again.

    Who said nothing, and has used up its tokens by thinking where nobody sees it, is known by what it was asked: that
    is kept with what was said, or neither.
    """
    said = reply.text or reply.reasoning or reply.tool_calls or reply.request
    return bool(said) or reply.usage.completion_tokens in {None, 0}


def of_run(connection: Connection, run_id: str) -> list[Reply]:
    """Every reply of the run, in the order in which they were kept."""
    rows = connection.execute(select(replies).where(replies.c.run_id == run_id).order_by(replies.c.id))
    return [_reply(row) for row in dicts(rows)]


def save_failed(connection: Connection, run_id: str, test_key: str, attempt: FailedAttempt) -> None:
    """Keep what is known of a request that failed."""
    row = row_of(failed_attempts, attempt, run_id=run_id, test_key=test_key)
    connection.execute(insert(failed_attempts).values(row))


def failed_of_run(connection: Connection, run_id: str) -> list[FailedAttempt]:
    """Every failed attempt of the run, in the order in which they were kept."""
    which = select(failed_attempts).where(failed_attempts.c.run_id == run_id).order_by(failed_attempts.c.id)
    return [FailedAttempt.from_dict({**row}) for row in connection.execute(which).mappings()]


def _reply(row: Mapping[str, Any] | RowMapping) -> Reply:
    return Reply.from_dict({**row, "id": str(row["id"])})


def _to(run_id: str, test_key: str, request_hash: str, ordinal: int) -> Select[Any]:
    return select(replies).where(
        replies.c.run_id == run_id,
        replies.c.test_key == test_key,
        replies.c.request_hash == request_hash,
        replies.c.ordinal == ordinal,
    )
