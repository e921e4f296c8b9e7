"""How often do our statistics cry wolf, and how often do they miss one? Rates over simulated series of known nature.

The figures of docs/explanation/statistics.md. `plain` is Mann-Kendall's test as SciPy gives it (Kendall's tau against
time), which takes the values for independent; r is the correlation of neighbouring values.

    python benchmarks/false_alarms.py [--series 1000]
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from collections.abc import Callable

from scipy.stats import kendalltau

from pytest_llmbench.stats import StopRule, change_point, paired_binary, percentile_interval, trend, wilson
from pytest_llmbench.stats.paired import smallest_detectable

LENGTHS = (8, 15, 30, 60, 150)
CORRELATIONS = (0.0, 0.3, 0.6, 0.8)


def noise(source: random.Random, n: int, correlation: float) -> list[float]:
    """Normal, standard deviation 1, a first-order autoregression."""
    value, values = source.gauss(0, 1), []
    for _ in range(n):
        values.append(value)
        value = correlation * value + math.sqrt(1 - correlation**2) * source.gauss(0, 1)
    return values


def rate(times: int, happens: Callable[[random.Random], bool]) -> str:
    """Per cent of so many tries, with fixed random numbers."""
    source = random.Random(1)
    return f"{100 * sum(happens(source) for _ in range(times)) / times:5.1f} %"


def drift(times: int) -> None:
    """Alarms at 5 % without a trend and without a step; found with one of 2.5 and 2 standard deviations."""
    print(f"{'n':>4} {'r':>4} | {'plain':>7} {'trend':>7} {'step':>7} | {'trend found':>12} {'step found':>11}")
    for n in LENGTHS:
        for r in CORRELATIONS:
            print(f"{n:4} {r:4} | {_drift_row(times, n, r)}")


def _drift_row(times: int, n: int, r: float) -> str:
    span = range(n)

    def tilted(source: random.Random) -> list[float]:
        return [value + 2.5 * i / n for i, value in enumerate(noise(source, n, r))]

    def stepped(source: random.Random) -> list[float]:
        return [value + 2.0 * (i >= n // 2) for i, value in enumerate(noise(source, n, r))]

    rates = (
        rate(times, lambda source: kendalltau(span, noise(source, n, r)).pvalue < 0.05),
        rate(times, lambda source: trend(span, noise(source, n, r)).p_value < 0.05),
        rate(times, lambda source: change_point(noise(source, n, r)) is not None),
        rate(times, lambda source: trend(span, tilted(source)).p_value < 0.05),
        rate(times, lambda source: change_point(stepped(source)) is not None),
    )
    return "{} {} {} |      {}     {}".format(*rates)


def stop_rule(times: int) -> None:
    """Coverage of the median's interval when we stop as soon as it is narrow, for three kinds of noise."""
    print("\nstopping as soon as the median's 95 % interval is 10 % wide: it holds the true median")
    for spread in (0.3, 0.8, 1.5):
        print(f"  noise {spread / 10:4.0%}: {_stopped(times, spread)}")


def _stopped(times: int, spread: float) -> str:
    rule, counts = StopRule(min_n=10, max_n=200), []

    def covered(source: random.Random) -> bool:
        values: list[float] = []
        while not rule.reason(values, 0):
            values.append(source.gauss(10, spread))
        counts.append(len(values))
        interval = percentile_interval(values, 50)
        return interval.low <= 10 <= interval.high

    return f"{rate(times, covered)} (median n {statistics.median(counts):g})"


def shares(times: int) -> None:
    """Coverage of Wilson's and Tango's intervals, alarms and power of the exact McNemar test."""
    print("\nWilson, n = 20 and 60: the interval holds the true share")
    for n in (20, 60):
        for p in (0.05, 0.3, 0.9):
            print(f"  n {n} share {p:4.0%}:", rate(times, lambda s, n=n, p=p: _holds(s, n, p)))
    print("\ntwo models on n items, each alone right on 10 % of them: alarms; and the difference said to be detectable")
    for n in (20, 60, 200):
        least = smallest_detectable(n, 0.2)
        alarms = rate(times, lambda s, n=n: _pair(s, n, 0.1, 0.1) <= 0.05)
        if least is None:
            continue
        differing = max(0.2, least)
        found = rate(times, lambda s, n=n, d=differing, e=least: _pair(s, n, (d + e) / 2, (d - e) / 2) <= 0.05)
        print(f"  n {n:3}: alarms {alarms}, detectable {least:.0%}: found {found}")


def _holds(source: random.Random, n: int, p: float) -> bool:
    interval = wilson(sum(source.random() < p for _ in range(n)), n)
    return interval.low <= p <= interval.high


def _pair(source: random.Random, n: int, more: float, less: float) -> float:
    drawn = [source.random() for _ in range(n)]
    return paired_binary([u < more for u in drawn], [more <= u < more + less for u in drawn]).p_value


def main() -> None:
    """Print all rates; 1,000 series a figure are exact to about 1.4 points of 5 %."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000)
    options = parser.parse_args()
    drift(options.series)
    stop_rule(options.series)
    shares(options.series)


if __name__ == "__main__":
    main()
