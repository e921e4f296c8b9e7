"""Copy what can be read of a damaged results database into a new one.

Tables are read by row number, and what cannot be read is stepped over. That needs the table's inner pages to be whole:
`sqlite3 FILE .recover`, which reads pages without them, can find more where it is at hand.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    NullPool,
    Row,
    Table,
    TableClause,
    column,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    literal_column,
    or_,
    select,
    table,
)
from sqlalchemy.exc import DatabaseError

from pytest_llmbench import clock
from pytest_llmbench.records import Host, Record, Run
from pytest_llmbench.store.check import present_tables, reading
from pytest_llmbench.store.database import built
from pytest_llmbench.store.failures import BY_PAGES, MOVE_AWAY, explained, store_error
from pytest_llmbench.store.rows import row_of
from pytest_llmbench.store.sqlite_file import companions, connect, refuse_if_open, remove_companions
from pytest_llmbench.store.tables import JsonText, measurements, metadata, monitor_samples, repetitions, runs

_rowid: ColumnElement[int] = literal_column("rowid")
_BLIND_STEPS = 1_000
"""How far to look for rows of a table whose last row number nobody tells."""
_GAP_STEPS = 20_000
"""How many row numbers in a row may be unreadable before the rest of a table is given up: more than on many pages."""


@dataclass(frozen=True, slots=True)
class Salvage(Record):
    """What was saved, and what of it is incomplete."""

    source: str
    target: str
    rows: Mapping[str, int]
    """Table → rows in the new database."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Table → rows that could be read and yet not be used: garbled, or without the measurement they belong to."""
    headless_runs: tuple[str, ...] = ()
    """Runs whose header was lost: machine, settings and times are blank, their results and replies are there."""


def salvage(source: Path, target: Path) -> Salvage:
    """Copy all readable rows of `source` into a new database at `target`; `source` is not changed.

    Raises:
        StoreError: nothing can be read, or `target` exists or cannot be written.
    """
    if target.exists():
        raise store_error(target, "it exists already", "name a file that does not exist.")
    with reading(source) as old:
        tables = _tables(source, old)
        with explained(target), built(target) as unfinished, _filling(unfinished) as new:
            read = {each.name: _copy(old, new, each) for each in tables}
            for each in tables:
                _drop_garbled(new, each)
            headless = _give_heads(new)
            for child in (repetitions, monitor_samples):
                new.execute(delete(child).where(child.c.measurement_id.not_in(select(measurements.c.id))))
            kept = {each.name: new.scalar(select(func.count()).select_from(each)) or 0 for each in tables}
    dropped = {name: read[name] - kept[name] for name in kept if read[name] > kept[name]}
    return Salvage(str(source), str(target), kept, dropped, headless)


def recover(path: Path) -> tuple[Salvage, Path]:
    """Put a new database with all that can be read of `path` in its place, and the damaged file aside.

    Returns:
        What was saved, and where the damaged file is now; its journals lie beside it.

    Raises:
        StoreError: another process has it open, or nothing can be read; `path` stays as it is.
    """
    aside = path.with_name(f"{path.name}.damaged-{clock.now():%Y%m%dT%H%M%SZ}")
    fresh = path.with_name(path.name + ".recovered")
    with explained(path):
        # Copies, not moves: a moment without a file under the name, and the next run would begin an empty one.
        for file, copy in zip((path, *companions(path)), (aside, *companions(aside)), strict=True):
            if file.exists():
                shutil.copy2(file, copy)
        try:
            refuse_if_open(path)
            fresh.unlink(missing_ok=True)
            saved = salvage(aside, fresh)
            _drop_leftovers(aside)
        except BaseException:
            for copy in (aside, *companions(aside)):
                copy.unlink(missing_ok=True)
            raise
        remove_companions(path)
        fresh.replace(path)
    return dataclasses.replace(saved, source=str(path), target=str(path)), aside


