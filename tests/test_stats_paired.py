"""Two models on the same items."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_series import share
from scipy import stats as scipy_stats

from pytest_llmbench.stats import paired_binary, wilson
from pytest_llmbench.stats.paired import mcnemar_exact, mcnemar_power, smallest_detectable, tango_interval

answers = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60)


def items(both: int, a_only: int, b_only: int, neither: int) -> tuple[list[bool], list[bool]]:
    a = [True] * both + [True] * a_only + [False] * b_only + [False] * neither
    b = [True] * both + [False] * a_only + [True] * b_only + [False] * neither
    return a, b


def sampled(random: Random, n: int, a_only: float, b_only: float) -> tuple[list[bool], list[bool]]:
    """Items with known chances that only a, or only b, is right."""
    drawn = [random.random() for _ in range(n)]
    return [u < a_only or u > 0.7 for u in drawn], [a_only <= u < a_only + b_only or u > 0.7 for u in drawn]


def test_a_published_example() -> None:
    """Airway reactivity of 21 children before and after (Fagerland, Lydersen & Laake, Stat. Med. 33, 2014, p. 2850):
    difference −0.286, Tango's interval −0.517 to −0.026, exact McNemar p = 0.070."""
    found = paired_binary(*items(1, 1, 7, 12))
    assert (found.n, found.a_only, found.b_only) == (21, 1, 7)
    assert round(found.difference, 3) == -0.286
    assert (round(found.low, 3), round(found.high, 3)) == (-0.517, -0.026)
    assert round(found.p_value, 3) == 0.070


def test_items_on_which_both_agree_do_not_matter_for_the_test() -> None:
    """McNemar's question is about those that differ; the difference and its interval are shares of all."""
    few, many = paired_binary(*items(0, 12, 2, 0)), paired_binary(*items(500, 12, 2, 500))
    assert few.p_value == many.p_value == pytest.approx(scipy_stats.binomtest(2, 14).pvalue)
    assert many.difference < few.difference


def test_the_same_answers_are_no_difference_with_a_width() -> None:
    """60 items answered alike may still hide a difference of 6 %: z² / (n + z²)."""
    found = paired_binary(*items(40, 0, 0, 20))
    assert (found.difference, found.p_value) == (0, 1)
    assert found.high == pytest.approx(3.8415 / 63.8415, abs=1e-4)
    assert found.low == pytest.approx(-found.high)
    assert found.smallest_detectable == pytest.approx(0.129, abs=0.002)


def test_of_no_items_nothing_is_known() -> None:
    """Not an exception, and not "equal"."""
    found = paired_binary([], [])
    assert (found.n, found.low, found.high, found.p_value, found.smallest_detectable) == (0, -1, 1, 1, None)


def test_other_items_are_a_mistake() -> None:
    """A pair needs both."""
    with pytest.raises(ValueError, match="1 items against 2"):
        paired_binary([True], [True, False])


def test_pairing_finds_what_two_separate_intervals_do_not() -> None:
    """Eight of a hundred items lost and none won: the shares' own intervals overlap widely."""
    a, b = items(70, 8, 0, 22)
    assert wilson(sum(a), 100).low < wilson(sum(b), 100).high
    assert paired_binary(a, b).p_value < 0.01


@given(answers)
def test_swapping_the_models_mirrors_the_answer(pairs: list[tuple[bool, bool]]) -> None:
    """Neither is favoured; the difference lies in its interval, and the interval in −1 to 1."""
    a, b = [one for one, _ in pairs], [other for _, other in pairs]
    found, mirrored = paired_binary(a, b), paired_binary(b, a)
    assert -1 <= found.low <= found.difference <= found.high <= 1
    assert found.low == pytest.approx(-mirrored.high, abs=1e-6)
    assert (found.p_value, found.smallest_detectable) == (mirrored.p_value, mirrored.smallest_detectable)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_exact_p_value_is_scipys(a_only: int, b_only: int) -> None:
    """A binomial test with a half over the items that differ."""
    theirs = scipy_stats.binomtest(a_only, a_only + b_only).pvalue if a_only + b_only else 1
    assert mcnemar_exact(a_only, b_only) == pytest.approx(theirs)


