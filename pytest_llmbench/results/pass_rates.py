"""The share of replies that are good enough, as tests assert on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Score
from pytest_llmbench.stats import wilson


@dataclass(frozen=True, slots=True)
class PassRate:
    """A share with its 95 % interval (Wilson's)."""

    value: float
    low: float
    high: float
    n: int
    """Scores that passed or failed."""
    unscored: int
    """Scores that did neither; they are in no share."""

    def __repr__(self) -> str:
        """Short: pytest prints it where a test asserts on it."""
        rest = f", {self.unscored} unscored" if self.unscored else ""
        return f"{self.value:.1%} of {self.n} ({self.low:.1%} to {self.high:.1%}{rest})"


def pass_rate(scores: Iterable[Score]) -> PassRate:
    """How many of these scores passed, of those that passed or failed.

    Raises:
        UsageError: none did.
    """
    verdicts = [score.passed for score in scores]
    known = [passed for passed in verdicts if passed is not None]
    if not known:
        raise UsageError(
            f"none of {len(verdicts)} scores passed or failed, so there is no rate",
            hint="look at `.state` and `.reason` of the scores",
        )
    interval = wilson(sum(known), len(known))
    return PassRate(sum(known) / len(known), interval.low, interval.high, len(known), len(verdicts) - len(known))
