"""Threshold gates: a rule over a metric → pass, fail or inconclusive.

A gate fails only when the whole 95 % interval of the statistic lies beyond its limit, and passes when the value itself
keeps the limit; a value beyond it whose interval reaches back is inconclusive: too few repetitions to tell a change
from noise. What was not measured is inconclusive too, never silently green.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase

from pytest_llmbench.config import Threshold
from pytest_llmbench.metrics import METRICS, OF_USE_CASES
from pytest_llmbench.records import GateResult, Measurement, Run, Series
from pytest_llmbench.results.money import money
from pytest_llmbench.stats import Interval, mean_interval, percentile_interval

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"
ADVISORY = "fail (advisory)"
"""It would have failed, by the word of judges that only advise: a warning."""

_PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "median": 50.0}


def evaluate(thresholds: Sequence[Threshold], run: Run) -> list[GateResult]:
    """Hold every threshold against every measurement it speaks of.

    Args:
        thresholds: the rules of llmbench.yaml; those for metrics of use cases are decided in `case_gates.py`.
        run: a run with its measurements.

    Returns:
        One result per threshold and matching measurement, in order; one inconclusive result where none matches.
    """
    results: list[GateResult] = []
    for threshold in (each for each in thresholds if each.metric not in OF_USE_CASES):
        matching = [measurement for measurement in run.measurements if _speaks_of(threshold, measurement)]
        results += [_decide(threshold, measurement) for measurement in matching] or [unmatched(threshold)]
    return results


def describe(threshold: Threshold) -> str:
    """The rule in words: `decode_tps p50 >= 5 tok/s`."""
    sign, limit = bound(threshold)
    return f"{threshold.metric} {threshold.statistic} {sign} {amount(limit, METRICS[threshold.metric].unit)}"


def amount(value: float, unit: str) -> str:
    """A value in words: `5 tok/s`, `91.7 %`, `$0.0069`."""
    if unit == "USD":
        return money(Decimal(value))
    return f"{value * 100:.4g} %" if unit == "share" else f"{value:.4g} {unit}"


def _speaks_of(threshold: Threshold, measurement: Measurement) -> bool:
    names = {measurement.model, measurement.model.partition(" (")[0]}  # with and without where it was requantized from
    return fnmatchcase(measurement.profile, threshold.profile) and any(fnmatchcase(n, threshold.model) for n in names)


def bound(threshold: Threshold) -> tuple[str, float]:
    """The sign of a threshold, and its limit."""
    if threshold.min is not None:
        return ">=", threshold.min
    if threshold.max is not None:
        return "<=", threshold.max
    raise ValueError(f"the threshold on {threshold.metric} has neither min nor max")


def _decide(threshold: Threshold, measurement: Measurement) -> GateResult:
    series = measurement.series(threshold.metric)
    told = of_series(series, threshold.statistic, is_scalar=threshold.metric in measurement.scalars)
    return decide(threshold, told, model=measurement.model, profile=measurement.profile, advice="measure more rounds")


@dataclass(frozen=True, slots=True)
class Told:
    """What is held against a limit."""

    value: float
    """NaN: not measured."""
    interval: Interval
    n: int
    doubt: str = ""
    """Why it may be more than it is told to be; empty where nothing is doubtful."""


def of_series(series: Series, statistic: str, *, is_scalar: bool = False) -> Told:
    """A statistic of measured values."""
    value = float(getattr(series, statistic)) if series else math.nan
    exact = is_scalar or statistic in {"min", "max"}
    return Told(value, Interval(value, value, 1.0) if exact else _interval(series, statistic), series.n)


def decide(threshold: Threshold, told: Told, *, model: str, profile: str, advice: str, gate: str = "") -> GateResult:
    """Hold a value against a threshold.

    Args:
        threshold: the rule.
        told: the value.
        model: whose it is.
        profile: of which profile or use case.
        advice: what narrows the interval.
        gate: the rule in words, where `describe` does not say it well.
    """
    sign, limit = bound(threshold)
    verdict, reason = _verdict(threshold.metric, told, sign, limit, advice)
    return GateResult(
        gate=gate or describe(threshold),
        verdict=verdict,
        reason=reason,
        metric=threshold.metric,
        model=model,
        profile=profile,
        value=None if math.isnan(told.value) else told.value,
        limit=limit,
        n=told.n,
    )


def _verdict(metric: str, told: Told, sign: str, limit: float, advice: str) -> tuple[str, str]:
    if math.isnan(told.value):
        return INCONCLUSIVE, told.doubt or f"{metric} was not measured"
    shown = f"{amount(told.value, METRICS[metric].unit)}, n = {told.n}"
    if _keeps(told.value, sign, limit):
        return (INCONCLUSIVE, f"{shown}; {told.doubt}") if told.doubt else (PASS, shown)
    if _keeps(told.interval.high if sign == ">=" else told.interval.low, sign, limit):
        return INCONCLUSIVE, f"{shown}; the 95 % interval reaches back over the limit: {advice}"
    return FAIL, shown


def _keeps(value: float, sign: str, limit: float) -> bool:
    return value >= limit if sign == ">=" else value <= limit


def _interval(series: Series, statistic: str) -> Interval:
    if statistic == "mean":
        return mean_interval(series.values)
    return percentile_interval(series.values, _PERCENTILES[statistic])


def unmatched(threshold: Threshold, gate: str = "", profile: str = "") -> GateResult:
    """What is said where the threshold speaks of nothing that there is; arguments as for `decide`."""
    profile = profile or threshold.profile
    asked = " / ".join(part for part in (threshold.model, profile) if part != "*") or "any model"
    return GateResult(
        gate=gate or describe(threshold),
        verdict=INCONCLUSIVE,
        reason=f"nothing measured matches {asked}",
        metric=threshold.metric,
        model=threshold.model,
        profile=profile,
        limit=bound(threshold)[1],
    )
