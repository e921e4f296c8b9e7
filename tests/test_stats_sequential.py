"""A gate's answer before all samples were asked."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_series import share

from pytest_llmbench.errors import UsageError
from pytest_llmbench.stats import wilson
from pytest_llmbench.stats.sequential import Curtailed, Decision, FixedRule, Sprt

rules = st.builds(
    FixedRule, p0=st.floats(0.05, 1), n_max=st.integers(1, 30), confidence=st.sampled_from([0.95, 0.8, None])
)


def decided(rule: FixedRule, replies: list[bool | None]) -> tuple[int, Decision]:
    """Curtailed: after how many replies, and what."""
    stopping = Curtailed(rule)
    for reply in replies:
        if stopping.decision is not None:
            break
        stopping.add(reply)
    assert stopping.decision is not None
    return stopping.seen, stopping.decision


def verdict(rule: FixedRule, replies: list[bool | None]) -> Decision:
    """Of all replies, as the gate has it."""
    scored = [reply for reply in replies if reply is not None]
    return rule.verdict(sum(scored), len(scored))


@given(rules, st.data())
def test_curtailment_decides_as_all_samples_would(rule: FixedRule, data: st.DataObject) -> None:
    """Whatever comes, unscored samples included: stopping early never changes the answer."""
    replies = data.draw(st.lists(st.sampled_from([True, False, None]), min_size=rule.n_max, max_size=rule.n_max))
    assert decided(rule, replies)[1] == verdict(rule, replies)


@pytest.mark.parametrize("p0", [0.3, 0.5, 0.8])
def test_curtailment_stops_at_the_first_certain_sample(p0: float) -> None:
    """Every run of 7 samples: certain means that every continuation has the same verdict, and it stops right there."""
    rule = FixedRule(p0, 7, 0.7)
    for replies in product([True, False], repeat=7):
        seen, decision = decided(rule, list(replies))
        for known in (seen, seen - 1):
            rests = product([True, False], repeat=7 - known) if known >= 0 else []
            ends = {rule.verdict(sum(replies[:known]) + sum(rest), 7) for rest in rests}
            assert (ends == {decision}) == (known == seen)


def test_eight_passes_of_ten_are_enough_for_80_per_cent() -> None:
    """Two calls saved; and three failures mean that it cannot pass any more."""
    assert decided(FixedRule(0.8, 10), [True] * 10) == (8, "accept")
    assert decided(FixedRule(0.8, 10, None), [False] * 10) == (3, "reject")
    assert decided(FixedRule(1.0, 10, None), [True, False] * 5) == (2, "reject")


def test_the_fixed_rule_is_that_of_the_gates() -> None:
    """Passed at the limit; failed where the whole interval lies below it; of nothing scored nothing is known."""
    rule = FixedRule(0.8, 100)
    assert rule.verdict(80, 100) == "accept"
    assert rule.verdict(79, 100) == "inconclusive"
    assert wilson(72, 100).high < 0.8 <= wilson(73, 100).high
    assert [rule.verdict(passed, 100) for passed in (72, 73)] == ["reject", "inconclusive"]
    assert rule.verdict(0, 0) == "inconclusive"
    assert decided(FixedRule(0.5, 3), [None, None, None]) == (3, "inconclusive")


def test_after_the_last_sample_there_is_none() -> None:
    """Adding one more is a mistake of the caller."""
    stopping = Curtailed(FixedRule(0.5, 1))
    stopping.add(True)
    with pytest.raises(ValueError, match="all 1 samples are in"):
        stopping.add(True)


def test_settings_that_make_no_test_are_refused() -> None:
    """With the numbers, and with what to do."""
    with pytest.raises(UsageError, match=r"not 1\.2 of 10"):
        FixedRule(1.2, 10)
    with pytest.raises(UsageError, match="at least one sample"):
        FixedRule(0.5, 0)
    with pytest.raises(UsageError, match=r"not 0\.9 to 1") as refused:
        Sprt(FixedRule(0.95, 100), margin=0.05)
    assert "exact curtailment" in (refused.value.hint or "")
    with pytest.raises(UsageError, match="error rates lie between"):
        Sprt(FixedRule(0.8, 100), alpha=0.0)


def sprt(rule: FixedRule, replies: list[bool | None]) -> Sprt:
    stopping = Sprt(rule)
    for reply in replies:
        if stopping.decision is not None:
            break
        stopping.add(reply)
    return stopping


def test_walds_boundaries() -> None:
    """±5 points around 80 %: 24 passes in a row accept, log 19 over log (0.85 / 0.75); 6 failures in a row reject."""
    rule = FixedRule(0.8, 1000)
    good, bad = sprt(rule, [True] * 100), sprt(rule, [False] * 100)
    assert (good.seen, good.decision) == (24, "accept")
    assert (bad.seen, bad.decision) == (6, "reject")


@given(rules.filter(lambda rule: 0.1 <= rule.p0 <= 0.9), st.data())
def test_the_test_always_ends_and_a_decision_stays(rule: FixedRule, data: st.DataObject) -> None:
    """At the last sample the fixed rule decides; what was decided before is not taken back."""
    replies = data.draw(st.lists(st.sampled_from([True, False, None]), min_size=rule.n_max, max_size=rule.n_max))
    stopping, told = Sprt(rule), []
    for reply in replies:
        stopping.add(reply)
        told.append(stopping.decision)
    assert told[-1] is not None
    first = next(at for at, each in enumerate(told) if each is not None)
    assert set(told[first:]) == {told[-1]}
    assert stopping.decision in {"accept", "reject"} or stopping.decision == verdict(rule, replies)


@pytest.mark.parametrize(("rate", "wrong"), [(0.75, "accept"), (0.85, "reject")])
def test_error_rates_are_walds_where_nothing_truncates(rate: float, wrong: str) -> None:
    """At the ends of the zone, of 300 runs of at most 2,000 samples: around 5 %, and most samples are saved."""
    rule, calls = FixedRule(0.8, 2000), []

    def errs(random: Random) -> bool:
        stopping = Sprt(rule)
        while stopping.decision is None:
            stopping.add(random.random() < rate)
        calls.append(stopping.seen)
        return stopping.decision == wrong

    assert share(300, errs) <= 0.09
    assert sum(calls) / len(calls) < 200
