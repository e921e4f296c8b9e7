"""A measurement → its metrics as single figures with their 95 % intervals: what columns and charts are made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pytest_llmbench.metrics import METRICS, Direction, Metric
from pytest_llmbench.profiles.ratings import GRADES
from pytest_llmbench.records import Measurement, Series
from pytest_llmbench.reports.findings import grade_rows
from pytest_llmbench.reports.matrix_view import Figure
from pytest_llmbench.stats import mean_interval, percentile_interval

_PERCENT = {"p50": 50.0, "p95": 95.0}
_FOLLOWING = {"itl_s", "token_logprob"}
"""Thousands of values that depend on those before them: an interval as of independent ones would be too good."""

_BOUNDS: Mapping[str, tuple[str, int, str]] = {
    "accuracy": ("accuracy_by_category", 0, "scored"),
    "accuracy_change": ("against_reference", 0, "items"),
    "perplexity_ratio": ("text_against_reference", 0, "tokens"),
    "top1_agreement": ("text_against_reference", 1, "tokens"),
}
"""Metric that is told once → the table and row of the profile in which its interval stands, and the column of its n."""


def figures_of(measurement: Measurement) -> dict[str, Figure]:
    """Key (`interactive.decode_tps`) → figure, in the order of the metrics table; without what was not measured."""
    return {figure.key: figure for figure in _figures(measurement)}


def _figures(measurement: Measurement) -> Iterator[Figure]:
    ratings = _ratings(measurement)
    known = measurement.metrics
    own = [name for name in measurement.units if name not in METRICS]
    for name in (each for each in (*METRICS, *own) if each in known):
        series = measurement.series(name)
        statistic = "" if name in measurement.scalars else _statistic(METRICS.get(name))
        value = _value(series, statistic)
        if value is None:
            continue
        metric = METRICS.get(name)
        low, high, n = _bounds(measurement, series, statistic)
        yield Figure(
            profile=measurement.profile,
            metric=name,
            title=metric.title if metric else name,
            unit=series.unit or (metric.unit if metric else ""),
            statistic=statistic,
            better=metric.direction if metric else Direction.HIGHER,
            value=value,
            low=low,
            high=high,
            n=n,
            rating=ratings.get(name, ""),
            words=metric.word(value) if metric else "",
        )


def _statistic(metric: Metric | None) -> str:
    """What a metric is told by; the median of yes and no would be one of the two."""
    if metric is None:
        return "p50"
    return "mean" if metric.unit == "share" else metric.marks.statistic


def _value(series: Series, statistic: str) -> float | None:
    if not series:
        return None
    value = float(getattr(series, statistic) if statistic else series.values[0])
    return value if math.isfinite(value) else None


def _bounds(measurement: Measurement, series: Series, statistic: str) -> tuple[float | None, float | None, int]:
    """(low, high, n) of a figure."""
    if not statistic:
        return _told_bounds(measurement, series)
    if series.name in _FOLLOWING:
        return None, None, series.n
    found = (
        percentile_interval(series.values, _PERCENT[statistic])
        if statistic in _PERCENT
        else mean_interval(series.values)
    )
    return _end(found.low), _end(found.high), series.n


def _told_bounds(measurement: Measurement, series: Series) -> tuple[float | None, float | None, int]:
    """Of a metric that is measured once: as a table of its profile tells it, if one does."""
    name, place, counted = _BOUNDS.get(series.name, ("", 0, ""))
    table = next((table for table in measurement.tables if table.name == name), None)
    if table is None or len(table.rows) <= place:
        return None, None, series.n
    cells = dict(zip(table.columns, table.rows[place], strict=False))
    low, high, n = (_number(cells.get(column)) for column in ("low", "high", counted))
    return low, high, int(n) if n is not None else series.n


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _end(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _ratings(measurement: Measurement) -> dict[str, str]:
    """Metric → its grade; the worst where parts are judged by themselves."""
    found: dict[str, str] = {}
    for row in grade_rows(measurement):
        if row.grade in GRADES:
            before = found.get(row.metric, row.grade)
            found[row.metric] = max(before, row.grade, key=GRADES.index)
    return found
