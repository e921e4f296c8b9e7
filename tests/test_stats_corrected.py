"""The pass rate behind a judge that errs."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_series import share

from pytest_llmbench.stats import wilson
from pytest_llmbench.stats.corrected import corrected_rate

counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_a_lenient_judges_pass_rate_is_corrected() -> None:
    """74 % passed by a judge who passes 90 % of the good and 50 % of the bad: 60 % are good (Rogan & Gladen 1978)."""
    found = corrected_rate(740, 1000, (180, 200), (100, 200))
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(0.6), 1000)
    assert found.low is not None
    assert found.high is not None
    assert 0.35 < found.low < 0.6 < found.high < 0.8


def test_the_interval_is_that_of_the_published_formulae() -> None:
    """Lang and Reiczigel's limits for 45 of 300, sensitivity 54 of 60 and specificity 95 of 100, step by step."""
    z = 1.959964
    observed, sensitive, specific = (45 + z**2 / 2) / (300 + z**2), 55 / 62, 96 / 102
    rate = (observed + specific - 1) / (sensitive + specific - 1)
    doubt = (sensitive * (1 - sensitive) / 62, specific * (1 - specific) / 102)
    shift = 2 * z**2 * (rate * doubt[0] - (1 - rate) * doubt[1])
    variance = observed * (1 - observed) / (300 + z**2) + rate**2 * doubt[0] + (1 - rate) ** 2 * doubt[1]
    half = z * variance**0.5 / (sensitive + specific - 1)
    found = corrected_rate(45, 300, (54, 60), (95, 100))
    assert found is not None
    assert found.value == pytest.approx((0.15 + 0.95 - 1) / 0.85)
    assert (found.low, found.high) == (pytest.approx(rate + shift - half), pytest.approx(rate + shift + half))
    assert (round(rate + shift - half, 3), round(rate + shift + half, 3)) == (0.043, 0.183)


def test_a_perfect_judge_that_was_hardly_checked_leaves_a_wide_interval() -> None:
    """Five of five and five of five: the pass rate's own interval is narrow, the corrected one is not."""
    checked_little, checked_well = (
        corrected_rate(800, 1000, (5, 5), (5, 5)),
        corrected_rate(800, 1000, (2000,) * 2, (2000,) * 2),
    )
    assert checked_little is not None
    assert checked_well is not None
    assert checked_little.value == checked_well.value == 0.8
    assert checked_little.low is not None
    assert checked_well.low is not None
    assert checked_little.low < 0.7
    assert checked_well.low == pytest.approx(wilson(800, 1000).low, abs=0.005)


@pytest.mark.parametrize(
    ("n", "sensitivity", "specificity"),
    [(50, (5, 10), (5, 10)), (50, (2, 10), (4, 10)), (50, (0, 0), (5, 5)), (50, (5, 5), (0, 0)), (0, (9, 10), (9, 10))],
)
def test_a_judge_that_tells_nothing_gives_no_rate(
    n: int, sensitivity: tuple[int, int], specificity: tuple[int, int]
) -> None:
    """No better than a coin, worse than one, never checked on one side; or nothing judged."""
    assert corrected_rate(0, n, sensitivity, specificity) is None


def test_a_judge_that_may_be_worthless_leaves_everything_open() -> None:
    """One of two and two of three seen right: barely better than a coin, and with added counts no better."""
    found = corrected_rate(30, 50, (1, 1), (1, 60))
    assert found is not None
    assert (found.low, found.high) == (0, 1)


def test_more_right_than_there_were_is_a_mistake() -> None:
    """Counts, not shares."""
    with pytest.raises(ValueError, match="11 of 10"):
        corrected_rate(5, 10, (11, 10), (9, 10))


@given(counts, counts, counts)
def test_the_rate_lies_in_its_interval_and_that_in_0_to_1(
    passed: tuple[int, int], sensitivity: tuple[int, int], specificity: tuple[int, int]
) -> None:
    """Whatever was counted; None exactly where the judge tells nothing."""
    found = corrected_rate(*passed, sensitivity, specificity)
    better = sensitivity[0] / sensitivity[1] + specificity[0] / specificity[1] > 1
    assert (found is not None) is better
    if found is not None:
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.value <= found.high <= 1


def covered(random: Random, rate: float, labels: int) -> bool:
    """A judge of sensitivity 0.9 and specificity 0.75, checked on so many of each kind, over 300 replies."""

    def hits(n: int, chance: float) -> int:
        return sum(random.random() < chance for _ in range(n))

    found = corrected_rate(
        hits(300, rate * 0.9 + (1 - rate) * 0.25), 300, (hits(labels, 0.9), labels), (hits(labels, 0.75), labels)
    )
    return found is not None and found.low is not None and found.high is not None and found.low <= rate <= found.high


@pytest.mark.parametrize(("rate", "labels"), [(0.6, 30), (0.9, 50)])
def test_the_interval_holds_the_true_rate(rate: float, labels: int) -> None:
    """At least 93 % of 400 draws; two times out of three where the judge's rates are taken for exact."""
    assert share(400, lambda random: covered(random, rate, labels)) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("labels", [20, 50, 200])
def test_coverage_over_many_draws(rate: float, labels: int) -> None:
    """2,000 draws: at least 94 %."""
    assert share(2000, lambda random: covered(random, rate, labels)) >= 0.94
