"""The part of the summary about tests of replies: each model's results, and what the run cost."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_llmbench.reports import figures
from pytest_llmbench.reports.asked import AskedRow
from pytest_llmbench.reports.cells import cell_width, clipped, glued, one_line, wrapped
from pytest_llmbench.reports.terminal_lines import TITLE_WIDTH, Line
from pytest_llmbench.reports.view import RunView
from pytest_llmbench.results.costs import Costs

_COLUMNS = (
    ("tests", 6),
    ("right", 7),
    ("wrong", 7),
    ("no score", 9),
    ("pass rate", 23),
    ("answer p50", 11),
    ("p95", 9),
)
"""Heads of the table and the cells each takes; 72 in all."""
_WIDTH = sum(cells for _, cells in _COLUMNS)
_MOST_MODELS = 30


def asked_lines(shown: RunView, width: int) -> Iterator[Line]:
    """Each model with its numbers, then the costs; nothing where neither samples nor paid calls are in the run."""
    if shown.asked and not shown.asked_is_told:
        margin = " " * min(width - _WIDTH, TITLE_WIDTH)
        yield [(margin + "".join(head.rjust(cells) for head, cells in _COLUMNS), "dim")]
        for row in shown.asked[:_MOST_MODELS]:
            yield _name(row, len(margin) + _WIDTH)
            yield [_results(row, margin)]
        if (more := len(shown.asked) - _MOST_MODELS) > 0:
            yield [(f"{more} more models are in the report", "dim")]
        if shown.costs is not None:
            yield []
    if shown.costs is not None:
        texts = wrapped(glued(_told(shown.costs)), width - TITLE_WIDTH)
        for number, text in enumerate(texts):
            yield [(("" if number else "cost").ljust(TITLE_WIDTH), "dim"), (text, "")]


def _name(row: AskedRow, width: int) -> Line:
    cost = row.costs.total.words
    name = clipped(one_line(row.model), width - cell_width(cost) - 2)
    return [(name, "bold"), (" " * (width - cell_width(name) - cell_width(cost)), ""), (cost, "")]


def _results(row: AskedRow, margin: str) -> tuple[str, str]:
    return (f"  {row.judged:,} replies as a judge", "dim") if row.only_judged else (margin + _numbers(row), "")


def _numbers(row: AskedRow) -> str:
    texts = (
        f"{row.n:,}",
        f"{row.right:,}",
        f"{row.wrong:,}",
        f"{row.unanswered:,}",
        _rate(row),
        figures.duration(row.e2e_p50_s),
        figures.duration(row.e2e_p95_s),
    )
    return "".join(text.rjust(cells) for text, (_, cells) in zip(texts, _COLUMNS, strict=True))


def _rate(row: AskedRow) -> str:
    """`90.5 % (89.0–91.8 %)`."""
    if row.pass_rate is None:
        return figures.NOT_MEASURED
    return f"{figures.percent(row.pass_rate)} ({figures.percent_range(row.pass_rate_low, row.pass_rate_high)})"


def _told(costs: Costs) -> str:
    """`$0.61 + 3 unknown · judges $0.0004 · failed attempts $0.001`."""
    parts = [costs.total.words or "nothing was asked"]
    if costs.judge.calls:
        parts.append(f"of it judges {costs.judge.words}")
    if costs.probe.calls:
        parts.append(f"probes of capabilities {costs.probe.words}")
    if costs.failed.calls:
        parts.append(f"failed attempts {costs.failed.words}")
    if costs.total.replayed:
        parts.append(f"{costs.total.replayed:,} replies from a cassette")
    if costs.total.cached:
        replies = costs.total.calls - costs.failed.calls
        parts.append(f"{costs.total.cached:,} of {replies:,} replies from the cache")
    return " · ".join(parts)
