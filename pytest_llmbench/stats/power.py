"""What can be found before anything is spent: power, sample size, and the smallest difference that would be seen.

A study says what is compared and how much it scatters; `n_for` and `smallest_effect` ask it. All tests are two-sided at
`alpha`: for a gate that looks in one direction at 1 %, over 5 gates, alpha is 2 × 0.01 / 5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from pytest_llmbench.stats.paired import ALPHA, POWER, mcnemar_power

_MOST = 10_000_000
"""Samples beyond which a study is no advice."""
_COUNTED = 20_000
"""Pairs up to which McNemar's power is summed over all outcomes."""
_RANKS = 3 / math.pi
"""What tests on ranks are worth beside Student's where all is normal (Hodges & Lehmann, Ann. Math. Stat. 27, 1956)."""
RANK_COST = math.sqrt(1 / _RANKS)
"""Standard error of the signed-rank value over that of a mean, of normal values."""
_FINE = 1e-4
"""Effects are found to within such a share of them, and not below its square."""


class Study(Protocol):
    """Two conditions on `n` pairs, or `n` values each."""

    @property
    def largest(self) -> float:
        """The largest effect there is to look for."""

    def power_of(self, n: int, effect: float) -> float:
        """The chance to find a true effect of this size."""


@dataclass(frozen=True, slots=True)
class RateStudy:
    """Two pass rates; effects are differences, 0.05 = 5 points.

    Paired: the exact McNemar test. Unpaired: the normal test of Cohen's h (Cohen, Statistical Power Analysis, 2nd ed.,
    1988, eq. 12.5.1).
    """

    rate: float = 0.8
    """Of one condition, 0 to 1; the other lies towards the middle, where differences are hardest to find."""
    paired: bool = True
    discordant: float | None = None
    """Share of samples that are right in one and wrong in the other for whatever reason; None: rate × (1 − rate), half
    of what two unrelated conditions would have."""
    alpha: float = ALPHA

    @property
    def largest(self) -> float:
        """As far as the other rate can lie."""
        return max(self.rate, 1 - self.rate)

    def power_of(self, n: int, effect: float) -> float:
        """See `Study`."""
        size = abs(effect)
        if not self.paired:
            other = self.rate - size if self.rate >= 0.5 else self.rate + size
            h = 2 * math.asin(math.sqrt(self.rate)) - 2 * math.asin(math.sqrt(min(1.0, max(0.0, other))))
            return _both_tails(abs(h) * math.sqrt(n / 2), self.alpha)
        expected = self.rate * (1 - self.rate) if self.discordant is None else self.discordant
        differing = min(1.0, max(expected, size))
        if n <= _COUNTED:
            return mcnemar_power(n, size, differing, self.alpha)
        return _mcnemar_normal(n, size, differing, self.alpha)


@dataclass(frozen=True, slots=True)
class MeanStudy:
    """Two means by Student's t; effects are in the values' unit. The power is exact for normal values."""

    deviation: float
    """Standard deviation: of the differences where paired, else of the values."""
    paired: bool = True
    alpha: float = ALPHA

    @property
    def largest(self) -> float:
        """Ten standard deviations."""
        return 10 * self.deviation

    def power_of(self, n: int, effect: float) -> float:
        """See `Study`."""
        if n < 2:
            return 0.0
        if self.deviation == 0:
            return 1.0 if effect else self.alpha
        freedom, worth = (n - 1, n) if self.paired else (2 * n - 2, n / 2)
        return _t_power(abs(effect) / self.deviation * math.sqrt(worth), freedom, self.alpha)


