"""Verdicts over all gates of a run: corrected together, red at most as often as promised."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.records import Evidence
from pytest_llmbench.results.deciding import ADVISORY, FAIL, INCONCLUSIVE, PASS, decided
from pytest_llmbench.results.finding import Finding
from pytest_llmbench.stats.limits import ALPHA, share_against


def found(p_value: float = 1.0, **told: object) -> Finding:
    """What was found of a gate that is kept, and is not shown to be."""
    base = {"broken": p_value < 1, "shown_kept": False, "told": "80 %, n = 20", **told}
    return Finding("rule", "pass_rate", "lab/m", "triage", 0.8, 0.9, 20, p_value=p_value, **base)  # type: ignore[arg-type]


def verdicts(*findings: Finding) -> list[str]:
    return [result.verdict for result in decided(findings)]


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (found(fault="pass_rate is gone; renamed?"), FAIL),
        (found(0.0, doubt="another machine"), INCONCLUSIVE),
        (found(0.0, fault="gone", doubt="another machine"), FAIL),
        (found(0.009), FAIL),
        (found(0.009, advisory="lab/j was never calibrated"), ADVISORY),
        (found(0.011), INCONCLUSIVE),
        (found(shown_kept=True), PASS),
        (found(), INCONCLUSIVE),
        (found(0.5, shown_kept=True), INCONCLUSIVE),
        (found(0.0, exact=True), FAIL),
        (found(shown_kept=True, exact=True), PASS),
    ],
)
def test_a_finding_becomes_a_verdict(finding: Finding, verdict: str) -> None:
    """A fault before a doubt, a doubt before all numbers; then what is shown."""
    assert verdicts(finding) == [verdict]


def test_each_gate_more_makes_a_failure_harder() -> None:
    """By Holm: 0.009 of one gate is red, of two it is not; 0.004 of two is, and then the other counts alone."""
    assert verdicts(found(0.009), found(0.5)) == [INCONCLUSIVE, INCONCLUSIVE]
    assert verdicts(found(0.004), found(0.009)) == [FAIL, FAIL]
    [first, _] = decided([found(0.004), found(0.5)])
    assert first.evidence.p_corrected == pytest.approx(0.008)
    assert "corrected for 2 gates" in first.reason


def test_what_chance_has_no_part_in_takes_nothing_from_the_others() -> None:
    """Limits on single values, budgets and what cannot be told are no tests."""
    others = [found(0.0, exact=True), found(doubt="not measured"), found(fault="gone")]
    assert verdicts(found(0.009), *others)[0] == FAIL
    assert decided(others)[1].evidence.p_corrected is None


ANY = st.builds(
    found,
    st.floats(0, 1),
    shown_kept=st.booleans(),
    broken=st.booleans(),
    exact=st.booleans(),
    doubt=st.sampled_from(["", "", "not measured"]),
    fault=st.sampled_from(["", "", "", "gone"]),
    advisory=st.sampled_from(["", "advises"]),
    evidence=st.builds(
        Evidence,
        low=st.none() | st.floats(0, 1),
        high=st.none() | st.floats(0, 1),
        smallest_detectable=st.none() | st.floats(0, 1),
        n_needed=st.none() | st.integers(1, 10**6),
    ),
)


@given(st.lists(ANY, max_size=12))
def test_whatever_is_found_the_verdicts_keep_to_their_rules(findings: list[Finding]) -> None:
    """One each, in order; nothing broken passes, nothing kept fails but by a fault, nothing doubtful is decided, and
    every verdict has a reason."""
    for finding, result in zip(findings, decided(findings), strict=True):
        assert result.reason
        assert result.verdict in {PASS, FAIL, ADVISORY, INCONCLUSIVE}
        if result.verdict == PASS:
            assert finding.shown_kept
            assert not (finding.broken)
            assert not (finding.doubt)
            assert not finding.fault
        if result.verdict in {FAIL, ADVISORY}:
            assert finding.fault or (finding.broken and not finding.doubt)
        if finding.doubt and not finding.fault:
            assert result.verdict == INCONCLUSIVE


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_gates_says_nothing(p_values: list[float], luck: random.Random) -> None:
    """The same findings in another order get the same verdicts."""
    findings = [found(p) for p in p_values]
    order = list(range(len(findings)))
    luck.shuffle(order)
    shuffled = verdicts(*(findings[place] for place in order))
    assert shuffled == [verdicts(*findings)[place] for place in order]


@given(st.lists(st.floats(0, 1), max_size=10), st.floats(0, 1))
def test_a_gate_more_turns_none_red(p_values: list[float], one_more: float) -> None:
    """What was not red before is not because somebody declared another gate."""
    before = verdicts(*map(found, p_values))
    after = verdicts(*map(found, [*p_values, one_more]))
    assert all(then == FAIL for then, now in zip(before, after, strict=False) if now == FAIL)


def _run(luck: random.Random, rates: Sequence[float], samples: int) -> list[Finding]:
    """Gates on use cases whose true pass rate is their limit."""
    gates = []
    for limit in rates:
        share = sum(luck.random() < limit for _ in range(samples)) / samples
        gates.append(found(share_against(share, samples, limit, at_least=True).p_broken, broken=share < limit))
    return gates


def test_unchanged_things_turn_a_run_red_at_most_once_in_a_hundred() -> None:
    """3,000 runs of five gates each that models keep by a hair: at most 1 % are red at all (and luck's 5 sigma)."""
    luck, runs = random.Random(8), 3_000
    red = sum(FAIL in verdicts(*_run(luck, (0.5, 0.8, 0.9, 0.95, 0.99), 30)) for _ in range(runs))
    assert red / runs < ALPHA + 5 * (ALPHA * (1 - ALPHA) / runs) ** 0.5
    assert red > 0


def test_the_smallest_change_that_is_told_is_found_four_times_of_five_beside_other_gates() -> None:
    """Twenty gates, 400 samples each: one whose rate is worse by what is told, 1,000 times."""
    luck, limit, samples = random.Random(7), 0.8, 400
    alone = share_against(limit, samples, limit, at_least=True).smallest_detectable
    others = [found(1.0)] * 19
    told = decided([found(evidence=Evidence(smallest_detectable=alone)), *others])[0].evidence.smallest_detectable
    assert alone is not None
    assert told is not None
    assert told > alone
    seen = 0
    for _ in range(1000):
        share = sum(luck.random() < limit - told for _ in range(samples)) / samples
        p_value = share_against(share, samples, limit, at_least=True).p_broken
        seen += verdicts(found(p_value, broken=share < limit), *others)[0] == FAIL
    assert 700 < seen < 880
