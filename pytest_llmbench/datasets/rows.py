"""The rows of a dataset, whatever kind of file holds them, one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pytest_llmbench.config import strict_yaml
from pytest_llmbench.datasets import hub, parquet
from pytest_llmbench.datasets.columns import Row
from pytest_llmbench.errors import UsageError
from pytest_llmbench.questions.rows import Place, csv_rows, json_rows

Rows = Iterator[tuple[Place, Row]]

_UNPACKED = (".jsonl", ".csv")
"""What may have `.gz` behind it."""


def rows_of(source: Path | str) -> Rows:
    """The rows of a dataset, and where each stands.

    Args:
        source: a file of one of `ROW_KINDS`, or `hf:NAME`, see `hub`.

    Raises:
        UsageError: it cannot be read, or holds something else; with file and line.
    """
    if isinstance(source, str) and source.startswith(hub.PREFIX):
        return hub.rows(source)
    path = Path(source)
    read = _READERS.get(kind_of(path))
    if read is None:
        known = ", ".join(sorted(_READERS))
        raise UsageError(f"the dataset {path} is none of {known}", hint="give the file its kind as its ending")
    return read(path)


def kind_of(path: Path) -> str:
    """The ending that tells the kind; without `.gz` of those that may be packed."""
    packed = path.suffix.lower() == ".gz" and len(path.suffixes) > 1 and path.suffixes[-2].lower() in _UNPACKED
    return (path.suffixes[-2] if packed else path.suffix).lower()


def _csv_objects(path: Path) -> Rows:
    heads: list[str] = []
    for place, cells in csv_rows(path):
        if not heads:
            heads = [cell.strip() for cell in cells]
            if twice := next((head for head in heads if heads.count(head) > 1), None):
                raise place.error(f"the column {twice!r} stands there twice")
        elif len(cells) != len(heads):
            raise place.error(f"{len(cells)} cells under {len(heads)} heads", hint="texts with commas need quotes")
        else:
            yield place, dict(zip(heads, cells, strict=True))


def _yaml_objects(path: Path) -> Rows:
    """A list of mappings, or one under the key `samples`; all of it is read at once, which is why it is bounded."""
    if not path.is_file():
        raise UsageError(f"{path} cannot be read: no such file")
    document = strict_yaml.read(path, list_as=_SAMPLES)
    listed = document.data.get(_SAMPLES)
    if not isinstance(listed, list) or document.data.keys() != {_SAMPLES}:
        raise Place(path, document.line(())).error(f"a list of mappings is wanted, or `{_SAMPLES}:` with one")
    for index, row in enumerate(listed):
        place = Place(path, document.line((_SAMPLES, index)))
        if not isinstance(row, dict):
            raise place.error(f"a mapping is wanted, not {type(row).__name__}")
        if not _is_finite(row):
            raise place.error("a number is infinite, or none", hint="quote it to make it text, or leave it out")
        yield place, row


def _is_finite(value: Any) -> bool:
    """Whether JSON can hold all numbers in a value."""
    if isinstance(value, dict | list):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


_SAMPLES = "samples"
_READERS: dict[str, Callable[[Path], Rows]] = {
    ".jsonl": json_rows,
    ".csv": _csv_objects,
    ".yaml": _yaml_objects,
    ".yml": _yaml_objects,
    ".parquet": parquet.rows,
}
ROW_KINDS = frozenset(_READERS) | {f"{ending}.gz" for ending in _UNPACKED}
"""The endings of files with rows."""
