"""Is the pass rate at least p0? Decided while samples or trials come, before all were asked where that is possible.

`Curtailed` stops when the gate's answer is certain whatever the rest would say: it decides as all samples would.
`Sprt` stops earlier, and errs at rates that are set beforehand. What they save stands in
docs/explanation/sequential-stopping.md. After an early stop the share that passed so far is no fair estimate of the
pass rate: stopping favoured the side that was ahead. All samples count alike: weights are not for early decisions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from pytest_llmbench.errors import UsageError
from pytest_llmbench.stats.intervals import wilson
from pytest_llmbench.stats.limits import ALPHA, share_against

_MOST_GATES = 1_000
"""That a run has: a failure that is certain holds beside as many."""

Decision = Literal["accept", "reject", "inconclusive"]
"""What the gate says: passed, failed, or too few samples to tell."""


@dataclass(frozen=True, slots=True)
class FixedRule:
    """What a gate says once all samples are in.

    Raises:
        UsageError: p0 is not above 0 and up to 1, or there are no samples.
    """

    p0: float
    """The pass rate that is asked for, above 0 and up to 1."""
    n_max: int
    """Samples."""
    confidence: float | None = 0.95
    """Of the interval that must lie below p0 for a failure, else a rate below p0 is inconclusive; None: it fails."""

    def __post_init__(self) -> None:
        if not (0 < self.p0 <= 1 and self.n_max >= 1):
            raise UsageError(
                f"a gate needs a pass rate above 0, up to 1, and at least one sample, not {self.p0:g} of {self.n_max}",
                hint="0.8 asks that four of five pass",
            )

    def verdict(self, passed: int, n: int) -> Decision:
        """Of so many that passed; of none nothing is known."""
        if not n:
            return "inconclusive"
        if passed / n >= self.p0:
            return "accept"
        fails = self.confidence is None or wilson(passed, n, self.confidence).high < self.p0
        return "reject" if fails else "inconclusive"


@dataclass(frozen=True, slots=True)
class BoundRule:
    """What a gate says that is held against the interval, whatever the other gates of the run say."""

    p0: float
    """The pass rate that is asked for, above 0 and up to 1."""
    n_max: int
    """Samples."""

    def verdict(self, passed: int, n: int) -> Decision:
        """Of so many that passed; of none nothing is known."""
        if not n:
            return "inconclusive"
        if wilson(passed, n).low >= self.p0:
            return "accept"
        is_broken = share_against(passed / n, n, self.p0, at_least=True).p_broken < ALPHA / _MOST_GATES
        return "reject" if is_broken else "inconclusive"


@dataclass(slots=True)
class Curtailed:
    """Exact curtailment: stops as soon as nothing that may still come changes the fixed rule's verdict.

    It has no error rates of its own.
    """

    rule: FixedRule | BoundRule
    seen: int = field(default=0, init=False)
    """Samples added."""
    passed: int = field(default=0, init=False)
    unscored: int = field(default=0, init=False)

    def add(self, passed: bool | None) -> None:
        """One more sample; None: nobody could tell, and the gate decides over one sample less.

        Raises:
            ValueError: all samples are in.
        """
        if self.seen == self.rule.n_max:
            raise ValueError(f"all {self.seen} samples are in")
        self.seen += 1
        self.passed += passed is True
        self.unscored += passed is None

    @property
    def decision(self) -> Decision | None:
        """The gate's verdict, once certain; None: go on.

        Samples that stay unscored cannot turn it: they move the rate less than passes and failures do.
        """
        remaining, n = self.rule.n_max - self.seen, self.rule.n_max - self.unscored
        worst, best = self.rule.verdict(self.passed, n), self.rule.verdict(self.passed + remaining, n)
        return best if worst == best else None


@dataclass(slots=True)
class Sprt:
    """Wald's sequential probability ratio test (Ann. Math. Stat. 16, 1945, p. 117), truncated.

    It tells p0 + margin from p0 − margin; in the zone between, either answer is right. Where all samples are in, or
    their verdict is certain, the fixed rule decides, with its own error rates. Those of the test are Wald's bounds:
    without truncation the two together are not above alpha + beta.

    Raises:
        UsageError: the zone is not within 0 to 1, or an error rate not between 0 and ½.
    """

    rule: FixedRule
    margin: float = 0.05
    alpha: float = 0.05
    """How often a rate of p0 + margin may be rejected."""
    beta: float = 0.05
    """How often a rate of p0 − margin may be accepted."""
    evidence: float = field(default=0.0, init=False)
    """Logarithm of how much likelier p0 + margin is than p0 − margin."""
    _settled: Decision | None = field(default=None, init=False)
    _all: Curtailed = field(init=False)

    def __post_init__(self) -> None:
        bad, good = self.rule.p0 - self.margin, self.rule.p0 + self.margin
        if not 0 < bad < good < 1:
            raise UsageError(
                f"the zone of indifference around {self.rule.p0:g} must lie between 0 and 1, not {bad:g} to {good:g}",
                hint="take a smaller margin, or exact curtailment: it needs none",
            )
        if not (0 < self.alpha < 0.5 and 0 < self.beta < 0.5):
            raise UsageError(
                f"error rates lie between 0 and 0.5, not {self.alpha:g} and {self.beta:g}", hint="0.05 is usual"
            )
        self._all = Curtailed(self.rule)

    @property
    def seen(self) -> int:
        """Samples added."""
        return self._all.seen

    def add(self, passed: bool | None) -> None:
        """One more sample; None: nobody could tell, and it is no evidence.

        Raises:
            ValueError: all samples are in.
        """
        self._all.add(passed)
        bad, good = self.rule.p0 - self.margin, self.rule.p0 + self.margin
        if passed is not None:
            self.evidence += math.log(good / bad) if passed else math.log((1 - good) / (1 - bad))
        if self._settled is None:
            self._settled = self._crossed() or self._all.decision

    @property
    def decision(self) -> Decision | None:
        """Once there is one it stays; None: go on."""
        return self._settled

    def _crossed(self) -> Decision | None:
        if self.evidence >= math.log((1 - self.alpha) / self.beta):
            return "accept"
        return "reject" if self.evidence <= math.log(self.alpha / (1 - self.beta)) else None
