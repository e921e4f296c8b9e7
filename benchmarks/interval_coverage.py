"""How often does a 95 % interval hold the truth? Simulated over a grid of sample sizes and true values.

The table of docs/explanation/statistics.md, section "How often an interval holds". Every line is one method at one
sample size, averaged over the true values that are named beside it: what a single one says depends on how its
possible counts happen to fall. The intervals are those that gates and reports show: each is computed by the package's
own function. Binary ones are computed once for each possible count.

    python benchmarks/interval_coverage.py [--runs 1000]
"""

from __future__ import annotations

import argparse
import functools
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from pytest_llmbench.stats import mean_interval, ratio_interval, score_estimate, wilson
from pytest_llmbench.stats.bootstrap import bca, clustered_mean
from pytest_llmbench.stats.differences import moved_interval, unpaired_rates
from pytest_llmbench.stats.paired import tango_interval
from pytest_llmbench.stats.ratios import paired_ratio_interval
from pytest_llmbench.stats.signed_rank import shift

RATES = np.linspace(0.05, 0.95, 19)
SCORES = "mean scores 10 to 90 %, beta (sum of parameters 4)"
CHEAP = 20
"""So many times as many runs, where intervals are looked up."""
Ends = tuple[float, float]
Method = Callable[[np.random.Generator, int, int], Sequence[float]]
"""Random numbers, sample size, runs: of each true value the share of runs whose interval holds it."""


def share(intervals: Iterable[Ends], truth: float) -> float:
    """Of intervals that hold it."""
    return statistics.fmean(low <= truth <= high for low, high in intervals)


def of_rate(random: np.random.Generator, n: int, runs: int) -> Sequence[float]:
    """Wilson's of a pass rate, averaged over true rates from 5 to 95 %."""
    ends = [wilson(passed, n) for passed in range(n + 1)]
    table = np.array([(each.low, each.high) for each in ends])
    drawn = random.binomial(n, RATES[:, None], (len(RATES), CHEAP * runs))
    ends, truth = table[drawn], RATES[:, None]
    return list(((ends[..., 0] <= truth) & (truth <= ends[..., 1])).mean(axis=1))


@functools.cache
def tango(gained: int, lost: int, n: int) -> Ends:
    """Each count once."""
    return tango_interval(gained, lost, n)


def of_pairs(random: np.random.Generator, n: int, runs: int) -> Sequence[float]:
    """Tango's of a paired difference, averaged over rates and differences; answers correlated within pairs."""
    found = []
    for before, after in ((a, a + d) for a in RATES[1::3] for d in (0.0, 0.03, 0.1) if a + d < 1):
        normal = random.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], (runs, n))
        passed = normal < norm.ppf([before, after])
        gained, lost = ((~passed[..., 0]) & passed[..., 1]).sum(1), (passed[..., 0] & ~passed[..., 1]).sum(1)
        ends = (tango(int(more), int(less), n) for more, less in zip(gained, lost, strict=True))
        found.append(share(ends, after - before))
    return found


