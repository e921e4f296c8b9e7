"""When is B slower than A? The rule, over pairs of blocks as they come; no I/O.

Of each metric and pair there is one number: by how much B was worse, as a logarithm of the ratio. B is slower where it
is unlikely to be chance (Wilcoxon's signed ranks, corrected by Holm over the metrics), by more than the margin, and a
window of new pairs says so, too. It is not slower where the interval ends below the margin. The pairs are looked at
several times; each look spends its share of alpha, so that all looks together err no more often than alpha says.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pytest_llmbench.errors import UsageError
from pytest_llmbench.results.deciding import FAIL, INCONCLUSIVE, PASS
from pytest_llmbench.stats.corrections import holm
from pytest_llmbench.stats.power import RANK_COST
from pytest_llmbench.stats.signed_rank import Shift, shift

Worse = Mapping[str, Sequence[float]]
"""Metric → of each pair, log(B / A) where lower is better, log(A / B) where higher is."""

LOOKS: Mapping[int, float] = {8: 0.0, 10: 0.4, 16: 0.2, 24: 0.2, 32: 0.2}
"""Pairs at which is looked → share of alpha that is spent there. Eight pairs prove nothing at these levels: they can
only end it by showing that B is as fast. Ten that all say the same are the fewest that prove it in one of four metrics,
and most of what is truly slower is found there."""
_CONFIDENCE = 0.95
_NORMAL = statistics.NormalDist()
_POWER = 0.8


@dataclass(frozen=True, slots=True)
class Rule:
    """What counts as slower.

    Raises:
        UsageError: a number is out of its range.
    """

    margins: Mapping[str, float]
    """Metric → how much worse B may be: 0.05 is 5 %."""
    alpha: float = 0.01
    """How often B may be called slower in any metric when it is A itself."""
    most_pairs: int = 32
    window: int = 4
    """Pairs of the window that confirms."""

    def __post_init__(self) -> None:
        if not self.margins or not all(0 < margin < 10 for margin in self.margins.values()):
            raise UsageError("every metric needs a margin above 0", hint="5% is a B that takes 1.05 times as long")
        if not 0 < self.alpha < 0.5 or self.most_pairs < 1 or self.window < 1:
            raise UsageError(
                f"alpha lies between 0 and 0.5, and pairs are at least 1, not {self.alpha:g} and {self.most_pairs}"
            )

    @property
    def looks(self) -> Mapping[int, float]:
        """As `LOOKS`, within the most pairs; the last look spends all that is left."""
        within = {n: share for n, share in LOOKS.items() if n < self.most_pairs}
        return {**within, self.most_pairs: 1 - sum(within.values())}


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the pairs say of one metric."""

    verdict: str
    shift: Shift
    """Of the logarithms."""
    p_corrected: float
    reason: str = ""
    """Why it is inconclusive, in words."""
    smallest_detectable: float | None = None
    """The change that as many pairs find four times out of five."""
    n_needed: int | None = None
    """About how many pairs would decide it."""

    @property
    def change(self) -> float:
        """By how much B is worse: 0.1 is 10 %; NaN where it was not measured."""
        return math.expm1(self.shift.value)

    @property
    def bounds(self) -> tuple[float, float]:
        """The 95 % interval of `change`."""
        return math.expm1(self.shift.low), math.expm1(min(self.shift.high, _LARGEST))


_LARGEST = 700.0
"""exp of more is no float."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is to be done after so many pairs."""

    wanted: int
    """Pairs altogether until the next look; as many as there are: it is over."""
    verdict: str
    seen: Mapping[str, Sighting] = field(default_factory=dict)
    confirming: bool = False
    """Whether the pairs that are wanted are to confirm what was seen."""


def progress(worse: Worse, rule: Rule, *, over: bool = False) -> Progress:
    """Whether the verdict is certain, or how many pairs are wanted for the next look.

    Args:
        worse: all pairs so far, as many of each metric.
        rule: what counts as slower.
        over: there will be no more pairs.
    """
    have = min((len(values) for values in worse.values()), default=0)
    for looked_at, share in rule.looks.items():
        n = min(looked_at, have) if over else looked_at
        if have < n:
            return Progress(n, INCONCLUSIVE)
        failed, confirming = _failed(worse, rule, n, share, have)
        if confirming and not over:
            return Progress(n + rule.window, INCONCLUSIVE, confirming=True)
        if failed:
            return _ended(worse, rule, n + rule.window, failed)
        if not confirming and _all_kept(worse, rule, n):
            return _ended(worse, rule, n, ())
        if n == have and over:
            break
    return _ended(worse, rule, have, ())


