"""Rows of Parquet files, read in batches; needs pyarrow."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pytest_llmbench.errors import UsageError
from pytest_llmbench.extras import from_extra
from pytest_llmbench.questions.rows import MAX_FILE_BYTES, Place

_BATCH = 64
"""Rows in memory at once: a row may hold a picture."""


def rows(path: Path) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The rows of a Parquet file; dates and decimals as text, NaN as nothing, bytes as they are.

    Raises:
        MissingExtraError: pyarrow is not installed.
        UsageError: the file cannot be read.
    """
    arrow, parquet = from_extra("pyarrow", "documents"), from_extra("pyarrow.parquet", "documents")
    number, total = 0, 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                total += batch.nbytes
                if total > MAX_FILE_BYTES:
                    raise UsageError(f"{path} holds more than {MAX_FILE_BYTES} bytes, unpacked")
                for row in batch.to_pylist():
                    number += 1
                    place = Place(path, number, "row")
                    yield place, {name: plain(value, place) for name, value in row.items()}
    except (arrow.ArrowException, OSError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"{path} cannot be read as Parquet: {why}") from None


def plain(value: Any, place: Place) -> Any:
    """A cell as JSON has it, but for bytes at its top, which stay bytes.

    Raises:
        UsageError: it is of a type that has no such form.
    """
    if value is None or isinstance(value, str | bool | int | bytes):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    if isinstance(value, Mapping):
        return _mapping(value, place)
    if isinstance(value, list | tuple):
        return [plain(each, place) for each in value]
    raise place.error(f"a value of type {type(value).__name__} is none that a sample can hold")


def _mapping(value: Mapping[Any, Any], place: Place) -> Any:
    """A picture of Hugging Face's, `{"bytes": ..., "path": ...}`, is its bytes; elsewhere bytes become base64."""
    if isinstance(value.get("bytes"), bytes) and value.keys() <= {"bytes", "path"}:
        return value["bytes"]
    made = {str(name): plain(each, place) for name, each in value.items()}
    return {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in made.items()}
