"""What came in since somebody last looked, and how things stand: for whoever watches runs while they go on.

Replies and failed attempts are only ever added, so each is read once: by its number, which rises with every commit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Float, Select, Table, Text, cast, func, select, type_coerce

from pytest_llmbench.records import LaneState
from pytest_llmbench.store import lane_states
from pytest_llmbench.store.tables import failed_attempts, gates, replies, results, runs, spending


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far somebody has read."""

    run_id: str = ""
    """The run that is watched; empty: all of them."""
    reply: int = 0
    """The number of the last reply that was read."""
    failure: int = 0
    """The number of the last failed attempt that was read."""


class Answer(NamedTuple):
    """What of a stored reply is counted."""

    id: int
    run_id: str
    model: str
    role: str
    usage: Mapping[str, Any]
    timing: Mapping[str, Any]
    cost: Mapping[str, Any]
    attempts: int
    at: str
    """When it was complete; ISO 8601, UTC."""


class Failure(NamedTuple):
    """What of a failed attempt is counted."""

    id: int
    run_id: str
    model: str
    role: str
    category: str
    number: int
    """Which attempt at its question it was, from 1."""
    usage: Mapping[str, Any]
    cost: Mapping[str, Any]
    at: str


@dataclass(frozen=True, slots=True)
class RunHead:
    """Of a run that is watched."""

    id: str
    started_at: str
    finished_at: str | None
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How the watched runs stand."""

    runs: tuple[RunHead, ...] = ()
    """The newest first."""
    tests: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(Model, outcome) → tests; an empty outcome: begun and not ended."""
    gates: Mapping[str, int] = field(default_factory=dict)
    """Verdict → gates."""
    lanes: tuple[LaneState, ...] = ()
    """Of the newest run."""
    trouble: Mapping[str, lane_states.Trouble] = field(default_factory=dict)
    """Model → how often its lines were held up, in all runs that are watched."""
    settled_usd: Mapping[str, float] = field(default_factory=dict)
    """Model → what was settled in the newest run's budget."""
    reserved_usd: float = 0.0
    """What is reserved in it, for calls under way and for those of unknown cost."""
    cap_usd: str = ""
    """The most that the newest run may spend, as decimal text; empty: as much as it likes."""
    is_caching: bool = False
    """Whether the newest run looks replies up in a response cache."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found."""

    answers: Sequence[Answer]
    failures: Sequence[Failure]
    cursor: Cursor
    """Where the next one goes on."""
    standing: Standing | None
    """None: there is more to be read before it matters."""


def newest_run(connection: Connection) -> str:
    """The id of the run that began last; empty where there is none."""
    return connection.scalar(select(runs.c.id).order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(1)) or ""


def beginning(connection: Connection, run_id: str) -> Cursor:
    """Where reading a run begins; its rows may lie behind a million of others'."""
    return Cursor(
        run_id, _before_first(connection, replies, run_id), _before_first(connection, failed_attempts, run_id)
    )


def look(connection: Connection, cursor: Cursor, most: int) -> Look:
    """What came since.

    Args:
        connection: one snapshot of the database.
        cursor: of the look before.
        most: so many replies, and so many failed attempts, at once.
    """
    found = connection.execute(_since(replies, _ANSWER, cursor.reply, cursor.run_id).limit(most))
    answers = [Answer(*row)._replace(timing=json.loads(_GAPS.sub("", row.timing, count=1))) for row in found]
    found = connection.execute(_since(failed_attempts, _FAILURE, cursor.failure, cursor.run_id).limit(most))
    failures = [Failure(*row) for row in found]
    is_all = len(answers) < most and len(failures) < most
    following = Cursor(
        cursor.run_id,
        answers[-1].id if len(answers) == most else _last(connection, replies, cursor.reply),
        failures[-1].id if len(failures) == most else _last(connection, failed_attempts, cursor.failure),
    )
    return Look(answers, failures, following, _standing(connection, cursor.run_id) if is_all else None)


