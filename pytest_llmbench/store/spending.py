"""What of a budget is reserved for calls under way, and what calls turned out to cost; survives whoever reserved it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select, update

from pytest_llmbench import clock
from pytest_llmbench.records import Cost, FailedAttempt, Record
from pytest_llmbench.records.asked import UNKNOWN_COST
from pytest_llmbench.store import replies as kept
from pytest_llmbench.store.rows import insert, row_of
from pytest_llmbench.store.tables import failed_attempts, replies, spending

_KILLED = "under way when its session was killed: what had come of it is lost"


@dataclass(frozen=True, slots=True)
class Spending(Record):
    """One attempt at one question: what was reserved for it, and what it cost."""

    question: str
    """Id of the question."""
    attempt: int
    """From 1, over all sessions of the run."""
    model: str
    use_case: str
    role: str
    reserved_usd: str
    """The most it could cost, in US dollars as decimal text."""
    state: str
    """`reserved`, `settled`, or `unknown`: it is over, and nobody told what it cost."""
    at: str
    """When that became so; ISO 8601, UTC."""
    settled_usd: str | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has spent before this session."""

    by_model: Mapping[str, Decimal] = field(default_factory=dict)
    """Known costs of all stored replies and failed attempts, in US dollars."""
    rows: tuple[Spending, ...] = ()
    """The account, in the order in which it was kept."""


def save(connection: Connection, entries: Sequence[tuple[str, Spending]]) -> list[None]:
    """Write entries (run id, entry), in their order; the last one of an attempt stands.

    A session that was taken for killed may live: the end of its attempt takes back what `close_left` told of it.
    """
    for run_id, entry in entries:
        if entry.state != "reserved":
            _take_back(connection, run_id, entry)
        row = row_of(spending, entry, run_id=run_id)
        changed = {name: row[name] for name in ("settled_usd", "state", "at")}
        place = ["run_id", "question", "attempt"]
        connection.execute(insert(spending).values(row).on_conflict_do_update(index_elements=place, set_=changed))
    return [None] * len(entries)


def of_run(connection: Connection, run_id: str) -> Spent:
    """What the run has spent."""
    found = connection.execute(select(spending).where(spending.c.run_id == run_id).order_by(spending.c.id))
    rows = tuple(Spending.from_dict({**row}) for row in found.mappings())
    by_model: defaultdict[str, Decimal] = defaultdict(Decimal)
    for table in (replies, failed_attempts):
        for model, cost in _costs(connection, table, run_id):
            by_model[model] += cost.spent
    return Spent(dict(by_model), rows)


def close_left(connection: Connection, run_id: str, lying: Collection[str]) -> None:
    """Count what was under way when its session was killed among the attempts that failed: nobody knows what it cost.

    Args:
        connection: of a transaction that writes.
        run_id: a run that goes on, before anything is asked.
        lying: questions, by their ids, that lie with a batch API: what is reserved for them waits for their replies.
    """
    at = clock.now().isoformat()
    for row in of_run(connection, run_id).rows:
        if row.state == "reserved" and row.question not in lying:
            kept.save_failed(connection, run_id, "", _left(row, at))
            mine = (spending.c.question == row.question) & (spending.c.attempt == row.attempt)
            connection.execute(update(spending).where(spending.c.run_id == run_id, mine).values(state="unknown", at=at))


def _left(row: Spending, at: str) -> FailedAttempt:
    cost = UNKNOWN_COST if Decimal(row.reserved_usd) else Cost("0", "free")
    return FailedAttempt(row.model, "", row.attempt, "cancelled", _KILLED, "", at, cost=cost, role=row.role)


def _take_back(connection: Connection, run_id: str, entry: Spending) -> None:
    mine = (spending.c.question == entry.question) & (spending.c.attempt == entry.attempt)
    closed = select(spending.c.at).where(spending.c.run_id == run_id, mine, spending.c.state == "unknown")
    if (at := connection.scalar(closed)) is not None:
        told = row_of(failed_attempts, _left(entry, at), run_id=run_id, test_key="")
        one = select(func.min(failed_attempts.c.id)).select_from(failed_attempts).filter_by(**told)  # others are alike
        connection.execute(delete(failed_attempts).where(failed_attempts.c.id == one.scalar_subquery()))


def _costs(connection: Connection, table: Table, run_id: str) -> list[tuple[str, Cost]]:
    chosen: Any = select(table.c.model, table.c.cost).where(table.c.run_id == run_id)
    return [(model, Cost.from_dict(cost)) for model, cost in connection.execute(chosen)]
