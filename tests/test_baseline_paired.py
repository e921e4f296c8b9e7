"""`paired_difference`: two lists of scores of the same samples."""

from __future__ import annotations

import pytest

from pytest_llmbench import UsageError, paired_difference
from pytest_llmbench.records import Score
from pytest_llmbench.stats import paired_binary


def scores(*values: float | None) -> list[Score]:
    return [Score("v", "scored" if value is not None else "unscored", value, None) for value in values]


def test_verdicts_are_compared_by_mcnemar_and_tango() -> None:
    """The same numbers as the paired comparison of the quality profile, b against a."""
    a, b = [True] * 60 + [False] * 40, [True] * 55 + [False] * 5 + [True] * 25 + [False] * 15
    found, known = paired_difference(a, b), paired_binary(b, a)
    assert (found.value, found.n) == (pytest.approx(0.2), 100)
    assert (found.low, found.high) == (pytest.approx(known.low), pytest.approx(known.high))
    assert found.p_value == pytest.approx(known.p_value)
    assert found.sentence.startswith("B is 20 points better than A (95 %: 10 to 30; n = 100 paired; ")
    assert repr(found) == found.sentence


def test_scores_are_compared_sample_by_sample() -> None:
    """A steady gain is seen although samples differ far more; unscored ones are left out with their partners."""
    values = [number / 20 for number in range(20)]
    a = scores(*values, 0.5, None)
    b = scores(*(value + 0.02 + 0.005 * (place % 2) for place, value in enumerate(values)), None, 0.5)
    found = paired_difference(a, b, names=("the old prompt", "the new one"))
    assert found.value == pytest.approx(0.0225)
    assert found.low > 0.02
    assert found.p_value < 0.001
    assert (found.n, found.left_out) == (20, 2)
    assert "the new one is 2.2" in found.sentence


def test_scores_with_a_verdict_alone_count_as_right_or_wrong() -> None:
    """A judge that says yes or no gives no value."""
    a = [Score("judge", passed=False)] * 12
    b = [Score("judge", passed=True)] * 12
    assert paired_difference(a, b).value == 1
    assert paired_difference(a, b).low > 0.5


def test_clusters_are_fewer_than_samples() -> None:
    """Twelve questions on two documents say no more than two documents."""
    a, b = [0.0] * 12, [1.0] * 6 + [0.0] * 6
    alone, clustered = paired_difference(a, b), paired_difference(a, b, clusters=["x"] * 6 + ["y"] * 6)
    assert alone.p_value < 0.05 < clustered.p_value
    assert clustered.low < alone.low


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [([1], [1, 0], "1 scores against 2"), ([None], [1], "has two scores"), ([], [], "has two scores")],
)
def test_what_cannot_be_compared_is_refused(a: list[float | None], b: list[float | None], why: str) -> None:
    """Nothing is paired by guessing."""
    with pytest.raises(UsageError, match=why):
        paired_difference(a, b)
