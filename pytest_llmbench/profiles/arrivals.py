"""When requests of an open loop are due: a machine's steady beat, or people who know nothing of each other."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate


def constant(rate_rps: float, requests: int) -> tuple[float, ...]:
    """Evenly spaced.

    Args:
        rate_rps: requests per second.
        requests: how many.

    Returns:
        Seconds after the first one, ascending.
    """
    return tuple(number / rate_rps for number in range(requests))


def poisson(rate_rps: float, requests: int, seed: int) -> tuple[float, ...]:
    """A Poisson process: independent gaps with an exponential distribution, as from many users.

    Args:
        rate_rps: requests per second, on average.
        requests: how many.
        seed: the same one gives the same gaps at every rate, scaled: levels differ in their pressure alone.

    Returns:
        Seconds after the first one, ascending.
    """
    chance = random.Random(seed)
    gaps = (chance.expovariate(1.0) / rate_rps for _ in range(requests - 1))
    return tuple(accumulate(gaps, initial=0.0))


def offered_rps(due_s: Sequence[float]) -> float | None:
    """Gaps over the time that they span, in requests per second; None below two requests, or where all come at once."""
    span_s = max(due_s, default=0.0) - min(due_s, default=0.0)
    return (len(due_s) - 1) / span_s if span_s > 0 else None
