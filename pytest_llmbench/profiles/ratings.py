"""Numbers → a grade and words, by the marks of the metrics table and those that a project puts in their place.

The grade follows from a metric's threshold: excellent is better than it by half, good by a fifth, acceptable meets it,
poor misses it, failed lies beyond the unusable mark. Where there is a best thinkable value (0 for a time, 1 for a
share, a temperature that good cooling keeps) half and a fifth are parts of the way from the threshold to that value:
one cannot be half as accurate again as 75 %. A mark itself belongs to the better grade.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_llmbench.metrics import METRICS, Direction, Metric
from pytest_llmbench.records import Measurement, Table

BETTER_BY: Mapping[str, float] = {"excellent": 0.5, "good": 0.2, "acceptable": 0.0}
"""Grade → how much better than the threshold a value is at least, best first."""

GRADES: tuple[str, ...] = (*BETTER_BY, "poor", "failed")
"""Best first."""

TABLE = "grades"
"""Name of the table that a measurement keeps its grades in."""

_COLUMNS = ("metric", "of", "statistic", "value", "unit", "grade", "words", "threshold", "unusable")


@dataclass(frozen=True, slots=True)
class Graded:
    """How one metric did."""

    metric: str
    value: float | None
    """None: not measured."""
    grade: str = ""
    """Empty where nothing was measured, or the metric has words only."""
    band: str = ""
    of: str = ""
    """Which part of the measurement, where parts are judged by themselves: a category of questions."""
    statistic: str = ""
    """Which statistic of its values it is; empty where there was only one."""


@dataclass(frozen=True, slots=True)
class Grading:
    """A measurement's grade: the worst of its metrics'."""

    word: str = ""
    """Empty where nothing that is rated was measured."""
    per_metric: tuple[Graded, ...] = field(default=())


def grade(measurement: Measurement, rated: Sequence[str], metrics: Mapping[str, Metric] = METRICS) -> Grading:
    """Grade a measurement.

    Args:
        measurement: complete but for its grade.
        rated: the metrics that its profile is rated by.
        metrics: the metrics table with a project's own marks (`grading.ruled`).

    Returns:
        The worst grade, and how each metric did; one that was not measured is named and never counts.
    """
    per_metric = tuple(graded for name in rated for graded in _graded(measurement, metrics[name]))
    found = [graded.grade for graded in per_metric if graded.grade]
    return Grading(max(found, key=GRADES.index, default=""), per_metric)


def grade_of(value: float, metric: Metric) -> str:
    """The grade of one value; empty for a metric without a threshold."""
    threshold, unusable = metric.marks.threshold, metric.marks.unusable
    if threshold is None or unusable is None:
        return ""
    for word in BETTER_BY:
        if _keeps(value, mark_for(word, metric), metric.direction):
            return word
    return "poor" if _keeps(value, unusable, metric.direction) else "failed"


def mark_for(word: str, metric: Metric) -> float:
    """The worst value that still earns `excellent`, `good` or `acceptable`.

    Raises:
        ValueError: the metric has no threshold.
    """
    threshold, by = metric.marks.threshold, BETTER_BY[word]
    if threshold is None:
        raise ValueError(f"{metric.name} has no threshold")
    ideal = _ideal(metric, threshold)
    return threshold * (1 + by) if ideal is None else threshold + by * (ideal - threshold)


def _ideal(metric: Metric, threshold: float) -> float | None:
    """The best thinkable value, no worse than the threshold; None: there is no bound."""
    ideal = metric.marks.ideal
    if metric.direction is Direction.LOWER:
        return min(0.0 if ideal is None else ideal, threshold)
    if ideal is None and metric.unit == "share":
        ideal = 1.0
    return None if ideal is None else max(ideal, threshold)


def as_table(grading: Grading, metrics: Mapping[str, Metric] = METRICS) -> Table:
    """The grades as a table of the measurement; values in each metric's own unit."""
    rows = tuple(_row(graded, metrics[graded.metric]) for graded in grading.per_metric)
    units = tuple("" for _ in _COLUMNS)
    return Table(TABLE, "Rating", _COLUMNS, units, rows, note="The worst grade is the measurement's.")


def _row(graded: Graded, metric: Metric) -> tuple[float | str | None, ...]:
    marks = metric.marks
    return (
        graded.metric,
        graded.of,
        graded.statistic,
        graded.value,
        metric.unit,
        graded.grade,
        graded.band,
        marks.threshold,
        marks.unusable,
    )


def _graded(measurement: Measurement, metric: Metric) -> Iterator[Graded]:
    for of, statistic, value in _judged(measurement, metric):
        if value is None or not math.isfinite(value):
            yield Graded(metric.name, None, of=of, statistic=statistic)
        else:
            yield Graded(metric.name, value, grade_of(value, metric), metric.word(value), of, statistic)


def _judged(measurement: Measurement, metric: Metric) -> Iterator[tuple[str, str, float | None]]:
    """(part, statistic, the value that is judged): its parts where the repetitions are labelled, else the whole."""
    parts: dict[str, list[float]] = {}
    for repetition in measurement.counted:
        if metric.marks.each in repetition.labels and metric.marks.of in repetition.metrics:
            part = str(repetition.labels[metric.marks.each])
            parts.setdefault(part, []).append(repetition.metrics[metric.marks.of])
    if parts:
        yield from ((part, "mean", statistics.fmean(values)) for part, values in sorted(parts.items()))
        return
    series, statistic = measurement.series(metric.name), metric.marks.statistic
    value = getattr(series, statistic) if series else None
    yield "", "" if metric.name in measurement.scalars else statistic, value


def _keeps(value: float, mark: float, direction: Direction) -> bool:
    # A mark is computed: 0.8 − 0.2 × 0.8 is not quite 0.64.
    return math.isclose(value, mark, rel_tol=1e-9) or (value < mark if direction is Direction.LOWER else value > mark)
