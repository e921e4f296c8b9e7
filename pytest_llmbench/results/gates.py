"""Threshold gates: a rule over a metric → pass, fail or inconclusive.

A gate fails only when the whole 95 % interval of the statistic lies beyond its limit, and passes when the value itself
keeps the limit; a value beyond it whose interval reaches back is inconclusive: too few repetitions to tell a change
from noise. What was not measured is inconclusive too, never silently green.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase

from pytest_llmbench.config import Threshold
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import GateResult, Measurement, Run, Series
from pytest_llmbench.stats import Interval, mean_interval, percentile_interval

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"

_PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0, "median": 50.0}


def evaluate(thresholds: Sequence[Threshold], run: Run) -> list[GateResult]:
    """Hold every threshold against every measurement it speaks of.

    Args:
        thresholds: the rules of llmbench.yaml.
        run: a run with its measurements.

    Returns:
        One result per threshold and matching measurement, in order; one inconclusive result where none matches.
    """
    results: list[GateResult] = []
    for threshold in thresholds:
        matching = [measurement for measurement in run.measurements if _speaks_of(threshold, measurement)]
        results += [_decide(threshold, measurement) for measurement in matching] or [_unmatched(threshold)]
    return results


def describe(threshold: Threshold) -> str:
    """The rule in words: `decode_tps p50 >= 5 tok/s`."""
    sign, limit = _bound(threshold)
    return f"{threshold.metric} {threshold.statistic} {sign} {limit:g} {METRICS[threshold.metric].unit}"


def _speaks_of(threshold: Threshold, measurement: Measurement) -> bool:
    names = {measurement.model, measurement.model.partition(" (")[0]}  # with and without where it was requantized from
    return fnmatchcase(measurement.profile, threshold.profile) and any(fnmatchcase(n, threshold.model) for n in names)


def _bound(threshold: Threshold) -> tuple[str, float]:
    if threshold.min is not None:
        return ">=", threshold.min
    if threshold.max is not None:
        return "<=", threshold.max
    raise ValueError(f"the threshold on {threshold.metric} has neither min nor max")


def _decide(threshold: Threshold, measurement: Measurement) -> GateResult:
    series = measurement.series(threshold.metric)
    sign, limit = _bound(threshold)
    value = float(getattr(series, threshold.statistic)) if series else math.nan
    exact = threshold.metric in measurement.scalars or threshold.statistic in {"min", "max"}
    interval = Interval(value, value, 1.0) if exact else _interval(series, threshold.statistic)
    verdict, reason = _verdict(series, value, interval, sign, limit)
    return GateResult(
        gate=describe(threshold),
        verdict=verdict,
        reason=reason,
        metric=threshold.metric,
        model=measurement.model,
        profile=measurement.profile,
        value=None if math.isnan(value) else value,
        limit=limit,
        n=series.n,
    )


def _verdict(series: Series, value: float, interval: Interval, sign: str, limit: float) -> tuple[str, str]:
    if math.isnan(value):
        return INCONCLUSIVE, f"{series.name} was not measured"
    shown = f"{value:.4g} {series.unit}, n = {series.n}"
    if _keeps(value, sign, limit):
        return PASS, shown
    if _keeps(interval.high if sign == ">=" else interval.low, sign, limit):
        return INCONCLUSIVE, f"{shown}; the 95 % interval reaches back over the limit: measure more rounds"
    return FAIL, shown


def _keeps(value: float, sign: str, limit: float) -> bool:
    return value >= limit if sign == ">=" else value <= limit


def _interval(series: Series, statistic: str) -> Interval:
    if statistic == "mean":
        return mean_interval(series.values)
    return percentile_interval(series.values, _PERCENTILES[statistic])


def _unmatched(threshold: Threshold) -> GateResult:
    asked = " / ".join(part for part in (threshold.model, threshold.profile) if part != "*") or "any model"
    return GateResult(
        gate=describe(threshold),
        verdict=INCONCLUSIVE,
        reason=f"nothing measured matches {asked}",
        metric=threshold.metric,
        model=threshold.model,
        profile=threshold.profile,
        limit=_bound(threshold)[1],
    )
