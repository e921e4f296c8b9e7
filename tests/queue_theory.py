"""What queueing theory says about one server that takes the same time for every request."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate


def sojourns(arrivals_s: Sequence[float], service_s: float) -> list[float]:
    """Arrival → end of service of each, first come, first served (Lindley's recursion, 1952)."""
    free_at, found = 0.0, []
    for at in arrivals_s:
        free_at = max(at, free_at) + service_s
        found.append(free_at - at)
    return found


def mean_wait(utilization: float, service_s: float) -> float:
    """Mean wait before service in M/D/1 (Pollaczek and Khinchine): ρ s / 2 (1 − ρ)."""
    return utilization * service_s / (2 * (1 - utilization))


def random_mean_waits(utilization: float, service_s: float, requests: int, paths: int) -> list[float]:
    """The mean waits that so many requests really have, in an M/D/1 that begins empty: one a path, sorted.

    Drawn by another generator of arrivals than the product's.
    """
    chance = random.Random(20261121)
    means = []
    for _ in range(paths):
        gaps = (chance.gammavariate(1.0, service_s / utilization) for _ in range(requests))
        means.append(sum(sojourns(list(accumulate(gaps)), service_s)) / requests - service_s)
    return sorted(means)
