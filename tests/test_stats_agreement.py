"""Agreement of raters beyond chance: as the reference implementations have it, and with an interval that holds it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import krippendorff as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noisy_series import share
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

from pytest_llmbench.stats import Estimate
from pytest_llmbench.stats.agreement import (
    Level,
    Weights,
    cohen,
    constant_baseline,
    fleiss,
    krippendorff,
    observed_agreement,
)

grades = st.integers(1, 5)
two_raters = st.lists(st.tuples(grades, grades), min_size=2, max_size=60)
several_raters = st.lists(st.lists(grades, min_size=4, max_size=4), min_size=2, max_size=30)
with_gaps = st.lists(st.lists(st.none() | grades, min_size=4, max_size=4), min_size=2, max_size=30)


def counted(units: Sequence[Sequence[int]]) -> list[list[int]]:
    return [[unit.count(grade) for grade in range(1, 6)] for unit in units]


def agreeing(random: Random, n: int, good: float, kappa: float) -> list[tuple[bool, bool]]:
    """Two raters with that kappa in truth: some verdicts are shared, the others drawn independently."""

    def verdict() -> bool:
        return random.random() < good

    return [(one, one) if random.random() < kappa else (one, verdict()) for one in (verdict() for _ in range(n))]


def holds(found: Estimate | None, truth: float) -> bool:
    return found is not None and found.low is not None and found.high is not None and found.low <= truth <= found.high


@settings(deadline=None, max_examples=60)
@given(two_raters, st.sampled_from([None, "linear", "quadratic"]))
def test_cohens_kappa_is_that_of_scikit_learn(pairs: list[tuple[int, int]], weights: Weights | None) -> None:
    """For all weights, over the whole scale; where one grade alone was given it is not defined."""
    one, other = zip(*pairs, strict=True)
    found = cohen(pairs, weights, categories=[1, 2, 3, 4, 5])
    if len(set(one + other)) == 1:
        assert found is None
        return
    theirs = cohen_kappa_score(one, other, weights=weights, labels=[1, 2, 3, 4, 5])
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(theirs), len(pairs))


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohens_kappa_and_its_interval_lie_where_statsmodels_has_them(weights: Weights | None) -> None:
    """200 subjects: the ends are within 0.04 of those by the asymptotic standard error."""
    random = Random(5)
    first = [random.randint(1, 4) for _ in range(200)]
    pairs = [(grade, grade if random.random() < 0.6 else random.randint(1, 4)) for grade in first]
    table = [[pairs.count((one, other)) for other in range(1, 5)] for one in range(1, 5)]
    theirs = inter_rater.cohens_kappa(np.array(table), wt=weights)
    found = cohen(pairs, weights)
    assert found is not None
    assert found.value == pytest.approx(theirs.kappa)
    assert (found.low, found.high) == (
        pytest.approx(theirs.kappa_low, abs=0.04),
        pytest.approx(theirs.kappa_upp, abs=0.04),
    )


@settings(deadline=None, max_examples=60)
@given(several_raters)
def test_fleiss_kappa_is_that_of_statsmodels(units: list[list[int]]) -> None:
    """Subjects × categories; where one category alone was given it is not defined."""
    found = fleiss(counted(units))
    if len({grade for unit in units for grade in unit}) == 1:
        assert found is None
        return
    theirs = inter_rater.fleiss_kappa(np.array(counted(units)))
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(theirs), len(units))


@settings(deadline=None, max_examples=60)
@given(with_gaps, st.sampled_from(["nominal", "ordinal", "interval"]))
def test_krippendorffs_alpha_is_that_of_the_reference(units: list[list[int | None]], level: Level) -> None:
    """With missing ratings, at three levels of measurement; subjects with a single rating say nothing."""
    found = krippendorff(units, level)
    rated = [unit for unit in units if sum(rating is not None for rating in unit) > 1]
    if len(rated) < 2 or len({rating for unit in rated for rating in unit if rating is not None}) < 2:
        assert found is None
        return
    table = np.array([[math.nan if rating is None else rating for rating in unit] for unit in units], dtype=float).T
    assert found is not None
    assert found.value == pytest.approx(reference.alpha(table, level_of_measurement=level))
    assert found.n == len(rated)


def test_krippendorffs_published_example() -> None:
    """Four observers and twelve units with gaps (Krippendorff, Computing Alpha-Reliability, 2011): 0.743 nominal,
    0.815 ordinal, 0.849 interval."""
    units = [
        [1, 1, None, 1],
        [2, 2, 3, 2],
        [3, 3, 3, 3],
        [3, 3, 3, 3],
        [2, 2, 2, 2],
        [1, 2, 3, 4],
        [4, 4, 4, 4],
        [1, 1, 2, 1],
        [2, 2, 2, 2],
        [None, 5, 5, 5],
        [None, None, 1, 1],
        [None, None, 3, None],
    ]
    alphas = [krippendorff(units, level) for level in ("nominal", "ordinal", "interval")]
    assert [round(alpha.value, 3) for alpha in alphas if alpha] == [0.743, 0.815, 0.849]
    assert [alpha.n for alpha in alphas if alpha] == [11, 11, 11]


def test_ratings_in_order_of_words_need_to_be_told_their_order() -> None:
    """Alphabetical order is none: "high" is no neighbour of "low" in a scale with "medium"."""
    scale = ["low", "medium", "high"]
    pairs = [("low", "low"), ("medium", "high"), ("high", "high"), ("low", "medium"), ("medium", "medium")]
    as_numbers = [(scale.index(one), scale.index(other)) for one, other in pairs]
    assert cohen(pairs, "linear", categories=scale) == cohen(as_numbers, "linear")
    assert krippendorff(pairs, "ordinal", categories=scale) == krippendorff(as_numbers, "ordinal")
    with pytest.raises(ValueError, match="give their categories in order"):
        cohen(pairs, "linear")
    with pytest.raises(ValueError, match="give their categories in order"):
        krippendorff(pairs, "ordinal")
    with pytest.raises(ValueError, match="have no size"):
        krippendorff(pairs, "interval")
    with pytest.raises(ValueError, match="'high' is none of the categories"):
        cohen(pairs, categories=["low", "medium"])


def test_a_grade_that_nobody_gave_is_a_step_of_the_scale() -> None:
    """Grades 1 and 3 are two steps apart where 2 was possible: weights by place, not by what happened to be given."""
    pairs = [(1, 1), (1, 3), (3, 3), (3, 4), (4, 4), (4, 4)]
    given_only, whole = cohen(pairs, "quadratic"), cohen(pairs, "quadratic", categories=[1, 2, 3, 4])
    assert given_only is not None
    assert whole is not None
    assert whole.value == pytest.approx(
        cohen_kappa_score(*zip(*pairs, strict=True), weights="quadratic", labels=[1, 2, 3, 4])
    )
    assert whole.value < given_only.value


@pytest.mark.parametrize(
    "found",
    [
        cohen([]),
        cohen([(1, 2)]),
        cohen([(1, 1)] * 20),
        cohen([(1, None), (None, 2), (math.nan, 1), (1, 1)]),
        fleiss([]),
        fleiss([[2, 1]]),
        fleiss([[1, 0], [0, 1]]),
        fleiss([[3, 0]] * 20),
        krippendorff([]),
        krippendorff([[1, 2, 1]]),
        krippendorff([[1, None], [None, 2]]),
        krippendorff([[0.1, 0.1, 0.1]] * 9, "interval"),
        krippendorff([[2, 2]] * 9, "ordinal"),
        observed_agreement([(1, None)]),
        constant_baseline([None]),
    ],
)
def test_what_is_not_defined_is_none(found: object) -> None:
    """No ratings, one subject, one category: never 0, 1 or NaN."""
    assert found is None


def test_a_judge_who_always_says_the_same_agrees_often_and_not_beyond_chance() -> None:
    """90 % agreement, kappa 0, and the baseline says that 90 % need no look."""
    labels = [True] * 90 + [False] * 10
    pairs = [(True, label) for label in labels]
    kappa, same, baseline = cohen(pairs), observed_agreement(pairs), constant_baseline(labels)
    assert kappa is not None
    assert same is not None
    assert baseline is not None
    assert (kappa.value, same.value, baseline.agreement, baseline.label, baseline.n) == (0, 0.9, 0.9, True, 100)
    assert kappa.high is not None
    assert kappa.high < 0.3


def test_ten_of_ten_agreements_are_no_certainty() -> None:
    """A plain bootstrap would give an interval from 1 to 1; more subjects narrow it."""
    lows = []
    for n in (4, 10, 50, 200):
        found = cohen([(True, True), (False, False)] * (n // 2))
        assert found is not None
        assert (found.value, found.high) == (1, 1)
        lows.append(found.low)
    assert lows == sorted(lows)
    assert lows[1] < 0.6
    assert lows[3] > 0.9


def test_fleiss_kappa_needs_as_many_raters_of_each() -> None:
    """Krippendorff's alpha is what takes gaps."""
    with pytest.raises(ValueError, match=r"2 to 3 ratings a subject.*Krippendorff"):
        fleiss([[2, 0], [1, 2]])


