"""Matches over noise of known nature: pairs are drawn, not measured."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping

from pytest_llmbench.ab.contest import OF_SERVERS
from pytest_llmbench.ab.rule import Rule, progress

Noise = Callable[[random.Random, int], tuple[float, float]]
"""(random numbers, pair) → logarithms of what both blocks of the pair take too long, in their order."""
_WALL = 2.0
"""Clock times are so many times as noisy as CPU time."""


def normal(spread: float) -> Noise:
    """Each block by itself, on a logarithmic scale."""
    return lambda source, _pair: (source.gauss(0, spread), source.gauss(0, spread))


def drifting(spread: float, a_pair: float) -> Noise:
    """As `normal`, on a machine that becomes slower all the time, within pairs, too."""

    def noise(source: random.Random, pair: int) -> tuple[float, float]:
        return a_pair * pair + source.gauss(0, spread), a_pair * (pair + 0.5) + source.gauss(0, spread)

    return noise


def spiked(spread: float, share: float, height: float) -> Noise:
    """As `normal`, with blocks that others disturbed."""

    def one(source: random.Random) -> float:
        return source.gauss(0, spread) + (source.expovariate(1 / height) if source.random() < share else 0.0)

    return lambda source, _pair: (one(source), one(source))


NOISES: Mapping[str, Noise] = {
    "blocks vary by 2 %": normal(0.02),
    "blocks vary by 4 %": normal(0.04),
    "blocks vary by 8 %": normal(0.08),
    "by 4 %, the machine slows down by 1 % a pair": drifting(0.04, 0.01),
    "by 2 %, one block of ten takes 30 % more": spiked(0.02, 0.1, 0.3),
}


def simulated(noise: Noise, count: int, slower: float, rule: Rule | None = None) -> tuple[int, float]:
    """How many of so many matches call B slower, which it is by a share; and the median of their pairs."""
    source, rule = random.Random(1), rule or Rule(OF_SERVERS)
    ended = [_match(noise, source, slower, rule) for _ in range(count)]
    return sum(verdict == "fail" for verdict, _ in ended), statistics.median(pairs for _, pairs in ended)


def _match(noise: Noise, source: random.Random, slower: float, rule: Rule) -> tuple[str, int]:
    worse: dict[str, list[float]] = {metric: [] for metric in rule.margins}
    have, wanted = 0, min(rule.looks)
    while have < wanted:
        for pair in range(have, wanted):
            for metric, values in worse.items():
                first, second = noise(source, pair)
                scale = 1.0 if metric.startswith("cpu") else _WALL
                moved = (second - first) * scale * (1 if pair % 2 == 0 else -1)
                values.append(math.log1p(slower) + moved)
        have = wanted
        now = progress(worse, rule)
        wanted = now.wanted
    return now.verdict, have
