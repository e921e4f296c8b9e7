"""How each test ended, and what the gates decided over all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, delete, select

from pytest_llmbench import clock
from pytest_llmbench.records import GateResult, TestResult
from pytest_llmbench.store.rows import insert, row_of
from pytest_llmbench.store.tables import gates, results


def expect(connection: Connection, run_id: str, tests: Iterable[tuple[str, str]]) -> None:
    """Write that these tests (node id, key) are going to run; what is known of them already stays."""
    if rows := [_blank(run_id, nodeid, key, started_at=None) for nodeid, key in tests]:
        connection.execute(insert(results).on_conflict_do_nothing(), rows)


def start(connection: Connection, run_id: str, nodeid: str, key: str) -> None:
    """Write that the test is under way; a result of an earlier attempt is replaced, it is no longer the last word."""
    _upsert(connection, _blank(run_id, nodeid, key, started_at=clock.now().isoformat()))


def save(connection: Connection, run_id: str, result: TestResult) -> None:
    """Write how the test ended, started or not."""
    _upsert(connection, row_of(results, result, run_id=run_id, finished_at=clock.now().isoformat()))


def finished(connection: Connection, run_id: str) -> list[TestResult]:
    """The results with an outcome, in the order in which their tests were first started."""
    return _select(connection, run_id, results.c.outcome.is_not(None))


def unfinished(connection: Connection, run_id: str) -> list[TestResult]:
    """What was started and has no outcome, as results whose `outcome` is empty."""
    return _select(connection, run_id, results.c.outcome.is_(None) & results.c.started_at.is_not(None))


def find(connection: Connection, run_id: str, nodeid: str) -> TestResult | None:
    """What is known of a test, also where it has no outcome, or never began."""
    return next(iter(_select(connection, run_id, results.c.nodeid == nodeid)), None)


def forget_unstarted(connection: Connection, run_id: str) -> None:
    """Delete what was expected and never began: the session ended before."""
    never = results.c.outcome.is_(None) & results.c.started_at.is_(None)
    connection.execute(delete(results).where(results.c.run_id == run_id, never))


def save_gates(connection: Connection, run_id: str, decided: Sequence[GateResult]) -> None:
    """Replace the run's gate results."""
    connection.execute(delete(gates).where(gates.c.run_id == run_id))
    if decided:
        connection.execute(insert(gates), [row_of(gates, gate, run_id=run_id) for gate in decided])


def gates_of(connection: Connection, run_id: str) -> list[GateResult]:
    """The run's gate results, in the order in which they were decided."""
    rows = connection.execute(select(gates).where(gates.c.run_id == run_id).order_by(gates.c.id))
    return [GateResult.from_dict({**row}) for row in rows.mappings()]


def _blank(run_id: str, nodeid: str, key: str, *, started_at: str | None) -> dict[str, object]:
    blank = TestResult(nodeid=nodeid, key=key, outcome="")
    return row_of(results, blank, run_id=run_id, outcome=None, started_at=started_at, finished_at=None)


def _upsert(connection: Connection, row: dict[str, object]) -> None:
    changed = {name: value for name, value in row.items() if name not in {"run_id", "key"}}
    connection.execute(
        insert(results).values(row).on_conflict_do_update(index_elements=["run_id", "key"], set_=changed)
    )


def _select(connection: Connection, run_id: str, which: ColumnElement[bool]) -> list[TestResult]:
    rows = connection.execute(select(results).where(results.c.run_id == run_id, which).order_by(results.c.id))
    return [TestResult.from_dict({**row, "outcome": row["outcome"] or ""}) for row in rows.mappings()]
