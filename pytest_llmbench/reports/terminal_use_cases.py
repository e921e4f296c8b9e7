"""The part of the summary about use cases: a table of models for each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from pytest_llmbench.reports import figures
from pytest_llmbench.reports.case_words import asked_words, best_words, price, rate, remarks, variance_words
from pytest_llmbench.reports.cells import cell_width, clipped, glued, one_line, wrapped
from pytest_llmbench.reports.robust_words import robust_cells
from pytest_llmbench.reports.terminal_lines import TITLE_WIDTH, Line
from pytest_llmbench.results.calls import Spread
from pytest_llmbench.results.use_cases import CaseRow, CaseTable

_COLUMNS = (
    ("pass rate", 23),
    ("score", 8),
    ("TTFT p50", 10),
    ("answer p50", 11),
    ("tok/s", 8),
    ("per sample", 12),
)
"""Heads of the table and the cells each takes; 72 in all."""
_WIDTH = sum(cells for _, cells in _COLUMNS)
_ROBUST_CELLS = (18, 11, 8, 9, 26)
"""Cells of the columns about damaged inputs."""
_MOST_ROBUST = 30
_MOST_CASES, _MOST_MODELS, _MOST_REMARKS = 20, 30, 6


def use_case_lines(tables: tuple[CaseTable, ...], width: int) -> Iterator[Line]:
    """Each use case with its models; nothing where the run has none."""
    for number, table in enumerate(tables[:_MOST_CASES]):
        if number:
            yield []
        yield from _table(table, width)
    if (more := len(tables) - _MOST_CASES) > 0:
        yield [(f"{more} more use cases are in the report", "dim")]


def _table(table: CaseTable, width: int) -> Iterator[Line]:
    title = clipped(one_line(table.label), width - TITLE_WIDTH - 1)
    yield [("use case".ljust(TITLE_WIDTH + 1), "dim"), (title, "bold")]
    yield from ([("  " + part, "dim")] for part in wrapped(glued(one_line(asked_words(table))), width - 2))
    margin = " " * min(width - _WIDTH, TITLE_WIDTH)
    yield [(margin + "".join(head.rjust(cells) for head, cells in _COLUMNS), "dim")]
    for row in table.rows[:_MOST_MODELS]:
        yield _name_line(row, len(margin) + _WIDTH)
        yield [(margin + _numbers(row), "")]
    if (more := len(table.rows) - _MOST_MODELS) > 0:
        yield [(f"  {more} more models are in the report", "dim")]
    for words, names in best_words(table):
        yield from ([("  " + part, "good")] for part in wrapped(one_line(f"{words}: {names}"), width - 2))
    for told in islice(variance_words(table), _MOST_REMARKS):
        yield from ([("  " + part, "dim")] for part in wrapped(one_line(told), width - 2))
    yield from _robustness(table, margin)
    for remark in islice(remarks(table), _MOST_REMARKS):
        yield from ([("  " + part, "warn")] for part in wrapped(one_line(remark), width - 2))


def _robustness(table: CaseTable, margin: str) -> Iterator[Line]:
    """Each model with damaged inputs; the intervals of both rates and the samples are in the report."""
    rows = robust_cells(table)
    if rows:
        yield [(margin + _damage("damaged inputs", "pairs", "clean", "damaged", "difference, points"), "dim")]
    for place, row in enumerate(rows[:_MOST_ROBUST]):
        if len(table.rows) > 1 and (not place or rows[place - 1].name != row.name):
            yield [(clipped(one_line(row.name), len(margin) + _WIDTH), "bold")]
        texts = _damage(row.corruption, row.pairs, row.clean, row.damaged, row.difference)
        yield [(margin + texts, "warn" if row.is_worse else "")]
    if (more := len(rows) - _MOST_ROBUST) > 0:
        yield [(f"  {more} more rows of damaged inputs are in the report", "dim")]


def _damage(label: str, *numbers: str) -> str:
    first, *cells = _ROBUST_CELLS
    shown = clipped(one_line(label), first - 1).ljust(first)
    return shown + "".join(number.rjust(width) for number, width in zip(numbers, cells, strict=True))


def _name_line(row: CaseRow, width: int) -> Line:
    cost = row.calls.costs.total.words
    asked = f"{row.n - row.not_asked:,} of {row.n:,}" if row.not_asked else f"{row.n:,}"
    told = f" · {asked} asked{f', {row.unanswered:,} without a score' if row.unanswered else ''}"
    taken = cell_width(cost) + cell_width(told)
    name = clipped(one_line(row.name), width - taken - 2)
    return [(name, "bold"), (told, "dim"), (" " * (width - taken - cell_width(name)), ""), (cost, "")]


def _numbers(row: CaseRow) -> str:
    calls = row.calls
    texts = (
        rate(row.pass_rate),
        figures.share(row.score.value if row.score else None),
        figures.duration(_median(calls.ttft_s)),
        figures.duration(_median(calls.e2e_s)),
        figures.speed(_median(calls.decode_tps)),
        price(calls.cost_per_sample_usd),
    )
    return "".join(text.rjust(cells) for text, (_, cells) in zip(texts, _COLUMNS, strict=True))


def _median(spread: Spread | None) -> float | None:
    return spread.p50.value if spread else None
