"""Where does the variance of scores come from: the samples, the model's luck with a reply, or the judge?

Random effects, estimated by the moments of the analysis of variance (Searle, Casella & McCulloch, Variance Components,
1992). What a moment makes negative is 0. Unequal numbers: `repeated` takes Henderson's method I, which is unbiased for
any numbers; `panelled` takes unweighted means of cells, which is unbiased, too, as every judge judges every reply.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_llmbench.stats.intervals import finite

Source = Literal["sample", "generation", "judge"]
Reply = Sequence[float | None]
"""The scores of one reply."""

_FEWEST_SAMPLES = 2
_FEWEST_JUDGES = 2


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of a single score; they add up."""

    sample: float
    """Some samples are harder than others."""
    generation: float | None
    """The same sample gets better and worse replies; None: a single reply each, and this is part of `sample`."""
    judge: float | None
    """The same reply gets higher and lower scores: repeats, or the judges' severity, taste and luck; None: a single
    judgement each, and this is part of `generation`, or of `sample` where that is None, too."""
    samples: int

    @property
    def shares(self) -> dict[Source, float]:
        """Of the sources that could be told apart, 0 to 1 each; empty where all scores are the same."""
        found: dict[Source, float | None] = {
            "sample": self.sample,
            "generation": self.generation,
            "judge": self.judge,
        }
        known: dict[Source, float] = {source: value for source, value in found.items() if value is not None}
        total = math.fsum(known.values())
        return {source: value / total for source, value in known.items()} if total else {}

    @property
    def dominant(self) -> Source | None:
        """The largest one, of which more would help most: samples, repeats or judgements; None where nothing varies."""
        return max(self.shares, key=lambda source: self.shares[source], default=None)


def repeated(scores: Sequence[Sequence[Reply]]) -> Components | None:
    """Of one judge who judged replies several times, independently: judgements within replies within samples.

    Args:
        scores: samples × replies × judgements, as many of each as there are; None is left out.

    Returns:
        None of fewer than two samples.
    """
    measured = [[kept for reply in sample if (kept := finite(reply))] for sample in scores]
    samples = [sample for sample in measured if sample]
    if len(samples) < _FEWEST_SAMPLES:
        return None
    replies = [reply for sample in samples for reply in sample]
    sizes = [sum(map(len, sample)) for sample in samples]
    total = sum(sizes)
    means = [statistics.fmean([score for reply in sample for score in reply]) for sample in samples]
    grand = math.fsum(size * mean for size, mean in zip(sizes, means, strict=True)) / total
    of_judge = math.fsum((score - statistics.fmean(reply)) ** 2 for reply in replies for score in reply)
    of_replies = math.fsum(
        len(reply) * (statistics.fmean(reply) - mean) ** 2
        for sample, mean in zip(samples, means, strict=True)
        for reply in sample
    )
    of_samples = math.fsum(size * (mean - grand) ** 2 for size, mean in zip(sizes, means, strict=True))
    within = math.fsum(len(reply) ** 2 / size for sample, size in zip(samples, sizes, strict=True) for reply in sample)
    judge = of_judge / (total - len(replies)) if total > len(replies) else None
    generation = None
    if len(replies) > len(samples):
        generation = (of_replies - (len(replies) - len(samples)) * (judge or 0)) / (total - within)
    across = within - math.fsum(len(reply) ** 2 for reply in replies) / total
    rest = across * (generation or 0) + (len(samples) - 1) * (judge or 0)
    sample = (of_samples - rest) / (total - math.fsum(size**2 for size in sizes) / total)
    return Components(max(sample, 0.0), _above_zero(generation), judge, len(samples))


def panelled(scores: Sequence[Sequence[Reply]]) -> Components | None:
    """Of several judges who each judged every reply once: judges crossed with replies within samples.

    Args:
        scores: samples × replies × judges, the judges in the same order everywhere; replies that a judge did not score
            (None) are left out.

    Returns:
        None of fewer than two samples or judges.

    Raises:
        ValueError: not as many judges for every reply.
    """
    if len({len(reply) for sample in scores for reply in sample}) > 1:
        raise ValueError("not as many judges for every reply: put None where a judge was silent")
    complete = [[kept for reply in sample if len(kept := finite(reply)) == len(reply)] for sample in scores]
    samples = [sample for sample in complete if sample]
    if len(samples) < _FEWEST_SAMPLES or len(samples[0][0]) < _FEWEST_JUDGES:
        return None
    count, judges = len(samples), len(samples[0][0])
    cells = [[statistics.fmean(scores) for scores in zip(*sample, strict=True)] for sample in samples]
    luck, generation = _within_samples(samples, cells)
    fewer = statistics.fmean(1 / len(sample) for sample in samples)
    by_sample = [statistics.fmean(row) for row in cells]
    by_judge = [statistics.fmean(column) for column in zip(*cells, strict=True)]
    taste = _interaction(cells) / ((count - 1) * (judges - 1))
    severity = max(statistics.variance(by_judge) - taste / count, 0.0)
    sample = statistics.variance(by_sample) - taste / judges - fewer * (generation or 0)
    judge = severity + max(taste - fewer * luck, 0.0) + luck
    return Components(max(sample, 0.0), _above_zero(generation), judge, count)


def _within_samples(samples: list[list[list[float]]], cells: list[list[float]]) -> tuple[float, float | None]:
    """Of replies to the same sample: the judges' luck, and the variance between replies."""
    judges, freedom = len(cells[0]), sum(len(sample) - 1 for sample in samples)
    if not freedom:
        return 0.0, None
    luck = math.fsum(map(_interaction, samples)) / (freedom * (judges - 1))
    between = math.fsum(
        (statistics.fmean(reply) - statistics.fmean(cell)) ** 2
        for sample, cell in zip(samples, cells, strict=True)
        for reply in sample
    )
    return luck, between / freedom - luck / judges


def _interaction(table: list[list[float]]) -> float:
    """Sum of squares of what rows and columns do not explain."""
    rows = [statistics.fmean(row) for row in table]
    columns = [statistics.fmean(column) for column in zip(*table, strict=True)]
    grand = statistics.fmean(rows)
    return math.fsum(
        (value - row - column + grand) ** 2
        for values, row in zip(table, rows, strict=True)
        for value, column in zip(values, columns, strict=True)
    )


def _above_zero(variance: float | None) -> float | None:
    return None if variance is None else max(variance, 0.0)
