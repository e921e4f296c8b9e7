"""The grade of a measurement under a project's own rules."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from pytest_llmbench.config import GradeMarks, LlmbenchConfig, RatingStep
from pytest_llmbench.metrics import METRICS, Band, Direction, Marks, Metric
from pytest_llmbench.profiles.ratings import as_table, grade
from pytest_llmbench.records import Measurement, Table


def graded(measurement: Measurement, rated: Sequence[str], *, rules: LlmbenchConfig) -> tuple[str, Table | None]:
    """One word, and how each metric did.

    A metric that the table has no marks for is rated wherever it was measured once a project gives it marks or words;
    the others only by the profiles that are rated by them: a batch may let its first token wait.
    """
    metrics = ruled(rules)
    own = [
        name
        for name in {**rules.grades, **rules.ratings}
        if METRICS[name].marks.threshold is None and name not in rated and measurement.series(name)
    ]
    found = grade(measurement, [*rated, *own], metrics)
    return found.word, as_table(found, metrics) if found.per_metric else None


def ruled(rules: LlmbenchConfig) -> Mapping[str, Metric]:
    """The metrics table with the marks and words of llmbench.yaml in place of its own."""
    return {name: _ruled(metric, rules) for name, metric in METRICS.items()}


def _ruled(metric: Metric, rules: LlmbenchConfig) -> Metric:
    marks = metric.marks
    if own := rules.grades.get(metric.name):
        marks = _with(marks, own)
    if steps := rules.ratings.get(metric.name):
        marks = dataclasses.replace(marks, bands=tuple(_band(step, metric.direction) for step in steps))
    return dataclasses.replace(metric, marks=marks)


def _with(marks: Marks, own: GradeMarks) -> Marks:
    threshold = marks.threshold if own.threshold is None else own.threshold
    unusable = marks.unusable if own.unusable is None else own.unusable
    return dataclasses.replace(marks, threshold=threshold, unusable=unusable)


def _band(step: RatingStep, direction: Direction) -> Band:
    rest = math.inf if direction is Direction.LOWER else -math.inf
    return Band(rest if step.limit is None else step.limit, step.word)