def of_two_rates(random: np.random.Generator, n: int, runs: int) -> Sequence[float]:
    """Newcombe's of two rates of different samples."""
    fewer, found = max(runs // 5, 20), []
    for before, after in ((a, a + d) for a in RATES[1::3] for d in (0.0, 0.1) if a + d < 1):
        verdicts = (random.random((fewer, 2, n)) < np.array([[before], [after]])).astype(float)
        differences = [unpaired_rates(*each.tolist()) for each in verdicts]
        found.append(share(((each.low, each.high) for each in differences), after - before))
    return found


def of_scores(random: np.random.Generator, n: int, runs: int, of: Callable[..., Any]) -> Sequence[float]:
    """Mean scores, averaged over means from 10 to 90 %; beta-distributed."""
    found = []
    for mean in RATES[1::4]:
        drawn = random.beta(4 * mean, 4 * (1 - mean), (runs, n)).tolist()
        found.append(share(((i.low, i.high) for i in map(of, drawn)), mean))
    return found


def of_score_pairs(random: np.random.Generator, n: int, runs: int, moved: float = 1.0) -> Sequence[float]:
    """`moved_interval`: mean differences of scores of which only a share moves at all."""
    found = []
    for step in (0.0, 0.1):
        steps = random.normal(step, 0.2, (runs, n)) * (random.random((runs, n)) < moved)
        found.append(share(((i.low, i.high) for i in map(moved_interval, steps.tolist())), step * moved))
    return found


def of_skewed(random: np.random.Generator, n: int, runs: int) -> Sequence[float]:
    """BCa of the mean of skewed values (log-normal, standard deviation of logarithms 0.25, 0.5 and 0.75)."""
    found = []
    for sigma in (0.25, 0.5, 0.75):
        drawn = random.lognormal(0, sigma, (runs, n)).tolist()
        ends = ((i.low, i.high) for i in (bca(values, np.mean, resamples=1999) for values in drawn))
        found.append(share(ends, float(np.exp(sigma**2 / 2))))
    return found


def of_clusters(random: np.random.Generator, n: int, runs: int, *, binary: bool = True) -> Sequence[float]:
    """Clustered mean: n clusters of 1 to 8 samples, correlation 0.3 within, averaged over means from 10 to 90 %."""
    found = []
    for rate in RATES[1::4]:
        intervals = []
        for _ in range(max(runs // 2, 20)):
            sizes = random.integers(1, 9, n)
            clusters = np.repeat(np.arange(n), sizes)
            level = random.normal(0, 0.3**0.5, n)[clusters] + random.normal(0, 0.7**0.5, len(clusters))
            values = (level < norm.ppf(rate)).astype(float) if binary else level + rate
            mean = clustered_mean(values.tolist(), clusters.tolist())
            intervals.append((mean.low, mean.high))
        found.append(share(intervals, rate))
    return found


def of_plain_clusters(random: np.random.Generator, n: int, runs: int) -> Sequence[float]:
    """The same samples as if they were independent: what clustering is for."""
    found = []
    for rate in RATES[1::4]:
        intervals = []
        for _ in range(runs):
            clusters = np.repeat(np.arange(n), random.integers(1, 9, n))
            level = random.normal(0, 0.3**0.5, n)[clusters] + random.normal(0, 0.7**0.5, len(clusters))
            passed = int((level < norm.ppf(rate)).sum())
            interval = wilson(passed, len(clusters))
            intervals.append((interval.low, interval.high))
        found.append(share(intervals, rate))
    return found


def times(random: np.random.Generator, n: int, runs: int, noise: float, *, paired: bool) -> np.ndarray:
    """Two series (2, runs, n), the second a tenth slower, with a stall of three times as long in every tenth."""
    mood = random.normal(0, noise, (runs, n)) if paired else np.zeros((runs, n))
    stalls = np.where(random.random((2, runs, n)) < 0.1, 3.0, 1.0)
    return np.exp(mood + random.normal(0, noise, (2, runs, n))) * stalls * np.array([1.0, 1.1])[:, None, None]


def of_ratios(random: np.random.Generator, n: int, runs: int, *, paired: bool) -> Sequence[float]:
    """Ratio of medians of times with 5, 10 and 30 % of noise."""
    found = []
    for noise in (0.05, 0.1, 0.3):
        both = zip(*times(random, n, max(runs // 2, 20), noise, paired=paired).tolist(), strict=True)
        found.append(share((ratio(before, after, paired=paired) for before, after in both), 1.1))
    return found


def of_shifts(random: np.random.Generator, n: int, runs: int) -> Sequence[float]:
    """What `llmbench ab` shows of the same: Hodges and Lehmann's ratio by signed ranks of the logarithms."""
    found = []
    for noise in (0.05, 0.1, 0.3):
        before, after = np.log(times(random, n, runs, noise, paired=True))
        found.append(share(((s.low, s.high) for s in map(shift, (after - before).tolist())), float(np.log(1.1))))
    return found


def ratio(before: list[float], after: list[float], *, paired: bool) -> Ends:
    """Of after / before."""
    if paired:
        return paired_ratio_interval(list(zip(before, after, strict=True)))
    interval = ratio_interval(after, before)
    return interval.low, interval.high


METHODS: Sequence[tuple[str, str, Sequence[int], Method]] = (
    ("Wilson", "pass rates 5 to 95 %", (10, 20, 50, 100, 200, 500), of_rate),
    ("Tango, paired", "rates 10 to 95 %, differences 0, 3, 10 points", (20, 50, 100, 200), of_pairs),
    ("Newcombe, unpaired", "rates 10 to 95 %, differences 0, 10 points", (20, 50, 200), of_two_rates),
    (
        "of mean scores",
        SCORES,
        (10, 20, 50, 200),
        functools.partial(of_scores, of=lambda v: score_estimate(v, [1.0] * len(v))),
    ),
    ("Student's t", SCORES, (10, 20, 50, 200), functools.partial(of_scores, of=mean_interval)),
    (
        "BCa of a mean",
        SCORES,
        (20, 50, 200),
        functools.partial(of_scores, of=functools.partial(bca, statistic=np.mean, resamples=1999)),
    ),
    ("t of paired scores", "all move, by 0 or 0.1 ± 0.2", (10, 20, 50, 200), of_score_pairs),
    ("t of paired scores", "one in ten moves", (20, 50, 200), functools.partial(of_score_pairs, moved=0.1)),
    ("BCa of a mean", "log-normal, σ 0.25 to 0.75", (20, 50, 100, 200), of_skewed),
    ("clustered share", "rates 10 to 90 %; n clusters of 1 to 8", (10, 20, 50), of_clusters),
    ("clustered mean", "the same, normal", (10, 20, 50), functools.partial(of_clusters, binary=False)),
    ("Wilson on clusters", "the same, taken for independent", (20, 50), of_plain_clusters),
    ("signed ranks, paired", "times with noise of 5 to 30 %, a tenth stalls", (8, 12, 20, 50), of_shifts),
    (
        "ratio of medians, paired",
        "the same",
        (8, 12, 20, 50),
        functools.partial(of_ratios, paired=True),
    ),
    ("ratio of medians, unpaired", "the same", (8, 12, 20, 50), functools.partial(of_ratios, paired=False)),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="simulated samples of each true value")
    runs = parser.parse_args().runs
    print("| interval | true values, averaged | n: holds the truth (the worst true value) |\n|---|---|---|")
    for name, grid, sizes, method in METHODS:
        rates = {n: method(np.random.default_rng(n), n, runs) for n in sizes}
        told = "; ".join(f"{n}: {100 * statistics.fmean(of):.1f} % ({100 * min(of):.0f} %)" for n, of in rates.items())
        print(f"| {name} | {grid} | {told} |", flush=True)


if __name__ == "__main__":
    main()
