"""What one row of the metrics table says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Which way is better."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True)
class Band:
    """A word for the values on the good side of a limit."""

    limit: float
    """Lower is better: the values below it. Higher is better: those from it upwards. ±inf: all the rest."""
    word: str


@dataclass(frozen=True, slots=True)
class Marks:
    """What a metric is graded by, and the words for its values.

    The grade follows from the threshold alone: excellent is better than it by half, good by a fifth, acceptable meets
    it, poor misses it, failed lies beyond the unusable mark. Where there is a best thinkable value, half and a fifth
    are parts of the way from the threshold to that value.
    """

    threshold: float | None = None
    """None: the metric has words and no grade."""
    unusable: float | None = None
    statistic: str = "p50"
    """The statistic of its values that is judged."""
    ideal: float | None = None
    """The best thinkable value; None: 0 where lower is better, 1 of a share, else no bound."""
    each: str = ""
    """A label of repetitions: judged for each of its values by itself, as the mean of `of`."""
    of: str = ""
    bands: tuple[Band, ...] = ()
    """Best first."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table."""

    name: str
    unit: str
    direction: Direction
    title: str
    """For table heads and charts."""
    definition: str
    marks: Marks = Marks()

    def word(self, value: float) -> str:
        """The word of the first band that the value lies in; empty where it lies in none."""
        lower = self.direction is Direction.LOWER
        inside = (b.word for b in self.marks.bands if (value < b.limit if lower else value >= b.limit))
        return next(inside, "")
