"""Datasets: rows of a file become samples.

A dataset is data: nothing in it is run. A prompt is put together by plain substitution of `{{column}}`, once; what a
cell holds is never looked at again, so braces in it stay braces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, overload

from pytest_llmbench.datasets.columns import Columns, Row, sample_of
from pytest_llmbench.datasets.ids import Ids
from pytest_llmbench.datasets.rows import rows_of
from pytest_llmbench.errors import UsageError
from pytest_llmbench.questions.rows import Place
from pytest_llmbench.records import Sample


@dataclass(frozen=True, slots=True)
class Dataset(Sequence[Sample]):
    """The samples of a dataset, in its order, and how they are to be asked."""

    samples: Sequence[Sample]
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
    source: Path | str, columns: Columns, options: Mapping[str, Any] | None = None, *, limit: int | None = None
) -> Dataset:
    """A dataset, held in memory.

    Args:
        source: as for `stream`.
        columns: which columns mean what.
        options: how the samples are asked.
        limit: take only that many, from the beginning.

    Raises:
        UsageError: the file cannot be read, or a row is none of a dataset; with file and line.
    """
    samples = tuple(sample for _, sample in islice(stream(source, columns), limit))
    return Dataset(samples, dict(options or {}))


def stream(source: Path | str, columns: Columns) -> Iterator[tuple[Place, Sample]]:
    """The samples of a dataset one at a time, and where each stands.

    Args:
        source: a file of one of `ROW_KINDS`, or a Hugging Face dataset, `hf:NAME`.
        columns: which columns mean what.

    Raises:
        UsageError: the file cannot be read, holds nothing, or a row is none of a dataset; with file and line.
    """
    found = samples(rows_of(source), columns)
    if (first := next(found, None)) is None:
        raise UsageError(f"{source} holds no sample", hint="one JSON object a line, or a CSV file with a row of names")
    yield first
    yield from found


def samples(rows: Iterable[tuple[Place, Row]], columns: Columns) -> Iterator[tuple[Place, Sample]]:
    """The samples that rows are, each with an id of its own; otherwise as `stream`."""
    ids = Ids(columns.id)
    for place, row in rows:
        yield place, sample_of(ids.of(row, place), row, columns, place)
