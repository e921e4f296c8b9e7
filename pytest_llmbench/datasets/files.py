"""Datasets: rows of a JSONL or CSV file become samples.

A dataset is data: nothing in it is run. A prompt is put together by plain substitution of `{{column}}`, once; what a
cell holds is never looked at again, so braces in it stay braces.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.questions.rows import Place, csv_rows, json_rows
from pytest_llmbench.records import Sample

Row = Mapping[str, Any]

_COLUMN = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_ID_CHARACTERS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a dataset mean what."""

    input: str = "input"
    """The user's message; in JSONL also a whole conversation, a list of messages."""
    expected: str | None = None
    """The expected answer; None: `expected`, where there is one."""
    id: str | None = None
    """Unique; None: `id`, where there is one, else made from the row's content."""
    prompt: str = ""
    """The user's message with `{{column}}` for a row's cells, in place of the input."""


@dataclass(frozen=True, slots=True)
class Dataset(Sequence[Sample]):
    """The samples of a dataset, in its order, and how they are to be asked."""

    samples: tuple[Sample, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    """As for `Model.ask`: `system`, `max_tokens`, `temperature`, `seed`, `stream`, and fields of the body."""

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Dataset: ...

    def __getitem__(self, index: int | slice) -> Sample | Dataset:
        return Dataset(self.samples[index], self.options) if isinstance(index, slice) else self.samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)


def read(
    path: Path, columns: Columns, options: Mapping[str, Any] | None = None, *, limit: int | None = None
) -> Dataset:
    """A dataset from a `.jsonl` or `.csv` file (`.gz` behind it is unpacked).

    Args:
        path: the file.
        columns: which columns mean what.
        options: how the samples are asked.
        limit: take only that many, from the beginning.

    Raises:
        UsageError: the file cannot be read, or a row is none of a dataset; with file and line.
    """
    samples: list[Sample] = []
    ids = _Ids(columns.id)
    for place, row in _rows(path):
        if limit is not None and len(samples) >= limit:
            break
        samples.append(_sample(ids.of(row, place), row, columns, place))
    if not samples:
        raise UsageError(f"{path} holds no sample", hint="one JSON object a line, or a CSV file with a row of names")
    return Dataset(tuple(samples), dict(options or {}))


def filled(template: str, row: Row, place: Place) -> str:
    """The template with a row's cells in place of `{{column}}`; what is no text is written as JSON.

    Raises:
        UsageError: the row has no such column.
    """
    return _COLUMN.sub(lambda found: _shown(_cell(row, found[1], place)), template)


def _rows(path: Path) -> Iterator[tuple[Place, Row]]:
    kind = path.suffixes[-2] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix
    if kind == ".jsonl":
        return json_rows(path)
    if kind == ".csv":
        return _csv_objects(path)
    raise UsageError(f"the dataset {path} is neither .jsonl nor .csv", hint="give the file its kind as its ending")


def _csv_objects(path: Path) -> Iterator[tuple[Place, Row]]:
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


def _sample(id_: str, row: Row, columns: Columns, place: Place) -> Sample:
    asked = filled(columns.prompt, row, place) if columns.prompt else _input(row, columns.input, place)
    expected = row.get("expected") if columns.expected is None else _cell(row, columns.expected, place)
    meant = {columns.expected or "expected", columns.id or "id"} | (set() if columns.prompt else {columns.input})
    rest = {name: value for name, value in row.items() if name not in meant}
    return Sample(id_, asked, expected, rest)


def _input(row: Row, column: str, place: Place) -> str | list[Mapping[str, Any]]:
    value = _cell(row, column, place)
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list) and value and all(isinstance(each, dict) and "role" in each for each in value):
        return value
    raise place.error(
        f"{column!r} is to be a text or a list of messages, and not empty",
        hint='a message is {"role": "user", "content": "..."}; name another column with dataset(..., input="...")',
    )


class _Ids:
    """The ids of one dataset's samples: each its own."""

    def __init__(self, column: str | None) -> None:
        self._column = column
        self._seen: dict[str, Place] = {}
        self._made: Counter[str] = Counter()

    def of(self, row: Row, place: Place) -> str:
        name = self._column or "id"
        if self._column is None and name not in row:
            return self._from_content(row)
        value = _cell(row, name, place)
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
            raise place.error(f"{name!r} is to be a text or a number, and not empty")
        own = str(value).strip()
        if len(own) > _ID_CHARACTERS or not own.isprintable():
            raise place.error(f"{name!r} is to be {_ID_CHARACTERS} printable characters at most: test names hold it")
        if (twin := self._seen.setdefault(own, place)) is not place:
            raise place.error(f"the {name} {own!r} stands in line {twin.line}, too", hint="each sample has its own")
        return own

    def _from_content(self, row: Row) -> str:
        """So it stays when rows are put before it; equal rows are counted."""
        content = json.dumps(row, sort_keys=True, separators=(",", ":"))
        made = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:10]
        self._made[made] += 1
        return made if self._made[made] == 1 else f"{made}-{self._made[made]}"


def _cell(row: Row, column: str, place: Place) -> Any:
    if column not in row:
        raise place.error(
            f"there is no column {column!r}{did_you_mean(column, row)}", hint=f"it has {', '.join(row) or 'none'}"
        )
    return row[column]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
