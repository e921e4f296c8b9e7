"""Look at a results database without opening it for work, so that a damaged one can be looked at too."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, NullPool, Table, create_engine, func, inspect, select
from sqlalchemy.exc import DatabaseError

from pytest_llmbench.errors import StoreError
from pytest_llmbench.records import Record
from pytest_llmbench.store.database import FORMAT_VERSION, format_version
from pytest_llmbench.store.failures import explained
from pytest_llmbench.store.sqlite_file import check_not_blank, companions, connect, connect_read_only, network_kind
from pytest_llmbench.store.tables import JsonText, metadata, runs

_PROBLEMS_TOLD = 20


@dataclass(frozen=True, slots=True)
class Checkup(Record):
    """What was found; sizes in bytes."""

    path: str
    size_bytes: int
    journal_bytes: int
    """Of the journals beside it: whoever has it open wrote them, or was killed."""
    problems: tuple[str, ...] = ()
    """Empty where the database is sound."""
    format_version: str = ""
    """Empty where it could not be read."""
    journal_mode: str = ""
    network: str = ""
    """The network file system it lies on."""
    free_bytes: int | None = None
    """Inside the file, for what comes next."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Table → rows; a table that is not there or cannot be read is absent."""
    unfinished_runs: tuple[str, ...] = ()
    """Runs without an end, newest first: under way, or killed."""
    sqlite_version: str = sqlite3.sqlite_version

    @property
    def is_older(self) -> bool:
        """Whether the next one to open it will bring it to the newest format."""
        return not self.problems and self.format_version < FORMAT_VERSION


def check(path: Path) -> Checkup:
    """Examine every page, index, reference and structure of the database; writes nothing to it.

    Raises:
        StoreError: there is no such file, or its folder cannot be read.
    """
    with explained(path):
        journals = [file.stat().st_size for file in companions(path) if file.exists()]
        seen = Checkup(str(path), path.stat().st_size, sum(journals), network=network_kind(path.parent))
    try:
        check_not_blank(path)
        # Like any other user, where that is possible: the last one to leave tidies the journals up.
        with reading(path, connect if os.access(path, os.W_OK) else connect_read_only) as connection:
            return _examined(connection, seen)
    except StoreError as error:
        what = error.message.removeprefix(f"results database {path}: ")
        return dataclasses.replace(seen, problems=(what,))


@contextmanager
def reading(path: Path, door: Callable[[Path], sqlite3.Connection] = connect_read_only) -> Iterator[Connection]:
    """A connection to a file in any state; by default one that leaves every byte as it is.

    Raises:
        StoreError: not even its first page can be read.
    """
    engine = create_engine("sqlite://", creator=lambda: door(path), poolclass=NullPool)
    with explained(path), engine.connect() as connection:
        yield connection


def present_tables(connection: Connection) -> list[Table]:
    """Those of our tables that are there, parents first; a database of an older format has not all."""
    names = inspect(connection).get_table_names()
    return [table for table in metadata.sorted_tables if table.name in names]


def _examined(connection: Connection, seen: Checkup) -> Checkup:
    version = format_version(connection)
    if version is None:
        return dataclasses.replace(seen, problems=("it is an SQLite database, but not one of pytest-llmbench",))
    if version > FORMAT_VERSION:
        newer = f"it has format {version}, this version of pytest-llmbench reads formats up to {FORMAT_VERSION}"
        return dataclasses.replace(seen, problems=(newer,), format_version=version)
    tables = present_tables(connection)
    counts = {table.name: _count(connection, table) for table in tables}
    return dataclasses.replace(
        seen,
        problems=tuple(_problems(connection, tables))[:_PROBLEMS_TOLD],
        format_version=version,
        journal_mode=str(_pragma(connection, "journal_mode")),
        free_bytes=_pragma(connection, "freelist_count") * _pragma(connection, "page_size"),
        rows={name: count for name, count in counts.items() if count is not None},
        unfinished_runs=_unfinished(connection) if runs in tables else (),
    )


def _problems(connection: Connection, tables: Sequence[Table]) -> Iterator[str]:
    try:
        told = connection.exec_driver_sql(f"PRAGMA integrity_check({_PROBLEMS_TOLD})").scalars()
        yield from (f"damage: {line}" for text in told for line in str(text).splitlines() if line != "ok")
        for table, count in connection.exec_driver_sql(
            'SELECT "table", count(*) FROM pragma_foreign_key_check() GROUP BY 1'
        ):
            yield f"{table}: {count} rows belong to something that is not there"
        for table in tables:
            yield from _broken_values(connection, table)
    except DatabaseError as error:
        yield f"damage: {error.orig}"


def _broken_values(connection: Connection, table: Table) -> Iterator[str]:
    there = {each["name"] for each in inspect(connection).get_columns(table.name)}  # an older format has not all
    for held in table.columns:
        if isinstance(held.type, JsonText) and held.name in there:
            broken = select(func.count()).select_from(table).where(held.is_not(None), func.json_valid(held) == 0)
            if count := connection.scalar(broken):
                yield f"{table.name}.{held.name}: {count} values are no JSON"


def _count(connection: Connection, table: Table) -> int | None:
    try:
        return connection.scalar(select(func.count()).select_from(table))
    except DatabaseError:
        return None  # what is wrong with it is among the problems


def _unfinished(connection: Connection) -> tuple[str, ...]:
    which = select(runs.c.id).where(runs.c.finished_at.is_(None)).order_by(runs.c.started_at.desc())
    try:
        return tuple(connection.scalars(which))
    except DatabaseError:
        return ()  # as above


def _pragma(connection: Connection, name: str) -> Any:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()
