"""How each test ended, and what the gates decided over all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from sqlalchemy import ColumnElement, Connection, delete, or_, select

from pytest_llmbench import clock
from pytest_llmbench.records import GateResult, TestResult
from pytest_llmbench.store.rows import Insert, dicts, insert, row_of
from pytest_llmbench.store.tables import gates, results, runs


def start(connection: Connection, run_id: str, nodeid: str, key: str, model: str = "") -> None:
    """Write that the test is under way; a result of an earlier attempt is replaced, it is no longer the last word."""
    tell_all(connection, [Told(run_id, TestResult(nodeid, key, outcome="", model=model))])


def save(connection: Connection, run_id: str, result: TestResult) -> None:
    """Write how the test ended, started or not."""
    tell_all(connection, [Told(run_id, result)])


@dataclass(frozen=True, slots=True)
class Told:
    """What became known of a test."""

    run_id: str
    result: TestResult
    """Without an outcome: that it is under way."""
    at: str = field(default_factory=lambda: clock.now().isoformat())
    """When it became known: a worker's word that a test begins may arrive after the controller's that it ended."""


def tell_all(connection: Connection, several: Sequence[Told]) -> list[None]:
    """Write that tests are under way, as `start`, and how tests ended, as `save`; in their order, in few statements."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for told in several:
        place, result = (told.run_id, told.result.key), told.result
        if result.outcome:
            ended = row_of(results, result, run_id=told.run_id, finished_at=told.at)
            rows[place] = rows.get(place, {}) | ended
        else:
            rows[place] = _blank(told.run_id, result, started_at=told.at)
    for alike in _alike(rows.values()):
        connection.execute(_upserting(frozenset(alike[0]), only_begins=alike[0]["outcome"] is None), alike)
    return [None] * len(several)


def finished(connection: Connection, run_id: str) -> list[TestResult]:
    """The results with an outcome, in the order in which their tests were first started."""
    return _select(connection, run_id, results.c.outcome.is_not(None))


def unfinished(connection: Connection, run_id: str) -> list[TestResult]:
    """What was started and has no outcome, as results whose `outcome` is empty."""
    return _select(connection, run_id, results.c.outcome.is_(None) & results.c.started_at.is_not(None))


def find(connection: Connection, run_id: str, nodeid: str) -> TestResult | None:
    """What is known of a test, also where it has no outcome, or never began."""
    return next(iter(_select(connection, run_id, results.c.nodeid == nodeid)), None)


def last_of_use_case(connection: Connection, use_case: str, before: str) -> list[TestResult]:
    """The results of a use case in the newest run that ended and has some; `before`: a run that does not count."""
    ended = runs.c.finished_at.is_not(None) & (runs.c.id != before)
    newest_first = select(runs.c.id).where(ended).order_by(runs.c.started_at.desc(), runs.c.id.desc())
    for run_id in connection.scalars(newest_first).all():
        told = _select(connection, run_id, results.c.outcome.is_not(None) & results.c.evaluation.is_not(None))
        if of_it := [each for each in told if each.evaluation and each.evaluation.use_case == use_case]:
            return of_it
    return []


def save_gates(connection: Connection, run_id: str, decided: Sequence[GateResult]) -> None:
    """Replace the run's gate results."""
    connection.execute(delete(gates).where(gates.c.run_id == run_id))
    if decided:
        connection.execute(insert(gates), [row_of(gates, gate, run_id=run_id) for gate in decided])


def gates_of(connection: Connection, run_id: str) -> list[GateResult]:
    """The run's gate results, in the order in which they were decided."""
    rows = connection.execute(select(gates).where(gates.c.run_id == run_id).order_by(gates.c.id))
    return [GateResult.from_dict({**row}) for row in rows.mappings()]


def _blank(run_id: str, begun: TestResult, *, started_at: str | None) -> dict[str, object]:
    blank = TestResult(nodeid=begun.nodeid, key=begun.key, outcome="", model=begun.model)
    return row_of(results, blank, run_id=run_id, outcome=None, started_at=started_at, finished_at=None)


def _alike(rows: Iterable[dict[str, object]]) -> Iterable[list[dict[str, object]]]:
    """Rows of the same columns and kind."""
    groups: defaultdict[tuple[bool, bool], list[dict[str, object]]] = defaultdict(list)
    for row in rows:
        groups["started_at" in row, row["outcome"] is None].append(row)
    return groups.values()


@cache
def _upserting(columns: frozenset[str], *, only_begins: bool) -> Insert:
    """Made once: it takes longer to make than to run."""
    new = insert(results)
    changed = {name: new.excluded[name] for name in columns - {"run_id", "key"}}
    ended_before = or_(results.c.finished_at.is_(None), results.c.finished_at < new.excluded.started_at)
    return new.on_conflict_do_update(
        index_elements=["run_id", "key"], set_=changed, where=ended_before if only_begins else None
    )


def _select(connection: Connection, run_id: str, which: ColumnElement[bool]) -> list[TestResult]:
    rows = connection.execute(select(results).where(results.c.run_id == run_id, which).order_by(results.c.id))
    return [TestResult.from_dict({**row, "outcome": row["outcome"] or ""}) for row in dicts(rows)]
