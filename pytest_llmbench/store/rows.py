"""Records to rows: one naming for both, so no table is described twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from sqlalchemy import CursorResult, Table

# The only spot that knows the dialect: PostgreSQL's `insert` has the same on_conflict_* methods.
from sqlalchemy.dialects.sqlite import Insert, insert

from pytest_llmbench.records import Record

__all__ = ["Insert", "dicts", "insert", "row_of"]


def row_of(table: Table, record: Record, **more: Any) -> dict[str, Any]:
    """The values of `record` for the columns of `table`; `more` adds or replaces columns.

    Fields without a column are left out, columns without a field are left to `more` and to the table's defaults.
    """
    fields = record.as_dict() | more
    return {name: fields[name] for name in _columns(table) if name in fields}


@cache
def _columns(table: Table) -> tuple[str, ...]:
    return tuple(table.columns.keys())


def dicts(found: CursorResult[Any]) -> Iterator[dict[str, Any]]:
    """The rows by their columns' names; SQLAlchemy's own mappings take three times as long for thousands of rows."""
    names = tuple(found.keys())
    return (dict(zip(names, row, strict=True)) for row in found)
