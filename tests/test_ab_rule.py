"""When is B slower than A: how often the rule errs, over drawn pairs with fixed random numbers."""

from __future__ import annotations

import math
import random

import pytest

from pytest_llmbench.ab.rule import LOOKS, Progress, Rule, progress
from pytest_llmbench.errors import UsageError
from pytest_llmbench.stats.signed_rank import shift

FOUR = Rule({"cpu_s_per_token": 0.05, "decode_tps": 0.1, "prompt_tps": 0.1, "ttft_s": 0.1})
ONE = Rule({"cpu_s_per_token": 0.05})


def played(source: random.Random, slower: float, spread: float, rule: Rule = FOUR) -> Progress:
    """A match over drawn pairs, as many as it wants."""
    worse: dict[str, list[float]] = {metric: [] for metric in rule.margins}
    now = Progress(min(rule.looks), "")
    while now.wanted > len(next(iter(worse.values()))):
        for values in worse.values():
            missing = now.wanted - len(values)
            values += [math.log1p(slower) + source.gauss(0, spread) for _ in range(missing)]
        now = progress(worse, rule)
    return now


def test_the_looks_spend_all_of_alpha_and_no_more() -> None:
    """Together they may err as often as alpha says, whatever the most pairs are."""
    assert math.fsum(LOOKS.values()) == pytest.approx(1)
    for most in (4, 8, 10, 20, 32, 60):
        looks = Rule({"ttft_s": 0.1}, most_pairs=most).looks
        assert math.fsum(looks.values()) == pytest.approx(1)
        assert max(looks) == most


def test_identical_code_is_called_slower_in_at_most_one_run_of_a_hundred() -> None:
    """Four gates at once, at noise of 4 %: 600 drawn runs; at an alpha of 1 % eleven alarms would be rare bad luck."""
    source = random.Random(1)
    failed = sum(played(source, 0.0, 0.04).verdict == "fail" for _ in range(600))
    assert failed <= 6


def test_the_test_alone_errs_no_more_often_than_alpha_without_the_help_of_its_margin() -> None:
    """With a margin of next to nothing and a window of one pair only the p-values guard: still at most alpha."""
    rule, source = Rule({"ttft_s": 1e-9}, alpha=0.05, window=1), random.Random(2)
    failed = sum(played(source, 0.0, 0.04, rule).verdict == "fail" for _ in range(200))
    assert failed / 200 <= 0.05


def test_ten_percent_slower_is_found_nineteen_times_out_of_twenty() -> None:
    """In CPU time and wall time alike, at noise of 5 % a pair."""
    source = random.Random(3)
    failed = sum(played(source, 0.1, 0.05).verdict == "fail" for _ in range(200))
    assert failed >= 190


def test_a_quiet_machine_says_after_eight_pairs_that_nothing_changed() -> None:
    """The verdict is certain long before all pairs are made."""
    ended = played(random.Random(4), 0.0, 0.005)
    assert (ended.verdict, ended.wanted) == ("pass", 8)


def test_eight_pairs_never_call_b_slower_and_ten_with_their_window_do() -> None:
    """Eight equal signs are chance too often; what seems certain waits for two pairs more, and for four new ones."""
    assert progress({"cpu_s_per_token": [0.7] * 8}, ONE).wanted == 10
    distinct = [0.7 + pair / 1000 for pair in range(14)]
    triggered = progress({"cpu_s_per_token": distinct[:10]}, ONE)
    assert (triggered.wanted, triggered.confirming) == (14, True)
    ended = progress({"cpu_s_per_token": distinct}, ONE)
    assert (ended.verdict, ended.wanted) == ("fail", 14)
    assert ended.seen["cpu_s_per_token"].change == pytest.approx(math.expm1(0.7065), rel=1e-3)


def test_a_first_impression_that_new_pairs_do_not_bear_out_is_no_failure() -> None:
    """Ten pairs of a bad spell, then none: the window says no, and it goes on to the next look."""
    spell = [0.2 + pair / 1000 for pair in range(10)]
    calm = [0.001 * (-1) ** pair * (pair + 1) for pair in range(4)]
    assert progress({"cpu_s_per_token": spell}, ONE).confirming
    after_window = progress({"cpu_s_per_token": [*spell, *calm]}, ONE)
    assert (after_window.wanted, after_window.confirming) == (16, False)
    more = [0.0001 * (-1) ** pair * (pair + 7) for pair in range(20)]
    assert progress({"cpu_s_per_token": [*spell, *calm, *more]}, ONE, over=True).verdict != "fail"


