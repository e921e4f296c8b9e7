"""Is this machine as fast as it was? A fixed piece of work that no model and no server has a part in, timed.

A speed that changed between two sessions may be the machine's: a host with more neighbours, a lower clock, another
kind of core. The same work, done in each session that measures, tells that from a change of what is measured. It is
what a model's arithmetic is like: vectors larger than the caches are read and written, and small ones reckoned with.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

from pytest_llmbench import clock

TOLERANCE = 0.1
"""A shift beyond this share says that the machine is not as it was; busy neighbours alone bend it by about half."""
_ROUNDS = 24
_WARM_UP = 2
_LARGE = 4 * 2**20
"""32-bit numbers in a vector that no core's own cache holds: 16 MiB."""
_SMALL = 2**15
"""As many in one that stays in it: 128 KiB."""
_LARGE_PASSES, _SMALL_PASSES = 8, 400
"""Of a round: half of its time each."""


def anchor() -> float:
    """CPU seconds of the fixed work: the lower quartile of 24 rounds, about a quarter of a second altogether.

    Neighbours make rounds slower and never faster: what the better ones take is the machine's.
    """
    work = _work()
    return statistics.quantiles([_timed(work) for _ in range(_WARM_UP + _ROUNDS)][_WARM_UP:], n=4)[0]


def anchor_shift(now: float, before: float) -> float:
    """How much longer the fixed work takes than it did, as a share: 0.12 is a machine that is 12 % slower."""
    return now / before - 1 if before else math.nan


def _timed(work: Callable[[], object]) -> float:
    begun_s = clock.thread_cpu_s()
    work()
    return clock.thread_cpu_s() - begun_s


def _work() -> Callable[[], object]:
    """One round; on this thread alone: NumPy takes several for products of matrices only."""
    import numpy as np  # noqa: PLC0415 - slow to import, and only measurements need it

    large, out = np.linspace(0.5, 1.5, _LARGE, dtype=np.float32), np.empty(_LARGE, dtype=np.float32)
    small, into = np.linspace(0.5, 1.5, _SMALL, dtype=np.float32), np.empty(_SMALL, dtype=np.float32)

    def work() -> object:
        for _ in range(_LARGE_PASSES):
            np.multiply(large, np.float32(0.75), out=out)
        for _ in range(_SMALL_PASSES):
            np.multiply(small, small, out=into)
            np.add(into, small, out=into)
        return np.add.reduce(out)

    return work
