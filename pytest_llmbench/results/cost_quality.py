"""What quality costs on a use case: how much more of it goes with ten times the price, and who lies below the front."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_llmbench.results.fronts import shortfalls
from pytest_llmbench.results.use_cases import CaseTable, quality_of
from pytest_llmbench.stats.regression import Line, fitted

_FEWEST = 4
"""Models below which a line through them says nothing."""


@dataclass(frozen=True, slots=True)
class CostQuality:
    """Of the models of a use case whose quality and price are known."""

    line: Line
    """Quality (0 to 1) over the decimal logarithm of a sample's price: the slope is what ten times as much buys."""
    below: Mapping[str, float]
    """Model → by how much the best one that costs no more is better; those on the front are not among them."""


def cost_quality(table: CaseTable) -> CostQuality | None:
    """The line and the front; None of fewer than four models with a price, or where all cost the same.

    Models are the points: the interval of the slope is that of other models like these, not of other samples.
    """
    known = [
        (row.name, quality.value, price.value)
        for row in table.rows
        if (quality := quality_of(table, row)) is not None
        and (price := row.calls.cost_per_sample_usd) is not None
        and price.value > 0
    ]
    if len(known) < _FEWEST:
        return None
    line = fitted([math.log10(price) for _, _, price in known], [quality for _, quality, _ in known])
    if line is None:
        return None
    missing = shortfalls([(quality, price) for _, quality, price in known])
    below = {name: short for (name, _, _), short in zip(known, missing, strict=True) if short}
    return CostQuality(line, below)