def _drop_leftovers(path: Path) -> None:
    """Delete what reading alone has left: an empty log, and its index, which is made from it."""
    log, index, _ = companions(path)
    index.unlink(missing_ok=True)
    if log.exists() and not log.stat().st_size:
        log.unlink()


def _tables(source: Path, old: Connection) -> list[Table]:
    try:
        tables = present_tables(old)
    except DatabaseError as error:
        raise store_error(
            source, f"its list of tables is damaged, so no row is found ({error.orig})", BY_PAGES
        ) from error
    if not tables:
        raise store_error(source, "none of our tables is in it", MOVE_AWAY)
    return tables


@contextmanager
def _filling(path: Path) -> Iterator[Connection]:
    """One transaction on a new database, without a check of references: parents may be missing for a while."""
    engine = create_engine("sqlite://", creator=lambda: connect(path, foreign_keys=False), poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.begin() as connection:
        yield connection


def _copy(old: Connection, new: Connection, copied: Table) -> int:
    """Copy the readable rows of one table as they are; returns how many there were."""
    there = {each["name"] for each in inspect(old).get_columns(copied.name)}
    raw = table(copied.name, *(column(each.name) for each in copied.columns if each.name in there))
    statement = insert(raw).prefix_with("OR IGNORE")  # a damaged row may be met twice, or have NULL where none may be
    count = 0
    for row in _readable(old, raw):
        count += 1
        new.execute(statement, dict(zip(raw.columns.keys(), row[1:], strict=True)))
    return count


def _readable(old: Connection, raw: TableClause) -> Iterator[Row[Any]]:
    """The rows with their row numbers in front, ascending; what cannot be read is stepped over."""
    number, missed, last = 0, 0, _last_number(old, raw)
    while number < last and missed < _GAP_STEPS:
        following = select(_rowid, *raw.columns).where(_rowid > number).order_by(_rowid)
        try:
            for row in old.execute(following):
                number, missed = row[0], 0
                yield row
        except DatabaseError:
            number += 1
            single = _single(old, raw, number)
            missed = 0 if single else missed + 1
            yield from single
        else:
            return


def _single(old: Connection, raw: TableClause, number: int) -> Sequence[Row[Any]]:
    """One row by its number, if it is there: sqlite3 hands out no row that stands before an unreadable one."""
    try:
        return old.execute(select(_rowid, *raw.columns).where(_rowid == number)).all()
    except DatabaseError:
        return ()


def _last_number(old: Connection, raw: TableClause) -> int:
    """The highest row number to look for: from the table's end, its index of text ids, or its counter."""
    sequence = table("sqlite_sequence", column("name"), column("seq"))
    highest = 0
    for telling in (
        select(func.max(_rowid)).select_from(raw),
        select(func.max(_rowid)).select_from(raw).where(column("id") >= ""),
        select(sequence.c.seq).where(sequence.c.name == raw.name),
    ):
        try:
            highest = max(highest, old.scalar(telling) or 0)
        except DatabaseError:
            continue  # another one may tell
    return highest or _BLIND_STEPS


def _drop_garbled(new: Connection, held: Table) -> None:
    """Delete rows with structures that nobody could read back; the damage may lie within a row."""
    structures = [each for each in held.columns if isinstance(each.type, JsonText)]
    broken = [each.is_not(None) & (func.json_valid(each) == 0) for each in structures]
    if broken:
        new.execute(delete(held).where(or_(*broken)))


def _give_heads(new: Connection) -> tuple[str, ...]:
    """Make blank headers for runs that have rows and lost theirs; returns their ids."""
    children = [each for each in metadata.sorted_tables if "run_id" in each.columns]
    known = select(runs.c.id)
    lost = {
        run_id
        for each in children
        for run_id in new.scalars(select(each.c.run_id).where(each.c.run_id.not_in(known)).distinct())
    }
    blank = Host(cpu_model="", architecture="", os="", python="")
    for run_id in lost:
        head = Run(run_id, "", None, None, blank, environment={"note": "its header was lost"}, settings={})
        new.execute(insert(runs).values(row_of(runs, head)))
    return tuple(sorted(lost))
