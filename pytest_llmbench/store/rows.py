"""Records to rows: one naming for both, so no table is described twice."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table

# The only spot that knows the dialect: PostgreSQL's `insert` has the same on_conflict_* methods.
from sqlalchemy.dialects.sqlite import insert

from pytest_llmbench.records import Record

__all__ = ["insert", "row_of"]


def row_of(table: Table, record: Record, **more: Any) -> dict[str, Any]:
    """The values of `record` for the columns of `table`; `more` adds or replaces columns.

    Fields without a column are left out, columns without a field are left to `more` and to the table's defaults.
    """
    fields = record.as_dict() | more
    return {name: fields[name] for name in table.columns.keys() if name in fields}  # noqa: SIM118 - not a dict
