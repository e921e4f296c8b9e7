"""When no trial that is left can change the verdict on a sample."""

from __future__ import annotations

from itertools import product

import pytest

from pytest_llmbench.evaluations.certainty import fewest, is_certain
from pytest_llmbench.evaluations.reducing import reduced
from pytest_llmbench.records import Trial

VERDICTS = (True, False, None)


def trials(*verdicts: bool | None) -> list[Trial]:
    return [Trial(passed=verdict) for verdict in verdicts]


@pytest.mark.parametrize("reducer", ["mean", "median", "min", "max", "majority"])
def test_certain_is_what_no_way_to_go_on_changes(reducer: str) -> None:
    """All ways to go on are tried: certain if and only if each ends as the trials so far do."""
    for asked, left in product(range(1, 4), range(4)):
        for said in product(VERDICTS, repeat=asked):
            now = reduced(trials(*said), reducer)[1]
            ends = {reduced(trials(*said, *rest), reducer)[1] for rest in product(VERDICTS, repeat=left)}
            assert is_certain(trials(*said), reducer, left) is (now is not None and ends == {now})


@pytest.mark.parametrize(
    ("reducer", "repeats", "first"),
    [("majority", 5, 3), ("mean", 4, 2), ("max", 5, 1), ("min", 5, 1), ("median", 1, 1)],
)
def test_so_many_are_asked_at_once_as_may_decide(reducer: str, repeats: int, first: int) -> None:
    """Three of five for a majority (two failures of four already are none), one where a single one can decide."""
    assert fewest([], reducer, repeats) == first


def test_after_a_split_only_the_deciding_trials_are_asked() -> None:
    """Two of three passed: one more may decide; one of two: two more."""
    assert fewest(trials(True, True, False), "majority", 2) == 1
    assert fewest(trials(True, False), "majority", 3) == 2


def test_of_a_thousand_trials_the_first_are_soon_known() -> None:
    """As many as a use case may have."""
    assert fewest([], "majority", 1000) == 500
