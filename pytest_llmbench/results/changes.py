"""What changed from one run to another, metric by metric: samples matched by id and content, speed round by round.

A change of a rate or score is a difference (0.03 = 3 points), of all else a ratio less 1 (0.1 = 10 % more).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_llmbench.metrics import METRICS, Direction
from pytest_llmbench.records import Outcome
from pytest_llmbench.results.baseline import CaseBaseline, MeasuredBaseline, SampleRow
from pytest_llmbench.stats.differences import Difference, paired_rates, paired_values, unpaired_rates
from pytest_llmbench.stats.limits import ALPHA
from pytest_llmbench.stats.ratios import Ratio, unpaired_ratio

RATES = frozenset({"pass_rate", "unscored_rate", "error_rate", "accuracy"})
SCORES = frozenset({"score"})
COSTS = frozenset({"cost_usd", "total_cost_usd"})
EXACT = frozenset({"peak_rss_bytes", "memory_share", "largest_context"})
"""Read once a measurement, and hardly another the next time: the value alone decides."""
_OF_MACHINE = frozenset({"s", "tok/s", "1/s", "1/h", "B", "°C"})
"""Units of what belongs to the machine as much as to the model."""
_SEEN_AT = 2 * ALPHA
"""Two-sided: what a gate that looks in one direction would have seen."""
_ENOUGH_ROUNDS = 6
"""From which the medians of rounds bound a ratio."""


@dataclass(frozen=True, slots=True)
class Change:
    """Of one metric of one model on one use case, or by one profile."""

    metric: str
    model: str
    where: str
    """The use case, or the profile."""
    before: float | None
    after: float | None
    value: float | None
    """The change; None: one side has no value."""
    low: float
    high: float
    n: int
    """Pairs of samples; rounds or repetitions of both sides."""
    p_below: float = 1.0
    """One-sided: small where it surely fell."""
    p_above: float = 1.0
    smallest_detectable: float | None = None
    lost: int = 0
    """Samples that were there before and tell nothing now."""
    of: int = 0
    """Samples that were there before and are the same."""
    told: str = ""
    """What is not in the comparison, with counts."""
    advised: bool = False
    exact: bool = False

    @property
    def is_difference(self) -> bool:
        return is_difference(self.metric)

    @property
    def lower_is_better(self) -> bool:
        return METRICS[self.metric].direction is Direction.LOWER

    @property
    def p_worse(self) -> float:
        """One-sided: small where it surely became worse."""
        return self.p_above if self.lower_is_better else self.p_below

    @property
    def p_value(self) -> float:
        """Two-sided."""
        return min(1.0, 2 * min(self.p_below, self.p_above))

    @property
    def worse(self) -> tuple[float, float, float]:
        """By how much it became worse, with the 95 % interval: the change, turned where higher is better."""
        assert self.value is not None
        return (self.value, self.low, self.high) if self.lower_is_better else (-self.value, -self.high, -self.low)


def is_difference(metric: str) -> bool:
    """Whether changes of a metric are differences; of all others they are ratios."""
    return metric in RATES or metric in SCORES


def is_of_machine(metric: str) -> bool:
    """Whether a metric says as much of the machine as of the model."""
    return METRICS[metric].unit in _OF_MACHINE or metric == "memory_share"


def case_metrics(case: CaseBaseline) -> list[str]:
    """What can be compared of a use case."""
    rows = list(case.rows().values())
    having: dict[str, Callable[[SampleRow], object]] = {
        "pass_rate": lambda row: row.passed,
        "score": lambda row: row.value,
        "cost_usd": lambda row: row.cost_usd,
    }
    return [metric for metric, read in having.items() if any(read(row) is not None for row in rows)]


def measured_metrics(measured: MeasuredBaseline) -> list[str]:
    """What can be compared of a measurement."""
    scalars = [metric for metric in measured.scalars if metric in METRICS]
    return [*(("accuracy",) if "correct" in measured.metrics else ()), *measured.metrics, *scalars]


def of_case(metric: str, before: CaseBaseline, after: CaseBaseline) -> Change:
    """What changed of a use case, over the samples that are the same in both.

    Args:
        metric: of use cases.
        before: the baseline's.
        after: the run's.
    """
    old, new = before.rows(), after.rows()
    same = [sample for sample, row in old.items() if sample in new and _is_same(row, new[sample])]
    gone = [sample for sample in old if sample not in new]
    read = _reader(metric)
    pairs = [(read(old[sample]), read(new[sample])) for sample in same]
    lost = len(gone) + sum(one is not None and other is None for one, other in pairs)
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    documents = [new[sample].document for sample in same]
    clusters = [each or sample for each, sample in zip(documents, same, strict=True)] if any(documents) else None
    told = _counts(before, after, same=len(same), gone=len(gone), lost=lost)
    found = _compared(metric, pairs, clusters)
    level = math.fsum if metric == "total_cost_usd" else statistics.fmean
    return Change(
        metric,
        after.model,
        after.use_case,
        level([one for one, _ in known]) if known else None,
        level([other for _, other in known]) if known else None,
        *_bounds(found),
        lost=lost,
        of=len(same) + len(gone),
        told=told,
        advised=metric in {"pass_rate", "score"} and any(new[sample].advised for sample in same),
    )


def of_measurement(metric: str, before: MeasuredBaseline, after: MeasuredBaseline) -> Change:
    """What changed of a measurement. The unit is the round: what was timed in one round shares its luck.

    The test goes by the medians of rounds; the interval too, from six rounds on, below by single repetitions.
    """
    exact = metric in EXACT and metric in before.scalars and metric in after.scalars
    if metric == "accuracy" or metric in before.scalars or metric in after.scalars:
        found = _accuracy(before, after) if metric == "accuracy" else None
        one, other = _scalar(metric, before), _scalar(metric, after)
        told = "" if exact or found else "one value of a measurement does not tell how much it varies"
        bounds = _bounds(found) if found else _single(one, other, exact=exact)
        return Change(metric, after.model, after.profile, one, other, *bounds, told=told, exact=exact)
    old, new = before.metrics.get(metric, ()), after.metrics.get(metric, ())
    rounds = _medians(old), _medians(new)
    units = rounds if min(map(len, rounds)) >= _ENOUGH_ROUNDS else (_all(old), _all(new))
    ratio = unpaired_ratio(*units, alpha=_SEEN_AT)
    tested = ratio if min(map(len, rounds)) <= 1 else unpaired_ratio(*rounds)
    return Change(
        metric,
        after.model,
        after.profile,
        _median(units[0]),
        _median(units[1]),
        *_bounds(replace(ratio, n=tested.n, p_below=tested.p_below, p_above=tested.p_above)),
        told=f"{len(old)} rounds before, {len(new)} now",
    )


def _is_same(old: SampleRow, new: SampleRow) -> bool:
    """By content, where both runs kept a hash of it: those from before they did are matched by id alone."""
    return old.content == new.content or not (old.content and new.content)


def _reader(metric: str) -> Callable[[SampleRow], float | bool | None]:
    readers: dict[str, Callable[[SampleRow], float | bool | None]] = {
        "pass_rate": lambda row: row.passed,
        "score": lambda row: row.value,
        "unscored_rate": lambda row: row.outcome == Outcome.UNSCORED if row.outcome != Outcome.INFRA_ERROR else None,
        "error_rate": lambda row: row.outcome == Outcome.INFRA_ERROR,
    }
    return _cost if metric in COSTS else readers.get(metric, lambda _row: None)


def _cost(row: SampleRow) -> float | None:
    return None if row.cost_usd is None else float(row.cost_usd)


def _compared(
    metric: str, pairs: Sequence[tuple[float | bool | None, float | bool | None]], clusters: Sequence[str] | None
) -> Difference:
    old, new = [one for one, _ in pairs], [other for _, other in pairs]
    if metric in SCORES:
        return paired_values(old, new, clusters, alpha=_SEEN_AT)
    if metric in COSTS:
        return _cost_change(pairs, clusters)
    return paired_rates(_verdicts(old), _verdicts(new), clusters, alpha=_SEEN_AT)


def _cost_change(
    pairs: Sequence[tuple[float | bool | None, float | bool | None]], clusters: Sequence[str] | None
) -> Difference:
    """Of the mean, as a part of what it was: money adds up, so that no median will do."""
    known = [(one, other) if one is not None and other is not None else (None, None) for one, other in pairs]
    usual = statistics.fmean([one for one, _ in known if one is not None] or [0.0])
    if usual:
        parts = [[None if cost is None else cost / usual for cost in side] for side in zip(*known, strict=True)]
        return paired_values(parts[0], parts[1], clusters, alpha=_SEEN_AT)
    n, rose = sum(one is not None for one, _ in known), any(other for _, other in known)
    change = math.inf if rose else 0.0
    return Difference(change if n else None, change, change, n, 1.0, 1.0, 0.0 if rose else 1.0, None)


def _verdicts(values: Sequence[float | bool | None]) -> list[bool | None]:
    return [None if value is None else bool(value) for value in values]


def _bounds(found: Difference | Ratio) -> tuple[float | None, float, float, int, float, float, float | None]:
    """Value, interval, n, both one-sided p, and the smallest change that would have been seen."""
    if isinstance(found, Difference):  # of costs it is relative already
        sides = (found.p_worse, found.p_better)
        return found.value, found.low, found.high, found.n, *sides, found.smallest_detectable
    value = None if found.value is None else found.value - 1
    return value, found.low - 1, found.high - 1, found.n, found.p_below, found.p_above, found.smallest_detectable


def _single(
    one: float | None, other: float | None, *, exact: bool
) -> tuple[float | None, float, float, int, float, float, None]:
    if one is None or other is None or one <= 0:
        return None, -math.inf, math.inf, 0, 1.0, 1.0, None
    change = other / one - 1
    return (change, change, change, 2, 1.0, 1.0, None) if exact else (change, -math.inf, math.inf, 2, 1.0, 1.0, None)


def _accuracy(before: MeasuredBaseline, after: MeasuredBaseline) -> Difference:
    """Item by item where the same were answered in the same order."""
    old, new = before.metrics.get("correct", ()), after.metrics.get("correct", ())
    one, other = [bool(value) for value in _all(old)], [bool(value) for value in _all(new)]
    if before.load == after.load and list(map(len, old)) == list(map(len, new)):
        return paired_rates(one, other, alpha=_SEEN_AT)
    return unpaired_rates(one, other, alpha=_SEEN_AT)


def _scalar(metric: str, measured: MeasuredBaseline) -> float | None:
    if metric in measured.scalars:
        return measured.scalars[metric]
    values = _all(measured.metrics.get("correct" if metric == "accuracy" else metric, ()))
    return statistics.fmean(values) if values else None


def _medians(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.median(values) for values in rounds if values]


def _all(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [value for values in rounds for value in values]


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _counts(before: CaseBaseline, after: CaseBaseline, *, same: int, gone: int, lost: int) -> str:
    return ", ".join(_counted(before, after, same=same, gone=gone, lost=lost))


def _counted(before: CaseBaseline, after: CaseBaseline, *, same: int, gone: int, lost: int) -> Iterator[str]:
    changed = len(before.samples) - gone - same
    new = len(after.samples) - same - changed
    counts = {"changed": changed, "new": new, "gone": gone, "without a result now": lost - gone}
    told = [f"{count:,} {what}" for what, count in counts.items() if count]
    if told:
        yield f"{same:,} samples are the same ({', '.join(told)})"
    if before.prompt_version != after.prompt_version:
        yield "the prompt is another"
