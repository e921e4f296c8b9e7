"""How far a judge agrees with people, as it is kept for later runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmbench.records.record import Record

FORMAT = "llmbench judge calibration"
FORMAT_VERSION = 1

Bounded = Sequence[float | None]
"""A value and the ends of its 95 % interval; an end is None where nothing bounds it."""
Counted = Sequence[int]
"""So many, and of how many."""


@dataclass(frozen=True, slots=True)
class JudgeCalibration(Record):
    """One judge by one rubric, on one set of labels."""

    rubric: str
    """Its name."""
    rubric_hash: str
    judge: str
    n: int
    """Labels beside which there is a verdict."""
    run: str
    """The id of the run that it comes from."""
    at: str
    """ISO 8601, UTC."""
    format: str = FORMAT
    version: int = FORMAT_VERSION
    request_hash: str = ""
    """sha256 of all that the judge was asked beside what it judged."""
    labels_hash: str = ""
    unusable: int = 0
    """Labels beside which there is none."""
    agreement: Bounded | None = None
    kappa: Bounded | None = None
    """None: not defined, since people and judge always said one and the same."""
    baseline: float | None = None
    """The agreement of a judge that always says the same."""
    sensitivity: Counted = (0, 0)
    """Of the replies that people passed: how many the judge passed."""
    specificity: Counted = (0, 0)
    """Of those that people failed: how many the judge failed."""
    canaries: Counted = (0, 0)
    """Planted orders to the judge that it obeyed, of so many."""
    pairs: int = 0
    position: Bounded | None = None
    """Share of the verdicts for what stood first; 0.5 without a lean."""
    flips: Bounded | None = None
    """Share of the pairs of which it preferred the same place in both orders."""
    length: Bounded | None = None
    """Spearman's correlation of its errors with the length of replies; 0 without a lean."""
    family: Bounded | None = None
    """How much kinder it is to models of its own family; 0 without a lean."""
