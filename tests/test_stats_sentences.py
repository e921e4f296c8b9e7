"""Results as sentences."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_llmbench.stats.differences import Difference, paired_values
from pytest_llmbench.stats.ratios import Ratio, paired_ratio
from pytest_llmbench.stats.sentences import Beside, difference_sentence, p_text, ratio_sentence

BETTER = Difference(0.031, 0.004, 0.058, 200, 0.01, 0.99, 0.005, 0.04)
SLOWER = Ratio(1.113, 1.066, 1.121, 20, 0.0002, 0.9999, 0.02)


def test_the_sentence_of_the_readme():
    """What is better, by how much, how sure, of how many, corrected how, and whether that is much."""
    told = difference_sentence(BETTER, Beside(p_value=0.03, correction="Holm", effect="small"))
    assert told == "B is 3.1 points better than A (95 %: 0.4 to 5.8; n = 200 paired; Holm p = 0.03; small effect)"


def test_what_is_worse_is_told_by_how_much_worse():
    """The interval turns with the sentence, and with what is better."""
    worse = replace(BETTER, value=-0.031, low=-0.058, high=0.004)
    assert difference_sentence(worse).startswith("B is 3.1 points worse than A (95 %: −0.4 to 5.8; n = 200 paired; p =")
    lower = difference_sentence(worse, unit="", higher_is_better=False)
    assert lower.startswith("B is 0.031 better than A (95 %: −0.004 to 0.058;")


def test_times_are_told_in_percent():
    """With the words for more and less of them."""
    told = ratio_sentence(SLOWER, Beside("main", "this branch"), more="slower", less="faster")
    assert told == "this branch is 11.3 % slower than main (95 %: 6.6 to 12.1 %; n = 20 paired; p = 0.0004)"
    faster = ratio_sentence(
        Ratio(0.8, 0.7, 0.9, 40, 1.0, 1e-9, 0.1), Beside(paired=False), more="slower", less="faster"
    )
    assert faster == "B is 20 % faster than A (95 %: 10 to 30 %; n = 40; p < 0.0001)"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (paired_values([], []), "B was not compared with A: nothing was measured on both"),
        (paired_ratio([], []), "B was not compared with A: nothing was measured on both"),
        (paired_ratio([1.0], [1.2]), "B is 20 % more than A (too few for an interval; n = 1 paired; p = 1)"),
        (paired_ratio([1.0] * 9, [1.0] * 9), "B is neither more nor less than A (95 %: 0 to 0 %; n = 9 paired; p = 1)"),
    ],
)
def test_what_is_not_known_is_said(found, told):
    """Nothing compared, too few, no difference."""
    sentence = difference_sentence if isinstance(found, Difference) else ratio_sentence
    assert sentence(found) == told


def test_small_p_values_have_no_false_digits():
    """Two digits, and a limit."""
    assert [p_text(p) for p in (0.0309, 1.0, 0.000123, 1e-12)] == ["= 0.031", "= 1", "= 0.00012", "< 0.0001"]


def test_wide_intervals_have_no_decimals_that_mean_nothing():
    """40 points either way are told in whole points; infinite ones not at all."""
    wide = replace(BETTER, value=0.123, low=-0.3, high=0.55)
    assert "12 points better than A (95 %: −30 to 55;" in difference_sentence(wide)
    assert "too few for an interval" in difference_sentence(replace(BETTER, low=-math.inf))