def test_slower_by_less_than_the_margin_is_not_slower() -> None:
    """3 % for sure is within 5 %: passed, however small its p."""
    values = [math.log(1.03) + pair / 1e5 for pair in range(32)]
    ended = progress({"cpu_s_per_token": values}, ONE)
    assert ended.verdict == "pass"
    assert ended.seen["cpu_s_per_token"].p_corrected < 0.01


def test_time_that_is_up_says_what_it_would_have_taken() -> None:
    """Five noisy pairs: inconclusive, with the change that they find and the pairs that would do."""
    ended = progress({"cpu_s_per_token": [0.3, -0.2, 0.1, -0.25, 0.2]}, ONE, over=True)
    seen = ended.seen["cpu_s_per_token"]
    assert (ended.verdict, seen.verdict) == ("inconclusive", "inconclusive")
    assert "5 pairs are too few" in seen.reason
    assert seen.n_needed is not None
    assert seen.n_needed > 100
    assert seen.smallest_detectable is not None
    assert seen.smallest_detectable > 0.2


def test_so_many_pairs_as_are_said_to_be_needed_do_decide() -> None:
    """n_needed of sixteen pairs at noise of 10 %: as many pairs pass an unchanged B in most runs."""
    source = random.Random(6)
    noisy = [source.gauss(0.02, 0.1) for _ in range(16)]
    needed = progress({"cpu_s_per_token": noisy}, ONE, over=True).seen["cpu_s_per_token"].n_needed
    assert needed is not None
    assert 24 <= needed <= 200
    kept = sum(shift([source.gauss(0, 0.1) for _ in range(needed)]).high <= math.log(1.05) for _ in range(200))
    assert kept >= 100


def test_one_metric_in_doubt_leaves_the_whole_in_doubt_and_one_failure_fails_it() -> None:
    """Green means that all four were seen to hold."""
    calm = [0.0001 * (-1) ** pair * (pair + 1) for pair in range(40)]
    source = random.Random(7)
    wild = [source.gauss(0, 0.5) for _ in range(40)]
    slow = [0.4 + pair / 1e4 for pair in range(40)]
    two = Rule({"cpu_s_per_token": 0.05, "ttft_s": 0.1})
    assert progress({"cpu_s_per_token": calm, "ttft_s": wild}, two).verdict == "inconclusive"
    assert progress({"cpu_s_per_token": calm, "ttft_s": slow}, two).verdict == "fail"
    assert progress({"cpu_s_per_token": calm, "ttft_s": calm}, two).verdict == "pass"


def test_p_values_are_corrected_over_the_metrics() -> None:
    """Holm's: the smallest of four counts four times."""
    values = [0.4 + pair / 1e4 for pair in range(14)]
    calm = [0.0001 * (-1) ** pair * (pair + 1) for pair in range(14)]
    seen = progress({"cpu_s_per_token": values, "decode_tps": calm, "prompt_tps": calm, "ttft_s": calm}, FOUR).seen
    raw = seen["cpu_s_per_token"].shift.p_above
    assert seen["cpu_s_per_token"].p_corrected == pytest.approx(4 * raw)


def test_nothing_measured_is_never_a_pass() -> None:
    """No metric, no pairs: inconclusive."""
    assert progress({}, ONE, over=True).verdict == "inconclusive"
    assert progress({"cpu_s_per_token": []}, ONE, over=True).verdict == "inconclusive"


@pytest.mark.parametrize("wrong", [{"margins": {}}, {"margins": {"ttft_s": 0.0}}, {"alpha": 0.7}, {"most_pairs": 0}])
def test_a_rule_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    """Told at once, not after five minutes."""
    with pytest.raises(UsageError):
        Rule(**{"margins": {"ttft_s": 0.1}, **wrong})  # type: ignore[arg-type]
