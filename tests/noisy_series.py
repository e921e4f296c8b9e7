"""Series of known nature, for the tests of what reads trends and steps off them."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random


def noise(random: Random, n: int, correlation: float = 0.0) -> list[float]:
    """Normal noise of standard deviation 1; each value resembles the one before (first-order autoregression)."""
    value, values = random.gauss(0, 1), []
    for _ in range(n):
        values.append(value)
        value = correlation * value + math.sqrt(1 - correlation**2) * random.gauss(0, 1)
    return values


def share(times: int, happens: Callable[[Random], bool], seed: int = 11) -> float:
    """How often it happens, out of so many tries with one stream of random numbers."""
    random = Random(seed)
    return sum(happens(random) for _ in range(times)) / times
