"""Verdicts that a hair would turn: where one step of one grade more or less makes a reply pass, or fail."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pytest_llmbench.judges.rubric import Criterion, Rubric
from pytest_llmbench.judges.verdict import reaches
from pytest_llmbench.records.score import Score

_HALF = 0.5


def is_on_border(rubric: Rubric, score: Score) -> bool:
    """Whether a verdict would be another one if the judge had given one grade a step higher, or lower.

    Criteria of `yes-no` and `violations` have no steps, and none is taken there.

    Args:
        rubric: what was judged by.
        score: of one judge, by that rubric.
    """
    values = {part.name: part.value for part in score.parts if part.value is not None}
    if score.passed is None or len(values) != len(rubric.criteria):
        return False
    return any(_passes(rubric, each) is not score.passed for each in _a_step_away(rubric, values))


def _a_step_away(rubric: Rubric, values: Mapping[str, float]) -> Iterator[Mapping[str, float]]:
    for one in (each for each in rubric.criteria if each.kind == "grade"):
        step = 1 / _steps(one)
        for moved in (values[one.id] - step, values[one.id] + step):
            if reaches(moved, 0.0) and reaches(1.0, moved):
                yield {**values, one.id: moved}


def _steps(criterion: Criterion) -> int:
    return max(1, criterion.highest - criterion.lowest)


def _passes(rubric: Rubric, values: Mapping[str, float]) -> bool:
    weight = math.fsum(one.weight for one in rubric.criteria)
    total = math.fsum(one.weight * values[one.id] for one in rubric.criteria) / weight
    return reaches(total, rubric.pass_at) and all(reaches(values[one.id], _HALF) for one in rubric.criteria if one.must)