def _failed(worse: Worse, rule: Rule, n: int, share: float, have: int) -> tuple[tuple[str, ...], bool]:
    """The metrics in which B is slower after n pairs and their window; whether the window is still to come."""
    first = _triggered(worse, rule, n, share)
    if not first:
        return (), False
    if have < n + rule.window:
        return (), True
    again = set(_triggered(worse, rule, n + rule.window, share))
    return tuple(m for m in first if m in again and _confirmed(worse[m][n : n + rule.window], rule.margins[m])), False


def _triggered(worse: Worse, rule: Rule, n: int, share: float) -> tuple[str, ...]:
    if not n or not share:
        return ()
    shifts = {metric: shift(list(islice(values, n))) for metric, values in worse.items()}
    corrected = dict(zip(shifts, holm([each.p_above for each in shifts.values()]), strict=True))
    return tuple(
        metric
        for metric, each in shifts.items()
        if corrected[metric] <= share * rule.alpha and each.value > math.log1p(rule.margins[metric])
    )


def _confirmed(window: Sequence[float], margin: float) -> bool:
    """So few pairs prove nothing by themselves: they must point the same way, by at least half the margin."""
    return statistics.median(window) > math.log1p(margin) / 2


def _all_kept(worse: Worse, rule: Rule, n: int) -> bool:
    """Whether every metric is shown to keep its margin; each look spends an equal share of the doubt."""
    confidence = 1 - 2 * (1 - _CONFIDENCE) / len(rule.looks)
    return n > 0 and all(
        shift(list(islice(values, n)), confidence).high <= math.log1p(rule.margins[metric])
        for metric, values in worse.items()
    )


def _ended(worse: Worse, rule: Rule, n: int, failed: Sequence[str]) -> Progress:
    shifts = {metric: shift(list(islice(values, n)), _CONFIDENCE) for metric, values in worse.items()}
    corrected = dict(zip(shifts, holm([each.p_above for each in shifts.values()]), strict=True))
    seen = {m: _sighting(values[:n], corrected[m], rule, m, is_failed=m in failed) for m, values in worse.items()}
    verdicts = {each.verdict for each in seen.values()}
    verdict = next((v for v in (FAIL, INCONCLUSIVE) if v in verdicts), PASS) if seen else INCONCLUSIVE
    return Progress(n, verdict, seen)


def _sighting(values: Sequence[float], p_corrected: float, rule: Rule, metric: str, *, is_failed: bool) -> Sighting:
    found = shift(values, _CONFIDENCE)
    limit = math.log1p(rule.margins[metric])
    spread = _spread(values)
    detectable = _detectable(spread, found.n, rule, len(rule.margins)) if spread is not None else None
    if is_failed:
        return Sighting(FAIL, found, p_corrected, smallest_detectable=detectable)
    if found.n and found.high <= limit:
        return Sighting(PASS, found, p_corrected, smallest_detectable=detectable)
    needed = _needed(spread, found, limit, rule) if spread else None
    return Sighting(INCONCLUSIVE, found, p_corrected, _why(found, limit), detectable, needed)


def _why(found: Shift, limit: float) -> str:
    if not found.n:
        return "not measured"
    if found.n < min(LOOKS):
        return f"{found.n} pairs are too few to look at"
    if found.value > limit:
        return "worse than the margin, and not surely: it may be chance, or new pairs did not confirm it"
    return "the interval reaches over the margin"


def _spread(values: Sequence[float]) -> float | None:
    """Standard deviation of the logarithms, from the middle half of them; None of fewer than four."""
    if len(values) < 4:
        return None
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / (2 * _NORMAL.inv_cdf(0.75))


def _detectable(spread: float, n: int, rule: Rule, metrics: int) -> float:
    error = RANK_COST * spread / math.sqrt(n)
    return math.expm1((_NORMAL.inv_cdf(1 - rule.alpha / metrics) + _NORMAL.inv_cdf(_POWER)) * error)


def _needed(spread: float, found: Shift, limit: float, rule: Rule) -> int:
    """Pairs like these that show that it is kept, or that it is not, whichever the value says."""
    level = _CONFIDENCE if found.value < limit else 1 - rule.alpha / len(rule.margins)
    away = limit - max(found.value, 0.0) if found.value < limit else found.value
    errors = (_NORMAL.inv_cdf(level) + _NORMAL.inv_cdf(_POWER)) * RANK_COST * spread / max(away, limit / 10)
    return max(found.n + 1, math.ceil(errors**2))
