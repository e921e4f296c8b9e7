"""Steps in the level of a series."""

from __future__ import annotations

import math
from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_series import noise, share

from pytest_llmbench.stats import change_point, trend

NILE = [
    *(1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140),
    *(1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969),
    *(831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759),
    *(781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890),
    *(744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740),
]
"""The Nile's flow from 1871 to 1970, the textbook series with one step: after 1898 (Cobb, Biometrika 65, 1978)."""


def stepped(n: int, at: int, height: float, correlation: float = 0.0, seed: int = 1) -> list[float]:
    return [value + (height if i >= at else 0) for i, value in enumerate(noise(Random(seed), n, correlation))]


def test_the_nile_fell_after_1898() -> None:
    """The 29th value is the first of the lower level."""
    found = change_point(NILE)
    assert found is not None
    assert 1871 + found.index == 1899
    assert (found.before, found.after) == (1130, 842.5)
    assert [round(fmean(part), 2) for part in (NILE[:28], NILE[28:])] == [1097.75, 849.97]
    assert found.p_value < 0.001


def test_a_throttled_machine_shows_when_it_began() -> None:
    """From the 40th of 60 values on it is slower; p may be called certain only as far as permutations tell."""
    found = change_point(stepped(60, 40, -4))
    assert found is not None
    assert abs(found.index - 40) <= 3
    assert found.after < found.before
    assert found.p_value == 1 / 5000


def test_the_index_counts_values_that_were_not_measured() -> None:
    """It points into the series as it was given."""
    values = stepped(40, 20, 5)
    whole = change_point(values)
    holes = change_point([None, math.nan, *values[:10], math.inf, *values[10:]])
    assert whole is not None
    assert holes is not None
    assert holes.index == whole.index + 3
    assert (holes.p_value, holes.before, holes.after) == (whole.p_value, whole.before, whole.after)


def test_six_steady_values_and_six_others_are_a_step_though_so_few() -> None:
    """The exact distribution finds it, Pettitt's formula does not quite reach as far."""
    found = change_point([10.1, 10.3, 10.2, 10.4, 10.0, 7.1, 7.3, 7.2, 7.4, 7.0])
    assert found is not None
    assert found.index == 5
    assert found.p_value < 0.02


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 9.0, 9.0], [4.0] * 50, [None] * 20, [math.nan, 1, 2, math.inf]])
def test_without_a_step_there_is_none(values: list[float | None]) -> None:
    """Too short, constant, or nothing measured."""
    assert change_point(values) is None


def test_one_outlier_is_no_step() -> None:
    """A stall is one value."""
    values = noise(Random(2), 40)
    values[20] = 1000
    assert change_point(values) is None


def test_a_steady_slope_is_a_trend_and_mostly_no_step() -> None:
    """Machines that grow slower little by little: the trend is found in all, a step called in few."""
    random = Random(3)
    ramps = [[value - 0.2 * i for i, value in enumerate(noise(random, 60))] for _ in range(40)]
    assert all(trend(range(60), ramp).p_value < 0.001 for ramp in ramps)
    assert sum(change_point(ramp) is not None for ramp in ramps) <= 15


@given(
    st.lists(
        st.one_of(st.none(), st.floats(-1e300, 1e300), st.sampled_from([math.nan, math.inf, -math.inf])), max_size=40
    )
)
def test_whatever_comes_there_is_an_answer(values: list[float | None]) -> None:
    """None, or a step within the series and clear enough."""
    found = change_point(values)
    assert found is None or (0 < found.index < len(values) and 0 < found.p_value <= 0.05)


@given(st.lists(st.integers(0, 3), min_size=4, max_size=30))
def test_up_and_down_are_treated_alike(values: list[int]) -> None:
    """A loss is found exactly where the gain is."""
    rise, fall = change_point(values), change_point([-value for value in values])
    assert (rise is None) == (fall is None)
    assert rise is None or fall is None or (rise.index, rise.p_value) == (fall.index, fall.p_value)


@pytest.mark.parametrize(("n", "correlation"), [(12, 0.0), (60, 0.0), (60, 0.6), (150, 0.3)])
def test_noise_is_rarely_a_step(n: int, correlation: float) -> None:
    """At 5 %; without regard to the correlation 60 values at 0.6 would be called a step every other time."""
    assert share(300, lambda random: change_point(noise(random, n, correlation)) is not None) < 0.085


def test_a_step_of_two_standard_deviations_is_found() -> None:
    """30 values, in the middle: at least 4 of 5."""

    def found(random: Random) -> bool:
        return change_point([value + (2 if i >= 15 else 0) for i, value in enumerate(noise(random, 30))]) is not None

    assert share(200, found) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("n", [8, 15, 30, 60, 101, 200])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6, 0.8])
def test_false_alarms_over_many_series(n: int, correlation: float) -> None:
    """At 5 %: at most 8 %, 12 % for strong correlation in a short series."""
    alarms = share(1500, lambda random: change_point(noise(random, n, correlation)) is not None, seed=n)
    assert alarms < (0.12 if correlation >= 0.6 and n <= 101 else 0.08)
