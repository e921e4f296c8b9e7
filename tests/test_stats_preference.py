"""Strengths behind comparisons of two: as direct maximisation and logistic regression find them."""

from __future__ import annotations

import math
from itertools import combinations
from random import Random
from typing import Literal

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from noisy_series import share
from scipy.optimize import minimize
from scipy.special import expit

from pytest_llmbench.stats.preference import Comparison, bradley_terry

names = st.sampled_from(["p", "q", "r", "s"])
compared = st.lists(st.tuples(names, names, st.sampled_from(["a", "b", "tie"])), max_size=40)
TINY = 1e-9


def drawn(random: Random, strengths: dict[str, float], times: int) -> list[Comparison]:
    """Every two models, so often each."""
    found: list[Comparison] = []
    for one, other in combinations(strengths, 2):
        for _ in range(times):
            wins = random.random() < expit(strengths[one] - strengths[other])
            found.append((one, other, "a" if wins else "b"))
    return found


def test_strengths_and_intervals_are_those_of_a_logistic_regression() -> None:
    """statsmodels' GLM with one column a model, the first as reference: the same differences and standard errors."""
    comparisons = drawn(Random(3), {"p": 0.0, "q": 0.5, "r": 1.2, "s": -0.4}, 25)
    models = ["p", "q", "r", "s"]
    design = np.array([[float(a == m) - float(b == m) for m in models[1:]] for a, b, _ in comparisons])
    won = np.array([float(preferred == "a") for _, _, preferred in comparisons])
    theirs = sm.GLM(won, design, family=sm.families.Binomial()).fit()
    full, spread = np.append(0.0, theirs.params), np.zeros((4, 4))
    spread[1:, 1:] = theirs.cov_params()
    centred = np.eye(4) - 0.25
    errors = np.sqrt(np.diag(centred @ spread @ centred))
    ours = {each.name: each for each in bradley_terry(comparisons, ridge=TINY)}
    for at, name in enumerate(models):
        assert ours[name].strength == pytest.approx(full[at] - full.mean(), abs=1e-5)
        assert (ours[name].high - ours[name].low) / 2 == pytest.approx(1.959964 * errors[at], rel=1e-4)


@settings(deadline=None, max_examples=60)
@given(compared)
def test_strengths_are_the_likeliest(comparisons: list[tuple[str, str, Literal["a", "b", "tie"]]]) -> None:
    """Ties as half a win of both, the ridge included: maximised by a method that knows no gradient of ours."""
    ranked = bradley_terry(comparisons, ridge=0.1)
    order = [each.name for each in ranked]
    worth = {"a": 1.0, "b": 0.0, "tie": 0.5}

    def loss(x: np.ndarray) -> float:
        place = dict(zip(order, x, strict=True))
        total = 0.05 * float(x @ x)
        for a, b, preferred in comparisons:
            if a != b:
                ahead = place[a] - place[b]
                total += worth[preferred] * np.logaddexp(0, -ahead) + (1 - worth[preferred]) * np.logaddexp(0, ahead)
        return total

    found = np.array([each.strength for each in ranked])
    assert loss(found) <= (minimize(loss, np.zeros(len(order))).fun if order else 0) + 1e-6
    for each in ranked:
        assert each.low < each.strength < each.high
        assert each.n == sum(each.name in {a, b} and a != b for a, b, _ in comparisons)


def test_three_to_one_is_the_logarithm_of_three() -> None:
    """Of two models the difference of strengths is that of the odds, with half a win for a tie."""
    comparisons: list[Comparison] = [("x", "y", "a")] * 20 + [("y", "x", "a")] * 5 + [("x", "y", "tie")] * 5
    first, second = bradley_terry(comparisons, ridge=TINY)
    assert (first.name, first.rank, first.won, first.n) == ("x", 1, 22.5, 30)
    assert (second.name, second.rank, second.won, second.n) == ("y", 2, 7.5, 30)
    assert first.strength - second.strength == pytest.approx(math.log(3), abs=1e-6)


def test_a_model_that_always_won_has_a_finite_strength_and_a_wide_interval() -> None:
    """The ridge holds it; the interval of the beaten ones among each other is narrow beside it."""
    others = drawn(Random(6), {"p": 0.0, "q": 0.3}, 40)
    won: list[Comparison] = [("best", name, "a") for name in ("p", "q") for _ in range(20)]
    ranked = bradley_terry([*others, *won])
    assert ranked[0].name == "best"
    assert 3 < ranked[0].strength < 12
    assert ranked[0].high - ranked[0].low > 3
    with pytest.raises(ValueError, match="leaves a model that always won without a strength"):
        bradley_terry(won, ridge=0)


def test_models_that_were_never_compared_are_not_ranked_together() -> None:
    """Two groups, each with ranks and an average of its own."""
    ranked = bradley_terry([("p", "q", "a"), ("r", "s", "b"), ("p", "q", "tie")])
    assert [(each.name, each.group, each.rank) for each in ranked] == [
        ("p", 0, 1),
        ("q", 0, 2),
        ("s", 1, 1),
        ("r", 1, 2),
    ]
    assert ranked[0].strength == pytest.approx(-ranked[1].strength)


def test_of_no_comparisons_there_is_no_ranking() -> None:
    """Nor of a model with itself."""
    assert bradley_terry([]) == []
    assert bradley_terry([("p", "p", "tie")]) == []


@settings(deadline=None, max_examples=60)
@given(compared)
def test_which_reply_was_called_a_does_not_matter(comparisons: list[tuple[str, str, Literal["a", "b", "tie"]]]) -> None:
    """Swapped comparisons give the same strengths."""
    mirror: dict[str, Literal["a", "b", "tie"]] = {"a": "b", "b": "a", "tie": "tie"}
    swapped: list[Comparison] = [(b, a, mirror[preferred]) for a, b, preferred in comparisons]
    ours = {each.name: each.strength for each in bradley_terry(comparisons)}
    assert {each.name: each.strength for each in bradley_terry(swapped)} == pytest.approx(ours, abs=1e-6)


def test_the_interval_holds_the_true_strength() -> None:
    """At least 92 % of 150 tournaments of four models, 20 comparisons of every two."""
    truth = {"p": 0.9, "q": 0.2, "r": -0.3, "s": -0.8}

    def covered(random: Random) -> bool:
        each = next(each for each in bradley_terry(drawn(random, truth, 20)) if each.name == "p")
        return each.low <= 0.9 <= each.high

    assert share(150, covered) >= 0.92
