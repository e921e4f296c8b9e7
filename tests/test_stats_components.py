"""Variance split into samples, replies and judgements."""

from __future__ import annotations

import statistics
from random import Random

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.anova import anova_lm

from pytest_llmbench.stats.components import Components, panelled, repeated

Scores = list[list[list[float]]]
scores = st.floats(0, 1)
ragged = st.lists(st.lists(st.lists(scores | st.none(), max_size=3), max_size=3), max_size=6)
same_judges = st.lists(st.lists(st.lists(scores | st.none(), min_size=3, max_size=3), max_size=3), max_size=6)


def nested(random: Random, counts: list[list[int]], spreads: tuple[float, float, float]) -> Scores:
    """So many judgements of each reply of each sample, with those standard deviations."""
    of_sample, of_reply, of_judge = spreads
    found = []
    for sample in counts:
        level = random.gauss(0.5, of_sample)
        replies = [random.gauss(level, of_reply) for _ in sample]
        found.append([[random.gauss(m, of_judge) for _ in range(n)] for m, n in zip(replies, sample, strict=True)])
    return found


def crossed(random: Random, samples: int, replies: int, spreads: tuple[float, float, float, float, float]) -> Scores:
    """Three judges: samples, replies, severity of the judges, their taste by sample, luck."""
    of_sample, of_reply, severity, taste, luck = spreads
    judges = [random.gauss(0, severity) for _ in range(3)]
    found = []
    for _ in range(samples):
        level, likes = random.gauss(0, of_sample), [random.gauss(0, taste) for _ in range(3)]
        replied = [random.gauss(level, of_reply) for _ in range(replies)]
        found.append([[random.gauss(m + j + t, luck) for j, t in zip(judges, likes, strict=True)] for m in replied])
    return found


def averaged(draw: list[Components]) -> tuple[float, float, float]:
    return (
        statistics.fmean(each.sample for each in draw),
        statistics.fmean(each.generation or 0 for each in draw),
        statistics.fmean(each.judge or 0 for each in draw),
    )


def test_balanced_scores_give_the_anova_of_statsmodels() -> None:
    """Mean squares of replies within samples and judgements within replies, and the textbook's differences."""
    data = nested(Random(1), [[3, 3, 3, 3]] * 8, (0.2, 0.15, 0.1))
    rows = [
        {"s": i, "r": f"{i}-{j}", "y": y}
        for i, sample in enumerate(data)
        for j, reply in enumerate(sample)
        for y in reply
    ]
    frame = pd.DataFrame(rows)
    judge = float((frame["y"] - frame.groupby("r")["y"].transform("mean")).pow(2).sum() / (8 * 4 * 2))
    means = frame.groupby(["s", "r"], as_index=False)["y"].mean()
    table = anova_lm(smf.ols("y ~ C(s)", means).fit())
    of_samples, of_replies = 3 * table["mean_sq"]["C(s)"], 3 * table["mean_sq"]["Residual"]
    found = repeated(data)
    assert found is not None
    assert found.judge == pytest.approx(judge)
    assert found.generation == pytest.approx((of_replies - judge) / 3)
    assert found.sample == pytest.approx((of_samples - of_replies) / 12)
    assert sum(found.shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("spreads", "dominant"),
    [((0.3, 0.1, 0.05), "sample"), ((0.05, 0.3, 0.1), "generation"), ((0.05, 0.1, 0.3), "judge")],
)
def test_the_largest_source_is_named(spreads: tuple[float, float, float], dominant: str) -> None:
    """40 samples, three replies, three judgements; and uneven numbers do no harm."""
    counts = [[3, 1 + at % 3, 2][: 2 + at % 2] for at in range(40)]
    for data in (nested(Random(7), [[3, 3, 3]] * 40, spreads), nested(Random(7), counts, spreads)):
        found = repeated(data)
        assert found is not None
        assert found.dominant == dominant


def test_uneven_numbers_are_estimated_without_bias() -> None:
    """The mean of 150 estimates of very uneven numbers lies near the variances that were put in."""
    random = Random(3)
    counts = [[1], [4, 1], [2, 2, 2, 5], [1, 1, 3], [6], [2, 1]] * 4
    found = [each for _ in range(150) if (each := repeated(nested(random, counts, (0.3, 0.2, 0.25))))]
    assert averaged(found) == pytest.approx((0.09, 0.04, 0.0625), abs=0.006)


def test_a_panel_is_estimated_without_bias() -> None:
    """Severity, taste and luck of the judges together; the mean of 200 estimates."""
    random = Random(5)
    found = [each for _ in range(200) if (each := panelled(crossed(random, 30, 3, (0.3, 0.2, 0.1, 0.1, 0.2))))]
    sample, generation, judge = averaged(found)
    assert (sample, generation) == (pytest.approx(0.09, abs=0.006), pytest.approx(0.04, abs=0.004))
    assert judge == pytest.approx(0.01 + 0.01 + 0.04, abs=0.006)


def test_what_was_not_repeated_cannot_be_told_apart() -> None:
    """Single judgements: generation and judge are one. Single replies: sample and generation are."""
    random = Random(2)
    once = repeated(nested(random, [[1, 1, 1]] * 30, (0.1, 0.2, 0.2)))
    single = repeated(nested(random, [[4]] * 30, (0.3, 0.2, 0.1)))
    alone = repeated(nested(random, [[1]] * 30, (0.3, 0.2, 0.1)))
    panel = panelled(crossed(random, 30, 1, (0.3, 0.2, 0.1, 0.1, 0.2)))
    assert once is not None
    assert single is not None
    assert alone is not None
    assert panel is not None
    assert (once.judge, set(once.shares)) == (None, {"sample", "generation"})
    assert (single.generation, set(single.shares)) == (None, {"sample", "judge"})
    assert (alone.generation, alone.judge, alone.dominant) == (None, None, "sample")
    assert (panel.generation, panel.samples) == (None, 30)
    assert panel.judge is not None


def test_one_sample_is_too_few_and_equal_scores_have_no_source() -> None:
    """None; and no shares, instead of a division by zero."""
    assert repeated([[[0.1, 0.2], [0.3]]]) is None
    assert panelled([[[0.1, 0.2]], [[None, 0.2], [float("nan"), 0.1]]]) is None
    assert panelled([[[0.1]], [[0.4]]]) is None
    for same in (repeated([[[0.5, 0.5]]] * 3), panelled([[[0.5, 0.5]] * 2] * 3)):
        assert same is not None
        assert (same.sample, same.shares, same.dominant) == (0, {}, None)
    with pytest.raises(ValueError, match="put None where a judge was silent"):
        panelled([[[0.1, 0.2]], [[0.2]]])


@given(ragged, same_judges)
def test_variances_are_never_negative(one_judge: Scores, panel: Scores) -> None:
    """Nor NaN, whatever is missing; shares add up to 1."""
    for found in (repeated(one_judge), panelled(panel)):
        if found is not None:
            known = [found.sample, *(each for each in (found.generation, found.judge) if each is not None)]
            assert np.isfinite(known).all()
            assert min(known) >= 0
            assert sum(found.shares.values()) == pytest.approx(1 if found.shares else 0)
