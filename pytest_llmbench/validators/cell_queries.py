"""Running a query, as cell.py does it: in a process that may be lost, over a copy of the tables, reading only."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any
from urllib.parse import quote

_ROWS = 10_000
_STEPS = 10_000
"""SQLite's instructions between two looks at the budget."""
_CELL_BYTES = 100_000
"""The longest text of a query's result or its intermediate values."""
_READING = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_KEY_OF_COLUMNS = re.compile(r"\b(primary\s+key|unique)\s*\([^()]*\)", re.IGNORECASE)
_KEY = re.compile(
    r"\bprimary\s+key\b(\s+(asc|desc)\b)?|\bunique\b|\bautoincrement\b|\bwithout\s+rowid\b,?", re.IGNORECASE
)


def query(script: str, database: str, queries: Sequence[str], steps: int, reverse: bool) -> dict[str, Any]:
    """What each of the queries gives over the same tables: `{"results": [...]}`.

    Args:
        script: SQL that makes the tables and their rows.
        database: the path of a SQLite file, in place of the script.
        queries: each a statement that only reads.
        steps: how many of SQLite's instructions one may take.
        reverse: store the rows from last to first, to see what a query leaves open.

    Returns:
        Of each query `{"columns": [...], "rows": [...]}` or `{"error": sentence}`; `{"refused": sentence}` where there
        are no tables to query.
    """
    try:
        with closing(_opened(script, database, backwards=reverse)) as connection:
            _confine(connection, steps)
            return {"results": [_result(connection, sql) for sql in queries]}
    except (sqlite3.Error, sqlite3.Warning, MemoryError) as error:
        return {"refused": str(error) or "it takes too much memory", "late": False}


def _opened(script: str, database: str, *, backwards: bool) -> sqlite3.Connection:
    """A connection to the tables that no query can change."""
    if database and not backwards:
        return _read_only(database)
    connection = sqlite3.connect(":memory:")
    connection.deserialize(_backwards(script, database) if backwards else _image(script))
    return connection


def _read_only(database: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(database)}?mode=ro&immutable=1", uri=True)


@lru_cache(8)
def _image(script: str) -> bytes:
    """A database as bytes: its tables are made once, and every query meets them as they were."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.executescript(script)
        connection.commit()
        return connection.serialize()


@lru_cache(8)
def _backwards(script: str, database: str) -> bytes:
    """The same tables with their rows stored from last to first.

    What a query leaves open then comes out in another way: the order of ties, the rows that LIMIT keeps. Keys and
    indexes would put the rows back in order, so these tables have none.
    """
    with closing(_opened(script, database, backwards=False)) as one, closing(sqlite3.connect(":memory:")) as other:
        made = "select type, name, sql from sqlite_master where type in ('table', 'view') and name not like 'sqlite_%'"
        made += " order by type = 'table' desc"
        for kind, name, sql in one.execute(made):
            other.execute(_KEY.sub(" ", _KEY_OF_COLUMNS.sub("check (1)", sql)) if kind == "table" else sql)
            if kind == "table":
                quoted = '"' + name.replace('"', '""') + '"'
                rows = one.execute(f"select * from {quoted}").fetchall()[::-1]  # noqa: S608  the tables' own names
                if rows:
                    marks = ", ".join("?" * len(rows[0]))
                    other.executemany(f"insert into {quoted} values ({marks})", rows)  # noqa: S608  as above
        other.commit()
        return other.serialize()


def _confine(connection: sqlite3.Connection, steps: int) -> None:
    connection.execute("pragma trusted_schema = off")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _CELL_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.set_authorizer(_allowed)
    taken = 0

    def look() -> int:
        nonlocal taken
        taken += _STEPS
        return int(taken > steps)

    connection.set_progress_handler(look, _STEPS)


def _allowed(action: int, _first: str | None, second: str | None, *_where: str | None) -> int:
    if action in _READING or (action == sqlite3.SQLITE_FUNCTION and second != "load_extension"):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _result(connection: sqlite3.Connection, sql: str) -> dict[str, Any]:
    try:
        cursor = connection.execute(sql)
        rows = cursor.fetchmany(_ROWS + 1)
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError) as error:
        return {"error": str(error) or "it takes too much memory"}
    if len(rows) > _ROWS:
        return {"error": f"gives more than {_ROWS:,} rows"}
    columns = [column[0] for column in cursor.description or ()]
    return {"columns": columns, "rows": [list(map(_plain, row)) for row in rows]}


def _plain(value: Any) -> Any:
    return {"blob": value.hex()} if isinstance(value, bytes) else value