@settings(deadline=None, max_examples=60)
@given(two_raters)
def test_the_order_of_subjects_and_raters_does_not_matter(pairs: list[tuple[int, int]]) -> None:
    """Nor what the categories are called; the value lies in the interval; the same data give the same."""
    found = cohen(pairs, categories=[1, 2, 3, 4, 5])
    assert found == cohen(reversed(pairs), categories=[1, 2, 3, 4, 5])
    swapped = cohen([(other, one) for one, other in pairs], categories=[1, 2, 3, 4, 5])
    if found is None or swapped is None:
        assert found is swapped
        return
    assert swapped.value == pytest.approx(found.value)
    named = cohen([(f"grade {one}", f"grade {other}") for one, other in pairs])
    assert named is not None
    assert named.value == pytest.approx(found.value)
    assert found.low is None or found.high is None or -1 <= found.low <= found.value <= found.high <= 1


@settings(deadline=None, max_examples=60)
@given(several_raters)
def test_alpha_is_nearly_fleiss_kappa(units: list[list[int]]) -> None:
    """They differ by the correction for few ratings alone: 1 − alpha = (1 − kappa)(N − 1) / N."""
    kappa, alpha = fleiss(counted(units)), krippendorff(units)
    if kappa is None or alpha is None:
        assert kappa is alpha
        return
    ratings = 4 * len(units)
    assert 1 - alpha.value == pytest.approx((1 - kappa.value) * (ratings - 1) / ratings)


