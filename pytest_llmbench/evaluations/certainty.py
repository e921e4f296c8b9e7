"""Whether trials that are still to come can change the verdict on a sample.

Each of them may pass, fail, or stay without a verdict. A verdict of any of the plain reducers rises with every pass
and falls with every failure, so that what all of one kind would do bounds whatever else may come.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from pytest_llmbench.evaluations.reducing import reduced
from pytest_llmbench.records import Trial

_KINDS = (Trial(passed=True), Trial(passed=False), Trial())


def is_certain(trials: Sequence[Trial], reducer: str, left: int) -> bool:
    """Whether there is a verdict, and no trial that is left can change it.

    Args:
        trials: those that were asked.
        reducer: as the use case declares it; none of `pass@K` and `pass^K`, whose value is of all trials.
        left: how many may still come.
    """
    now = reduced(trials, reducer)[1] if trials else None
    return now is not None and all(reduced([*trials, *[kind] * left], reducer)[1] is now for kind in _KINDS)


def fewest(trials: Sequence[Trial], reducer: str, left: int) -> int:
    """How many trials more make a verdict certain, at the least: so many can be asked at once without loss.

    Args:
        trials: those that were asked, not certain yet.
        reducer: as for `is_certain`.
        left: how many may still come, one or more.
    """

    def may_do(more: int) -> bool:
        return any(is_certain([*trials, *[kind] * more], reducer, left - more) for kind in _KINDS[:2])

    return min(bisect_left(range(1, left + 1), True, key=may_do) + 1, left)
