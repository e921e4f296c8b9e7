"""What a run that came over its budget says of it: how many tests could not ask, and the dearest refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pytest_llmbench.records import Outcome, TestResult

_WORST = re.compile(r"may cost up to ([0-9]+(?:\.[0-9]+)?) USD")
"""As `asker.budget` words it."""


@dataclass(frozen=True, slots=True)
class OverBudget:
    """Tests that could not ask, since a request could have cost more than was left."""

    count: int
    example: str
    """One of the refusals, with its worst case: the dearest."""


def over_budget(results: Sequence[TestResult]) -> OverBudget | None:
    """What is to be told of the tests of a run that were over budget; None where none was.

    No cap is named that would have been enough: a test tells its first refusal only, and others went on spending.
    """
    refusals = [each.message.partition("\n")[0] for each in results if each.outcome == Outcome.OVER_BUDGET]
    return OverBudget(len(refusals), max(refusals, key=_worst_usd)) if refusals else None


def _worst_usd(refusal: str) -> Decimal:
    told = _WORST.search(refusal)
    return Decimal(told[1]) if told else Decimal(0)