def test_many_distinct_scores_are_fine() -> None:
    """40 replies scored 0 to 1 by three judges: 120 categories, of which pairs are drawn instead of formed."""
    random = Random(2)
    units = [[truth + random.gauss(0, 0.05) for _ in range(3)] for truth in (random.random() for _ in range(40))]
    found = krippendorff(units, "interval")
    assert found is not None
    assert found.value == pytest.approx(reference.alpha(np.array(units).T, level_of_measurement="interval"))
    assert found.low is not None
    assert 0.8 < found.low < found.value


@pytest.mark.parametrize(("n", "good", "kappa"), [(30, 0.5, 0.9), (50, 0.8, 0.7), (50, 0.5, 0.4)])
def test_the_interval_of_kappa_holds_the_true_one(n: int, good: float, kappa: float) -> None:
    """At least 92 % of 200 draws; a plain bootstrap does so 76 % of the time for the first."""
    assert share(200, lambda random: holds(cohen(agreeing(random, n, good, kappa)), kappa)) >= 0.92


def panel(random: Random, n: int, alpha: float) -> list[list[int | None]]:
    """Four raters; each copies the subject's grade with a chance that gives that nominal alpha, or draws one."""
    units: list[list[int | None]] = []
    for _ in range(n):
        grade = random.randint(1, 3)
        rated = [grade if random.random() < math.sqrt(alpha) else random.randint(1, 3) for _ in range(4)]
        units.append([None if random.random() < 0.1 else each for each in rated])
    return units


@pytest.mark.parametrize(("n", "alpha"), [(20, 0.9), (40, 0.6)])
def test_the_interval_of_alpha_holds_the_true_one(n: int, alpha: float) -> None:
    """At least 90 % of 150 draws with gaps."""
    assert share(150, lambda random: holds(krippendorff(panel(random, n, alpha)), alpha)) >= 0.90


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 50, 200])
@pytest.mark.parametrize("good", [0.5, 0.8])
@pytest.mark.parametrize("kappa", [0.0, 0.4, 0.7, 0.9])
def test_coverage_of_kappa_over_many_draws(n: int, good: float, kappa: float) -> None:
    """1,000 draws: at least 84 % for 20 subjects, 87 % from 50 on; too high a lower end is rare throughout."""
    lows: list[bool] = []

    def covered(random: Random) -> bool:
        found: Any = cohen(agreeing(random, n, good, kappa))
        lows.append(found is not None and found.low is not None and found.low > kappa)
        return holds(found, kappa)

    assert share(1000, covered) >= (0.84 if n == 20 else 0.87)
    assert sum(lows) / len(lows) <= 0.04