@dataclass(frozen=True, slots=True)
class RatioStudy:
    """Two medians of times or sizes by a test on ranks; effects are ratios − 1, 0.1 = 10 % more.

    As for log-normal values: Student's power with 3/π as many, and none where the ranks of so few cannot reach alpha.
    """

    deviation: float
    """Standard deviation of the logarithms: of the pairs' ratios where paired, else of the values; see `of_cv`."""
    paired: bool = True
    alpha: float = ALPHA

    @classmethod
    def of_cv(cls, cv: float, *, paired: bool = True, correlation: float = 0.0, alpha: float = ALPHA) -> RatioStudy:
        """From what is told of a machine's noise.

        Args:
            cv: standard deviation of a single measurement, as a share of the mean.
            paired: two measurements beside each other are compared.
            correlation: of the two halves of a pair, 0 to 1: above 0 where they share the machine's mood.
            alpha: two-sided.
        """
        shared = 2 * (1 - correlation) if paired else 1.0
        return cls(math.sqrt(math.log1p(cv**2) * shared), paired, alpha)

    @property
    def largest(self) -> float:
        """A hundred times as much."""
        return 99.0

    def power_of(self, n: int, effect: float) -> float:
        """See `Study`."""
        if n < 2 or _rarest(n, paired=self.paired) > self.alpha:
            return 0.0
        if self.deviation == 0:
            return 1.0 if effect else self.alpha
        freedom, worth = (n - 1, n) if self.paired else (2 * n - 2, n / 2)
        return _t_power(abs(math.log1p(effect)) / self.deviation * math.sqrt(worth * _RANKS), freedom, self.alpha)


def _rarest(n: int, *, paired: bool) -> float:
    """The smallest two-sided p-value that ranks of so many can have."""
    if n > _ENOUGH:
        return 0.0
    return 2.0 ** (1 - n) if paired else 2 / math.comb(2 * n, n)


_ENOUGH = 500


def n_for(study: Study, effect: float, power: float = POWER) -> int | None:
    """How many pairs, or values on each side, find a true effect of this size with this chance.

    Returns:
        None where not even ten million do.
    """
    low, high = 1, 2
    while study.power_of(high, effect) < power:
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if study.power_of(middle, effect) >= power else (middle, high)
    return high


def smallest_effect(study: Study, n: int, power: float = POWER) -> float | None:
    """The smallest true effect that so many pairs, or values on each side, find with this chance.

    Returns:
        Above 0, to within a ten thousandth of itself; None: not even the largest is found.
    """
    low, high = 0.0, study.largest
    if n < 1 or study.power_of(n, high) < power:
        return None
    while high - low > _FINE * high and high > _FINE**2:
        middle = (low + high) / 2
        low, high = (low, middle) if study.power_of(n, middle) >= power else (middle, high)
    return high


def alpha_each(alpha: float, gates: int, *, sides: int = 1) -> float:
    """The two-sided alpha of the first of so many gates that share a family-wise one (Holm's first step).

    Args:
        alpha: chance that any of them is wrong.
        gates: how many are decided together.
        sides: 1: each looks in one direction.
    """
    return min(1.0, 2 / sides * alpha / max(gates, 1))


def _both_tails(shift: float, alpha: float) -> float:
    from scipy.special import ndtr, ndtri  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    reach = float(ndtri(1 - alpha / 2))
    return float(ndtr(shift - reach) + ndtr(-shift - reach))


def _t_power(shift: float, freedom: float, alpha: float) -> float:
    from scipy.special import nctdtr, stdtrit  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    if shift > _CERTAIN:
        return 1.0
    reach = float(stdtrit(freedom, 1 - alpha / 2))
    # SciPy's has no value far out on the wrong side, where nothing is
    far = float(nctdtr(freedom, shift, -reach)) if shift < _ONE_SIDED else 0.0
    return float(1 - nctdtr(freedom, shift, reach)) + far


_ONE_SIDED = 5.0
"""Standard errors beyond which the wrong tail has no part in the power."""
_CERTAIN = 37.0
"""Standard errors beyond which the noncentral t is not computed: it would be 1 to the last digit."""


def _mcnemar_normal(n: int, difference: float, discordant: float, alpha: float) -> float:
    """Of many pairs (Connor, Biometrics 43, 1987, p. 207)."""
    from scipy.special import ndtr, ndtri  # noqa: PLC0415 - SciPy is slow to import and few sessions need it

    spread = math.sqrt(max(discordant - difference**2, 1e-12))
    reach = float(ndtri(1 - alpha / 2)) * math.sqrt(discordant)
    return float(ndtr((difference * math.sqrt(n) - reach) / spread))