@given(st.integers(1, 80).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.integers(0, 200))
def test_the_ends_of_tangos_interval_are_just_not_rejected(counts: tuple[int, int], agreeing: int) -> None:
    """At an end the score is ± 1.96: inverted with the formula as Tango writes it."""
    a_only, differing = counts
    b_only, n = differing - a_only, differing + agreeing
    for end, sign in zip(tango_interval(a_only, b_only, n), (1, -1), strict=True):
        if abs(end) < 1:
            linear = -a_only - b_only + (2 * n - a_only + b_only) * end
            q = (math.sqrt(linear**2 + 8 * n * b_only * end * (1 - end)) - linear) / (4 * n)
            score = (a_only - b_only - n * end) / math.sqrt(n * (2 * q + end * (1 - end)))
            assert score == pytest.approx(sign * 1.95996, abs=1e-3)


def test_five_items_cannot_find_any_difference() -> None:
    """Five lost of five is p = 0.0625; six of six 0.03: then all six have to be lost, four times out of five."""
    assert smallest_detectable(5, 0.0) is None
    assert smallest_detectable(6, 0.0) == pytest.approx(0.8 ** (1 / 6), abs=1e-3)
    assert mcnemar_power(60, 0.0, 0.0) == 0


def test_more_items_find_less_and_noise_hides_more() -> None:
    """60 items find 13 % at best, 1,000 find 1 %; items that flip by chance cost."""
    assert [round(smallest_detectable(n, 0.0) or 0, 2) for n in (60, 200, 1000)] == [0.13, 0.04, 0.01]
    assert (smallest_detectable(60, 0.3) or 0) > 0.19


@pytest.mark.parametrize(("n", "flipping"), [(60, 0.1), (200, 0.2)])
def test_the_smallest_detectable_difference_is_found_four_times_out_of_five(n: int, flipping: float) -> None:
    """By simulation, and by the power that was computed."""
    difference = smallest_detectable(n, flipping) or 0
    share_differing = max(flipping, difference)
    more, less = (share_differing + difference) / 2, (share_differing - difference) / 2
    assert mcnemar_power(n, difference, share_differing) == pytest.approx(0.8, abs=0.01)
    found = share(600, lambda random: paired_binary(*sampled(random, n, more, less)).p_value <= 0.05)
    assert 0.75 <= found <= 0.86


def test_equal_models_are_rarely_told_apart() -> None:
    """The exact test keeps below 5 %; the interval holds 0 at least 93 % of the time."""

    def alarms(random: Random) -> bool:
        return paired_binary(*sampled(random, 100, 0.1, 0.1)).p_value <= 0.05

    def covered(random: Random) -> bool:
        a, b = sampled(random, 100, 0.15, 0.05)
        found = paired_binary(a, b)
        return found.low <= 0.1 <= found.high

    assert share(600, alarms) <= 0.05
    assert share(600, covered) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 60, 200])
@pytest.mark.parametrize(("more", "less"), [(0.02, 0.02), (0.1, 0.1), (0.2, 0.05), (0.3, 0.3)])
def test_coverage_and_false_alarms_over_many_draws(n: int, more: float, less: float) -> None:
    """2,000 draws: the interval holds the true difference at least 92.5 % of the time, the test stays below 5 %."""
    random, covered, alarms = Random(n), 0, 0
    for _ in range(2000):
        a, b = sampled(random, n, more, less)
        a_only = sum(one and not other for one, other in zip(a, b, strict=True))
        b_only = sum(other and not one for one, other in zip(a, b, strict=True))
        low, high = tango_interval(a_only, b_only, n)
        covered += low <= more - less <= high
        alarms += mcnemar_exact(a_only, b_only) <= 0.05
    assert covered / 2000 >= 0.925
    assert more != less or alarms / 2000 <= 0.05
