"""Runs: their headers, and finding one by what a user types."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select, update

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, StoreError, UsageError
from pytest_llmbench.records import Run
from pytest_llmbench.store.rows import insert, row_of
from pytest_llmbench.store.tables import runs

LAST = "last"
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


def ensure(connection: Connection, run: Run) -> None:
    """Insert the header; whoever comes second changes nothing."""
    connection.execute(insert(runs).values(row_of(runs, run)).on_conflict_do_nothing())


def reopen(connection: Connection, run_id: str) -> None:
    """Mark the run as going on again."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(finished_at=None, exit_code=None))


def finish(connection: Connection, run_id: str, exit_code: int) -> None:
    """Mark the run as ended now.

    Raises:
        StoreError: no such run (it was removed meanwhile).
    """
    ended = {"finished_at": clock.now().isoformat(), "exit_code": exit_code}
    if not connection.execute(update(runs).where(runs.c.id == run_id).values(ended)).rowcount:
        raise StoreError(
            f"run {run_id} is not in the results database",
            category=Category.STORE,
            hint="was it removed (`llmbench runs rm`) while it was going on?",
        )


def save_settings(connection: Connection, run_id: str, settings: Mapping[str, Any]) -> None:
    """Write the settings of a run anew; nothing happens where it is gone."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(settings=dict(settings)))


def save_environment(connection: Connection, run_id: str, environment: Mapping[str, Any]) -> None:
    """Write what is known of a run's surroundings anew; nothing happens where it is gone."""
    connection.execute(update(runs).where(runs.c.id == run_id).values(environment=dict(environment)))


def headers(connection: Connection) -> list[Run]:
    """Every run without its rows, newest first."""
    rows = connection.execute(select(runs).order_by(runs.c.started_at.desc(), runs.c.id.desc())).mappings()
    return [Run.from_dict({**row}) for row in rows]


def header(connection: Connection, run_id: str) -> Run:
    """One run without its rows; `run_id` is exact."""
    row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().one()
    return Run.from_dict({**row})


def remove(connection: Connection, run_id: str) -> None:
    """Delete the run; its rows in all other tables go with it (ON DELETE CASCADE)."""
    connection.execute(delete(runs).where(runs.c.id == run_id))


def resolve(connection: Connection, wanted: str) -> str:
    """The id of the run a user means.

    Args:
        wanted: an exact id, the beginning of exactly one, or `last` for the newest.

    Raises:
        UsageError: none or several fit; near ones are named. Or its id cannot be the name of a folder.
    """
    newest_first = select(runs.c.id).order_by(runs.c.started_at.desc(), runs.c.id.desc())
    ids: Sequence[str] = connection.scalars(newest_first).all()
    if wanted in ids:
        return _usable(wanted)
    if wanted == LAST and ids:
        return _usable(ids[0])
    fitting = [run_id for run_id in ids if wanted and run_id.startswith(wanted)]
    if len(fitting) != 1:
        raise _not_found(wanted, ids, fitting)
    return _usable(fitting[0])


def _usable(run_id: str) -> str:
    """Folders are named after runs: an id that leads out of them comes from somebody else's file."""
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"the run {run_id!r:.200} is none of ours: an id is letters, digits, '.', '_' and '-'",
            hint="where does this results database come from? Nothing was read, written or removed",
        )
    return run_id


def _not_found(wanted: str, ids: Sequence[str], fitting: Sequence[str]) -> UsageError:
    if fitting:
        return UsageError(
            f"{wanted!r} is the beginning of {len(fitting)} runs: {_some(fitting)}", hint="type more of the id."
        )
    if not ids:
        return UsageError(
            f"there is no run {wanted!r}; no run is stored yet", hint="pytest or `llmbench run` makes one."
        )
    near = difflib.get_close_matches(wanted, ids, n=3, cutoff=0.5)
    named = f"near ones: {_some(near)}" if near else f"the newest are: {_some(ids)}"
    return UsageError(
        f"there is no run {wanted!r}; {named}", hint="`llmbench runs list` shows all; `last` is the newest."
    )


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
