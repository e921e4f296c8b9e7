"""Tables for other programs, written: CSV, JSON Lines, Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from pytest_llmbench.reports.columns import Kind, Sheet
from pytest_llmbench.reports.moments import parsed
from pytest_llmbench.reports.safe_cells import safe_cell


def as_csv(sheet: Sheet) -> str:
    """RFC 4180: a header, then a row each; empty is "not measured", and no text is a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([safe_cell(name) for name in sheet.names])
    writer.writerows([safe_cell(value) for value in row.values()] for row in sheet.rows())
    return out.getvalue()


def as_json_lines(sheet: Sheet) -> Iterator[str]:
    """An object a line, ASCII; null is "not measured"."""
    return (json.dumps(row, allow_nan=False) + "\n" for row in sheet.rows())


def as_parquet(sheet: Sheet) -> bytes:
    """Parquet with a type for each column, so that files of several runs fit together; null is "not measured".

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    from pytest_llmbench.extras import from_extra  # noqa: PLC0415 - only here

    arrow, parquet = from_extra("pyarrow", "parquet"), from_extra("pyarrow.parquet", "parquet")
    types = {
        Kind.TEXT: arrow.string(),
        Kind.NUMBER: arrow.float64(),
        Kind.COUNT: arrow.int64(),
        Kind.TRUTH: arrow.bool_(),
        Kind.MOMENT: arrow.timestamp("us", tz="UTC"),
    }
    schema = arrow.schema([arrow.field(field.name, types[field.kind]) for field in sheet.fields])
    kinds = {field.name: field.kind for field in sheet.fields}
    rows = [{name: _typed(value, kinds[name]) for name, value in row.items()} for row in sheet.rows()]
    out = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), out, compression="zstd")
    return out.getvalue()


def _typed(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind is Kind.TEXT:
        return str(value).encode("utf-8", "replace").decode()  # half a character is none in UTF-8
    if kind is Kind.MOMENT:
        return parsed(str(value))
    return float(value) if kind is Kind.NUMBER else value
