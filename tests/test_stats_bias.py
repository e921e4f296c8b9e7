"""Does a judge lean to what comes first, to length, to its own family?"""

from __future__ import annotations

import random
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_series import share
from scipy.stats import spearmanr, ttest_1samp

from pytest_llmbench.stats import Estimate, wilson
from pytest_llmbench.stats.bias import group_bias, length_bias, longer_preferred, position_bias

replies = st.lists(st.tuples(st.floats(-1, 1), st.integers(1, 500)), min_size=5, max_size=40)


def leaves_out(found: Estimate | None, value: float) -> bool:
    return (
        found is not None and found.low is not None and found.high is not None and not found.low <= value <= found.high
    )


def test_a_judge_who_takes_the_first_is_found() -> None:
    """70 of 100 verdicts for the first; 52 of 100 is no lean; without verdicts there is nothing to tell."""
    assert position_bias(70, 100) == Estimate(0.7, wilson(70, 100).low, wilson(70, 100).high, 100)
    assert leaves_out(position_bias(70, 100), 0.5)
    assert not leaves_out(position_bias(52, 100), 0.5)
    assert position_bias(0, 0) is None


def test_two_verdicts_for_one_place_are_worth_one() -> None:
    """Judges that go by the place alone, now the first and now the second, lean to neither: 5 % of them seem to."""
    assert position_bias(10, 10, same=1.0) == Estimate(1.0, wilson(5, 5).low, 1.0, 10)
    assert position_bias(7, 10, same=0.4) == position_bias(7, 10)
    drawn = random.Random(7)
    counts = [sum(drawn.random() < 0.5 for _ in range(30)) for _ in range(4000)]
    assert 0.03 < sum(leaves_out(position_bias(2 * first, 60, same=1.0), 0.5) for first in counts) / 4000 < 0.06
    assert sum(leaves_out(position_bias(2 * first, 60), 0.5) for first in counts) / 4000 > 0.12


@given(replies)
def test_the_correlation_with_length_is_scipys(pairs: list[tuple[float, int]]) -> None:
    """Spearman's, ties included; None where errors or lengths are all the same."""
    errors, lengths = zip(*pairs, strict=True)
    found = length_bias(errors, lengths)
    if len(set(errors)) == 1 or len(set(lengths)) == 1:
        assert found is None
        return
    assert found is not None
    assert found.value == pytest.approx(spearmanr(errors, lengths).statistic)
    assert found.low is not None
    assert found.high is not None
    assert -1 <= found.low <= found.value <= found.high <= 1


def test_a_perfect_order_of_few_is_no_certainty() -> None:
    """Five of five in order may be chance; of fifty hardly anything is left open; what is missing is left out."""
    five, fifty = (length_bias(range(n), range(n)) for n in (5, 50))
    assert five is not None
    assert fifty is not None
    assert five.value == fifty.value == five.high == 1
    assert five.low is not None
    assert fifty.low is not None
    assert five.low < 0.3
    assert fifty.low > 0.99
    falling = length_bias([5, 4, 3, 2, 1, None, 7, float("nan")], [1, 2, 3, 4, 5, 6, None, 8])
    assert falling == Estimate(-1.0, -1.0, -five.low, 5)
    assert length_bias([1, 2, 3, 4], [1, 2, 3, 4]) is None


def test_the_intervals_of_length_and_family_hold_the_truth() -> None:
    """No lean is called one at most 8 times in a hundred, by either."""

    def by_length(random: Random) -> bool:
        rows = [(random.choice([-1, 0, 0, 0, 1]), random.randint(20, 400)) for _ in range(30)]
        return leaves_out(length_bias(*zip(*rows, strict=True)), 0)

    def by_family(random: Random) -> bool:
        groups = [[random.choice([-1, 0, 0, 0, 1]) for _ in range(n)] for n in (15, 40)]
        return leaves_out(group_bias(*groups), 0)

    assert share(400, by_length) <= 0.08
    assert share(400, by_family) <= 0.08


def test_longer_replies_win_more_often_than_the_labels_say() -> None:
    """Where the longer is better anyway that is no lean; ties on either side are left out."""
    labels = [True] * 40 + [False] * 20
    verbose = [True] * 55 + [False] * 5
    found = longer_preferred([*verbose, None, True], [*labels, True, None])
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(0.25), 60)
    assert leaves_out(found, 0)
    fair = longer_preferred(labels, labels)
    assert fair is not None
    assert fair.value == 0
    assert not leaves_out(fair, 0)
    assert longer_preferred([None], [True]) is None


def test_a_judge_kinder_to_its_own_family_is_found() -> None:
    """0.3 more for its own, beyond what the labels say; single intervals are Student's."""
    random = Random(9)
    own, others = ([random.gauss(mean, 0.2) for _ in range(40)] for mean in (0.3, 0.0))
    found = group_bias([*own, None], others)
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(sum(own) / 40 - sum(others) / 40), 80)
    assert leaves_out(found, 0)
    one, other = (ttest_1samp(each, 0).confidence_interval() for each in (own, others))
    half = (((one.high - one.low) / 2) ** 2 + ((other.high - other.low) / 2) ** 2) ** 0.5
    assert (found.low, found.high) == (pytest.approx(found.value - half), pytest.approx(found.value + half))


def test_no_error_in_a_handful_leaves_room_for_some() -> None:
    """Ten replies each without an error: the interval has a width; of one reply there is none."""
    found = group_bias([0.0] * 10, [0.0] * 10)
    assert found is not None
    assert (found.value, found.low, found.high) == (
        0,
        pytest.approx(-0.3925, abs=1e-3),
        pytest.approx(0.3925, abs=1e-3),
    )
    assert group_bias([0.0], [0.0, 0.1]) is None
