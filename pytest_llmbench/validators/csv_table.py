"""A reply that is a table: its heads, and how many of its cells are those of the expected table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pytest_llmbench.records.score import Score
from pytest_llmbench.validators.fenced import code_of
from pytest_llmbench.validators.material import NOTHING_EXPECTED, Material, as_text
from pytest_llmbench.validators.numeric import number
from pytest_llmbench.validators.plain import texts_of
from pytest_llmbench.validators.scorer import Plain, Scorer, Validator, Where, graded, keys_of, unscored

MAX_CELLS = 100_000
"""Of a table that is looked at: beyond it a reply is no answer."""
_SHOWN = 10

Rows = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """Heads and rows."""

    heads: tuple[str, ...]
    rows: Rows


def table_of(text: str) -> Table:
    """The table that a text is.

    Raises:
        ValueError: it is none; the message completes `the reply …`.
    """
    reader = csv.reader(io.StringIO(text.strip(), newline=""), strict=True)
    try:
        lines = [[cell.strip() for cell in line] for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise ValueError(f"is not CSV: {error}") from None
    if not lines:
        raise ValueError("is empty")
    heads, rows = lines[0], lines[1:]
    if len(set(heads)) < len(heads):
        raise ValueError("has a head that stands there twice")
    if len(heads) * len(lines) > MAX_CELLS:
        raise ValueError(f"has more than {MAX_CELLS:,} cells")
    for place, row in enumerate(rows, start=1):
        if len(row) != len(heads):
            raise ValueError(f"has {len(row)} cells in row {place}, under {len(heads)} heads")
    return Table(tuple(heads), [dict(zip(heads, row, strict=True)) for row in rows])


def _csv(argument: Any, where: Where) -> Scorer:
    keys = keys_of(argument, where, {"columns": list, "key": str, "tolerance": (int, float)})
    columns = texts_of(keys.get("columns"), where.at("columns"))
    tolerance = keys.get("tolerance", 0)
    if not 0 <= tolerance < 1e9:
        raise where.at("tolerance").error("must be a number from 0 up")
    compared = _Compared(keys.get("key", ""), Fraction(str(tolerance)), tuple(columns))
    return Plain(compared.judge, compared.faults)


@dataclass(frozen=True, slots=True)
class _Compared:
    key: str
    """The column that tells rows apart; empty: rows are compared by their place."""
    tolerance: Fraction
    """How far numbers may lie apart."""
    columns: tuple[str, ...]
    """What is compared; empty: all columns of the expected table."""

    def judge(self, material: Material) -> Score:
        """The share of the expected cells that are there; rows too many count against it."""
        if material.expected is None:
            return unscored(NOTHING_EXPECTED)
        truth = _truth(material.expected)
        try:
            given = table_of(code_of(material.answer))
        except ValueError as error:
            return graded(0.0, f"the reply {error}")
        heads = self.columns or truth.heads
        if missing := [head for head in heads if head not in given.heads]:
            return graded(0.0, f"the reply has no column {missing[0]!r}", missing=missing)
        pairs = self._paired(truth.rows, given.rows)
        wrong = [text for wanted, found in pairs for text in self._differences(heads, wanted, found)]
        cells = len(heads) * max(len(truth.rows), len(given.rows), 1)
        extra = max(0, len(given.rows) - len(truth.rows)) * len(heads)
        told = wrong[:_SHOWN] + ([f"{len(given.rows)} rows in place of {len(truth.rows)}"] if extra else [])
        reason = "; ".join(told) if told else f"all {cells} cells are as expected"
        return graded(1 - (len(wrong) + extra) / cells, reason, wrong=wrong[:_SHOWN], rows=len(given.rows))

    def faults(self, material: Material) -> list[str]:
        """Whether the expected answer is such a table."""
        if material.expected is None:
            return [NOTHING_EXPECTED]
        try:
            truth = _truth(material.expected)
        except ValueError as error:
            return [f"the expected answer {error}"]
        wanted = dict.fromkeys([*self.columns, *([self.key] if self.key else [])])
        found = [f"the expected table has no column {head!r}" for head in wanted if head not in truth.heads]
        keys = [row.get(self.key) for row in truth.rows] if self.key else []
        if len(set(keys)) < len(keys):
            found.append(f"the column {self.key!r} does not tell the rows of the expected table apart")
        return found

    def _paired(self, wanted: Rows, given: Rows) -> list[tuple[dict[str, str], dict[str, str]]]:
        """Each expected row and the one that answers it; an empty one where there is none."""
        if self.key:
            by_key = {row.get(self.key, ""): row for row in given}
            return [(row, by_key.get(row.get(self.key, ""), {})) for row in wanted]
        return [(row, given[place] if place < len(given) else {}) for place, row in enumerate(wanted)]

    def _differences(self, heads: Sequence[str], wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
        name = wanted.get(self.key or heads[0], "")[:40] if heads else ""
        if not found:
            return [f"{name}: {head} is missing" for head in heads]
        differing = [head for head in heads if not self._same(wanted.get(head, ""), found.get(head, ""))]
        return [
            f"{name}: {head} is {found.get(head, '')[:40]!r}, not {wanted.get(head, '')[:40]!r}" for head in differing
        ]

    def _same(self, wanted: str, found: str) -> bool:
        if wanted.casefold() == found.casefold():
            return True
        one, other = number(wanted), number(found)
        return one is not None and other is not None and abs(one - other) <= self.tolerance


def _truth(expected: Any) -> Table:
    """The expected table: CSV, or a list of objects.

    Raises:
        ValueError: it is none; the message completes `the expected answer …`.
    """
    if isinstance(expected, str):
        return table_of(expected)
    if isinstance(expected, list) and expected and all(isinstance(row, dict) for row in expected):
        heads = tuple(dict.fromkeys(key for row in expected for key in row))
        return Table(heads, [{head: as_text(row.get(head)) for head in heads} for row in expected])
    raise ValueError("is no table: CSV, or a list of objects")


TABLE = (
    Validator(
        "csv",
        "a table in CSV with the cells of the expected one",
        _csv,
        example={"key": "concept", "tolerance": 0.01},
        measure="value",
        demands_truth=True,
    ),
)
