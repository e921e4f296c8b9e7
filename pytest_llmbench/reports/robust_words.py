"""What every report says of damaged inputs: each model with damage against the same samples without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmbench.reports import figures
from pytest_llmbench.results.robustness import RobustRow
from pytest_llmbench.results.use_cases import CaseTable, named
from pytest_llmbench.stats import Estimate

HEADS = ("model", "damage", "pairs", "clean", "damaged", "difference, points", "stay right", "turned wrong", "cost")
_IDS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class RobustCells:
    """A row in words."""

    name: str
    corruption: str
    pairs: str
    clean: str
    damaged: str
    difference: str
    """In percentage points, with its interval."""
    is_worse: bool
    """Whether all of the interval lies below 0."""
    stay_right: str
    turned_wrong: str
    """How many, and which."""
    cost: str


def robust_cells(table: CaseTable) -> tuple[RobustCells, ...]:
    """The rows of a use case; none where nothing was damaged."""
    return tuple(_cells(row) for row in table.robustness)


def legend(table: CaseTable) -> str:
    """What the rows compare; empty where there are none."""
    if not table.robustness:
        return ""
    what = "Mean score" if table.quality == "score" else "Pass rate"
    return f"{what} of the same samples with damaged inputs and without; what stands above is without"


def _cells(row: RobustRow) -> RobustCells:
    return RobustCells(
        name=named(row.model, row.prompt),
        corruption=row.corruption,
        pairs=f"{row.n:,}" if row.n == row.asked else f"{row.n:,} of {row.asked:,}",
        clean=_value(row.clean),
        damaged=_value(row.damaged),
        difference=_difference(row),
        is_worse=row.high is not None and row.high < 0,
        stay_right=_value(row.robustness),
        turned_wrong=_turned(row.turned_wrong),
        cost=row.costs.total.words,
    )


def _value(estimate: Estimate | None) -> str:
    return figures.percent(estimate.value if estimate else None)


def _difference(row: RobustRow) -> str:
    """`−12.5 (−20.1 to −4.9)`."""
    if row.difference is None or row.low is None or row.high is None:
        return figures.NOT_MEASURED
    return f"{_points(row.difference)} ({_points(row.low)} to {_points(row.high)})"


def _points(share: float) -> str:
    rounded = round(share * 100, 1) + 0.0  # no −0.0
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"


def _turned(ids: Sequence[str]) -> str:
    if not ids:
        return "0"
    shown = ", ".join(ids[:_IDS_SHOWN])
    return f"{len(ids):,}: {shown}" + (" …" if len(ids) > _IDS_SHOWN else "")
