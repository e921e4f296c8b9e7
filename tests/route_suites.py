"""Judges that are routes, as suites of a pytester: what they are asked, and what is read back of their verdicts."""

from __future__ import annotations

import json

import pytest
from suite_runs import stored_run

from pytest_llmbench.demo import Answer, Failure
from pytest_llmbench.records import Score

ROUTES = "routes:\n  careful: {models: [lab/j, lab/k]}\n"
ONCE = "--llmbench-attempts=1"
GRADED = """
rubric:
  criteria:
    - {id: loud, text: The reply is loud., scale: {1: it whispers, 3: it speaks, 5: it is loud}}
"""
BORDER = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k], when: [border]}}\n"
"""A verdict by `GRADED` is on the border from grade 3."""


def broken(_body: object) -> Failure:
    """A judge whose server fails."""
    return Failure(500, "the server fell over")


def verdict_of(pytester: pytest.Pytester, sample: str) -> Score:
    """The score that a sample's judge gave in the last run."""
    [found] = [each.evaluation for each in stored_run(pytester).results if each.sample == sample]
    assert found is not None
    return found.scores[-1]


def graded(grade: int) -> Answer:
    """A verdict by `GRADED`."""
    return Answer(json.dumps({"criteria": {"loud": {"reason": "It is as loud as it is.", "grade": grade}}}))
