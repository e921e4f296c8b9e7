"""Several trials of one sample become one value and one verdict.

| reducer | value | passed |
|---|---|---|
| `mean`, `median`, `min`, `max` | that of the trials' values | that of the verdicts (1 or 0) is above one half |
| `majority` | 1 or 0, as it passed; without verdicts the median | more than half of all trials passed |
| `pass@K` | how probable it is that one of K trials passes | that is above one half |
| `pass^K` | how probable it is that all of K trials pass | that is above one half |

What is probable is estimated without bias from all trials. Trials that could not be scored say nothing; of a majority
they withhold their votes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from pytest_llmbench.records import Trial

_PLAIN: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "min": min,
    "max": max,
}
_HALF = 0.5


def reduced(trials: Sequence[Trial], reducer: str) -> tuple[float | None, bool | None]:
    """Value and verdict of all trials together; None where there is none.

    Args:
        trials: at least one.
        reducer: as the use case declares it.
    """
    values = [trial.value for trial in trials if trial.value is not None]
    verdicts = [float(trial.passed) for trial in trials if trial.passed is not None]
    if reducer in _PLAIN:
        reduce = _PLAIN[reducer]
        return (reduce(values) if values else None), (reduce(verdicts) > _HALF if verdicts else None)
    if reducer == "majority":
        passed = sum(verdicts) * 2 > len(trials) if verdicts else None
        return (float(passed) if passed is not None else statistics.median(values) if values else None), passed
    k = int(reducer[len("pass@") :])
    if len(verdicts) < k:
        return None, None
    n, good = len(verdicts), int(sum(verdicts))
    value = _any_of(n, good, k) if reducer.startswith("pass@") else math.comb(good, k) / math.comb(n, k)
    return value, value > _HALF


def _any_of(n: int, good: int, k: int) -> float:
    """The probability that k drawn of n trials, of which some are good, hold a good one."""
    return 1 - math.comb(n - good, k) / math.comb(n, k)