def run_head(connection: Connection, run_id: str) -> RunHead | None:
    """When a run began and ended; None where there is none of this id."""
    head = connection.execute(select(*_HEAD).where(runs.c.id == run_id)).one_or_none()
    return None if head is None else RunHead(*head)


_GAPS = re.compile(r'"gaps_s":\[[^]]*\],?')
"""Of a reply of a thousand tokens these are a thousand numbers, and none of them is counted."""
_HEAD = (runs.c.id, runs.c.started_at, runs.c.finished_at, runs.c.exit_code)
_ANSWER = ("id", "run_id", "model", "role", "usage", "timing", "cost", "attempts", "completed_at")
_FAILURE = ("id", "run_id", "model", "role", "category", "number", "usage", "cost", "at")


def _since(table: Table, names: Sequence[str], after: int, run_id: str) -> Select[Any]:
    columns = (type_coerce(table.c[name], Text).label(name) if name == "timing" else table.c[name] for name in names)
    which = select(*columns).where(table.c.id > after).order_by(table.c.id)
    # Not the bare column: an index of runs would be chosen, and all rows of the run read at each look.
    return which.where(table.c.run_id.concat("") == run_id) if run_id else which


def _before_first(connection: Connection, table: Table, run_id: str) -> int:
    first = connection.scalar(select(func.min(table.c.id)).where(table.c.run_id == run_id)) if run_id else 1
    return _last(connection, table, 0) if first is None else first - 1


def _last(connection: Connection, table: Table, at_least: int) -> int:
    return max(at_least, connection.scalar(select(func.max(table.c.id))) or 0)


def _standing(connection: Connection, run_id: str) -> Standing:
    heads = select(*_HEAD)
    heads = _of(runs.c.id, run_id, heads).order_by(runs.c.started_at.desc(), runs.c.id.desc())
    watched = tuple(RunHead(*row) for row in connection.execute(heads))
    newest = watched[0].id if watched else ""
    tests = select(results.c.model, func.coalesce(results.c.outcome, ""), func.count())
    tests = _of(results.c.run_id, run_id, tests).group_by(results.c.model, results.c.outcome)
    verdicts = _of(gates.c.run_id, run_id, select(gates.c.verdict, func.count())).group_by(gates.c.verdict)
    return Standing(
        watched,
        {(model, outcome): count for model, outcome, count in connection.execute(tests)},
        dict(connection.execute(verdicts).all()),
        tuple(lane_states.of_run(connection, newest)),
        lane_states.trouble(connection, run_id),
        *_money(connection, newest),
        *_chosen(connection, newest),
    )


def _money(connection: Connection, run_id: str) -> tuple[Mapping[str, float], float]:
    """What is settled by model, and what is reserved: as figures to look at, not as the account itself."""
    settled = cast(spending.c.settled_usd, Float)
    by_model = select(spending.c.model, func.sum(settled)).where(spending.c.run_id == run_id)
    open_usd = select(func.sum(cast(spending.c.reserved_usd, Float)))
    reserved = open_usd.where(spending.c.run_id == run_id, spending.c.settled_usd.is_(None))
    found = connection.execute(by_model.group_by(spending.c.model))
    return {model: usd or 0.0 for model, usd in found}, connection.scalar(reserved) or 0.0


def _chosen(connection: Connection, run_id: str) -> tuple[str, bool]:
    """What the run may spend by its own settings, and whether it has a response cache."""
    found = connection.execute(select(runs.c.settings, runs.c.environment).where(runs.c.id == run_id)).one_or_none()
    if found is None:
        return "", False
    cap_usd = found.settings.get("max_cost") or found.environment.get("budget_usd") or ""
    return str(cap_usd), found.settings.get("cache", "off") != "off"


def _of(column: ColumnElement[str], run_id: str, which: Select[Any]) -> Select[Any]:
    return which.where(column == run_id) if run_id else which
