"""What every report says of a use case in words, and its slices and validators as grids."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pytest_llmbench.reports import figures
from pytest_llmbench.results.cost_quality import CostQuality, cost_quality
from pytest_llmbench.results.money import money
from pytest_llmbench.results.use_cases import TAG, CaseTable, SliceRow, ValidatorRow, named, quality_of
from pytest_llmbench.stats import Estimate

_MORE = {"sample": "samples", "generation": "repeats", "judge": "judges"}
_MODES = {
    "fair": "all models were asked by the same prompt (fair)",
    "optimized": "each model was asked by its best prompt (optimized)",
    "mixed": "models were asked by different prompts (fair and optimized)",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a grid."""

    text: str = figures.NOT_MEASURED
    detail: str = ""
    """How sure it is, and of how many it comes."""


@dataclass(frozen=True, slots=True)
class GridRow:
    """A row of a grid."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """Something told of every model of a use case."""

    title: str
    heads: tuple[str, ...]
    """The models, as the table calls them."""
    rows: tuple[GridRow, ...]


def rate(estimate: Estimate | None) -> str:
    """`90.5 % (89.0–91.8 %)`."""
    if estimate is None:
        return figures.NOT_MEASURED
    return f"{figures.percent(estimate.value)} ({figures.percent_range(estimate.low, estimate.high)})"


def price(estimate: Estimate | None) -> str:
    """`$0.0034`: what a sample costs on average; nothing is said where nobody told of any."""
    return figures.NOT_MEASURED if estimate is None else money(Decimal(estimate.value))


def asked_words(table: CaseTable) -> str:
    """How many samples, how often, by which prompt."""
    said = [f"{table.samples:,} sample{'' if table.samples == 1 else 's'}"]
    if abs(table.stands_for - table.samples) >= 1:
        said.append(f"weighted, for {table.stands_for:,.0f} of the data")
    if (trials := max(row.trials for row in table.rows)) > 1:
        said.append(f"each asked {'up to ' if any(row.stopped for row in table.rows) else ''}{trials} times")
    if len(table.rows) > 1 or table.prompt_mode != "fair":
        said.append(_MODES.get(table.prompt_mode, table.prompt_mode))
    return " · ".join(said)


def best_words(table: CaseTable) -> tuple[tuple[str, str], ...]:
    """What is on a front, where something is not: `("best for their price", "a, b")`; and what more money buys."""
    told = []
    for words, on_front, known in (
        ("price", [row.on_cost_front for row in table.rows], [row.calls.cost_per_sample_usd for row in table.rows]),
        ("speed", [row.on_speed_front for row in table.rows], [row.calls.e2e_s for row in table.rows]),
    ):
        names = [row.name for row, is_on in zip(table.rows, on_front, strict=True) if is_on]
        if names and len(names) < sum(one is not None for one in known):
            told.append((f"best for {'its' if len(names) == 1 else 'their'} {words}", ", ".join(names)))
    if (found := cost_quality(table)) is not None:
        told.append(("ten times the price", _bought(found)))
    return tuple(told)


def _bought(found: CostQuality) -> str:
    """`4.2 points more (95 %: −1.0 to 9.4; 5 models); below the front: c by 6.0 points`."""
    line = found.line
    words = f"{abs(100 * line.slope):.1f} points {'more' if line.slope >= 0 else 'less'}"
    if math.isfinite(line.low) and math.isfinite(line.high):
        ends = sorted(math.copysign(100.0, line.slope) * end for end in (line.low, line.high))
        words += f" (95 %: {ends[0]:.1f} to {ends[1]:.1f}; {line.n} models)".replace("-", "−")
    below = ", ".join(f"{name} by {100 * short:.1f} points" for name, short in found.below.items())
    return f"{words}; below the front: {below}" if below else words


def variance_words(table: CaseTable) -> Iterator[str]:
    """Where the scores of each model vary, and what more of would help, where trials or a panel tell it."""
    for row in table.rows:
        if (found := row.variance) is not None:
            known = {"sample": found.sample, "generation": found.generation, "judge": found.judge}
            shares = ", ".join(f"{name} {value:.0%}" for name, value in known.items() if value is not None)
            more = f"more {_MORE[found.dominant]} help most"
            yield f"{row.name}: of the variance of scores: {shares.replace('%', ' %')}: {more}"


def remarks(table: CaseTable) -> Iterator[str]:
    """What a reader of the table has to know."""
    for row in table.rows:
        if row.disagreed is not None and row.disagreed.value > 0:
            what = f"on {rate(row.disagreed)} of {row.executed:,} replies a judge said otherwise than"
            yield f"{row.name}: {what} what was executed, which decides"
        for validator in row.validators:
            if validator.errors:
                yield f"{row.name}: the validator {validator.name} failed itself on {_count(validator.errors)}"
    for note in table.notes:
        yield f"{_count(note.count)}: {note.text}"


def overview(tables: Sequence[CaseTable]) -> Grid:
    """Every use case with what its models reached; the columns are all models."""
    heads = tuple(dict.fromkeys(row.name for table in tables for row in table.rows))
    known = [{row.name: quality_of(table, row) for row in table.rows} for table in tables]
    rows = (
        GridRow(table.label, tuple(_cell(of_table.get(head)) for head in heads))
        for table, of_table in zip(tables, known, strict=True)
    )
    return Grid("use case", heads, tuple(rows))


def slice_grids(table: CaseTable) -> tuple[Grid, ...]:
    """A grid for tags, and one for each column."""
    heads = tuple(row.name for row in table.rows)
    found: dict[str, dict[str, dict[str, SliceRow]]] = {}
    for row in table.slices:
        found.setdefault(row.by, {}).setdefault(row.value, {})[named(row.model, row.prompt)] = row
    return tuple(
        Grid(
            "tags" if by == TAG else by,
            heads,
            tuple(
                GridRow(value, tuple(_slice_cell(table, cells.get(head)) for head in heads))
                for value, cells in values.items()
            ),
        )
        for by, values in found.items()
    )


def validator_grid(table: CaseTable) -> Grid:
    """What each validator said of each model."""
    names = dict.fromkeys(validator.name for row in table.rows for validator in row.validators)
    known = [{validator.name: validator for validator in row.validators} for row in table.rows]
    return Grid(
        "validators",
        tuple(row.name for row in table.rows),
        tuple(GridRow(name, tuple(_validator_cell(of_row.get(name)) for of_row in known)) for name in names),
    )


def _slice_cell(table: CaseTable, row: SliceRow | None) -> Cell:
    return _cell(None if row is None else quality_of(table, row))


def _cell(estimate: Estimate | None) -> Cell:
    return Cell() if estimate is None else Cell(figures.percent(estimate.value), _sure(estimate))


def _validator_cell(row: ValidatorRow | None) -> Cell:
    if row is None:
        return Cell()
    shown = row.pass_rate or row.score
    odd = ((row.unscored, "unscored"), (row.errors, "failed"))
    counts = [f"{count:,} {word}" for count, word in odd if count]
    if shown is None:
        return Cell(detail=", ".join(counts))
    values = [] if row.score is None or row.score.value == shown.value else [f"mean {figures.share(row.score.value)}"]
    if row.disagreed is not None and row.disagreed.value > 0:
        values.append(f"{figures.percent(row.disagreed.value)} against what was executed")
    return Cell(figures.percent(shown.value), ", ".join([_sure(shown), *values, *counts]))


def _sure(estimate: Estimate) -> str:
    return f"{figures.percent_range(estimate.low, estimate.high)}, n\u00a0{estimate.n:,}"


def _count(samples: int) -> str:
    return f"{samples:,} sample{'' if samples == 1 else 's'}"
