"""Trials of one sample become one value and one verdict; scores of one reply become one."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from pytest_llmbench.evaluations.reducing import reduced
from pytest_llmbench.evaluations.scoring import disagreeing, is_scored, value_of, verdict_of
from pytest_llmbench.records import Score, Trial

GOOD, BAD, UNKNOWN = Trial(1.0, True), Trial(0.0, False), Trial(None, None)


@pytest.mark.parametrize(
    ("reducer", "trials", "value", "passed"),
    [
        ("mean", [GOOD, GOOD, BAD], 2 / 3, True),
        ("mean", [GOOD, BAD], 0.5, False),
        ("median", [Trial(0.2, False), Trial(0.9, True), Trial(0.8, True)], 0.8, True),
        ("min", [GOOD, GOOD, BAD], 0.0, False),
        ("max", [BAD, BAD, GOOD], 1.0, True),
        ("majority", [GOOD, GOOD, BAD], 1.0, True),
        ("majority", [GOOD, BAD, UNKNOWN], 0.0, False),
        ("majority", [GOOD, UNKNOWN, UNKNOWN], 0.0, False),
        ("pass@2", [BAD, GOOD], 1.0, True),
        ("pass^2", [BAD, GOOD], 0.0, False),
        ("pass@1", [BAD, GOOD, BAD, BAD], 0.25, False),
        ("pass@2", [GOOD, UNKNOWN], None, None),
        ("mean", [UNKNOWN], None, None),
        ("mean", [Trial(0.4, None), Trial(0.6, None)], 0.5, None),
        ("majority", [Trial(0.4, None), Trial(0.6, None), Trial(0.9, None)], 0.6, None),
    ],
)
def test_trials_are_reduced(reducer: str, trials: list[Trial], value: float | None, passed: bool | None) -> None:
    """Unscored trials say nothing, but withhold their votes of a majority; half of the trials is not enough."""
    found, verdict = reduced(trials, reducer)
    assert (found, verdict) == (pytest.approx(value) if value is not None else None, passed)


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.data())
def test_pass_at_k_is_the_share_of_all_choices_of_k(verdicts: list[bool], data: st.DataObject) -> None:
    """pass@k and pass^k are what drawing every k of the trials gives."""
    k = data.draw(st.integers(1, len(verdicts)))
    trials = [Trial(float(verdict), verdict) for verdict in verdicts]
    drawn = [[verdicts[at] for at in each] for each in combinations(range(len(verdicts)), k)]
    assert reduced(trials, f"pass@{k}")[0] == pytest.approx(sum(map(any, drawn)) / len(drawn))
    assert reduced(trials, f"pass^{k}")[0] == pytest.approx(sum(map(all, drawn)) / len(drawn))


def test_values_are_weighed_and_what_has_no_weight_only_informs() -> None:
    """A score of weight 0 changes neither value nor verdict."""
    scores = [Score("a", value=1.0, passed=True, weight=3), Score("b", value=0.0, weight=1)]
    assert value_of(scores) == 0.75
    assert verdict_of([*scores, Score("c", value=0.0, passed=False, weight=0)]) is True
    assert value_of([*scores, Score("c", value=0.0, passed=False, weight=0)]) == 0.75


def test_a_failed_validator_leaves_a_reply_unscored_unless_another_says_that_it_is_wrong() -> None:
    """Of a validator's own failure the model is not to blame, and it is no 0."""
    right, broken = Score("a", value=1.0, passed=True), Score("b", state="error", reason="it broke")
    wrong, measured = Score("c", value=0.0, passed=False), Score("d", value=0.4)
    assert (verdict_of([right, broken]), is_scored([right, broken])) == (None, False)
    assert (verdict_of([wrong, broken]), is_scored([wrong, broken])) == (False, True)
    assert (verdict_of([measured]), is_scored([measured])) == (None, True)
    assert is_scored([measured, broken]) is False
    assert is_scored([Score("e", state="unscored")]) is False


def test_a_silent_judge_that_counts_leaves_a_reply_unscored_that_others_pass() -> None:
    """It might have said that the reply is wrong: its silence makes none right. One that only advises may be silent."""
    right, wrong = Score("a", value=1.0, passed=True), Score("b", value=0.0, passed=False)
    silent = Score("judge", state="unscored", judged=True)
    assert (verdict_of([right, silent]), is_scored([right, silent])) == (None, False)
    assert (verdict_of([wrong, silent]), is_scored([wrong, silent])) == (False, True)
    assert (verdict_of([Score("c", value=0.4), silent]), is_scored([Score("c", value=0.4), silent])) == (None, False)
    assert verdict_of([right, replace(silent, advisory=True)]) is True
    assert verdict_of([replace(right, executed=True), silent]) is True
    assert verdict_of([right, replace(silent, weight=0.0)]) is True


def test_what_was_executed_outranks_a_judge_and_is_held_against_it() -> None:
    """Names of judges with another verdict than what was executed; other programs answer other questions."""
    ran, program = Score("sql", value=0.0, passed=False, executed=True), Score("short", value=1.0, passed=True)
    judge = Score("judge", value=1.0, passed=True, judged=True)
    assert disagreeing([ran, program, judge]) == (True, ("judge",))
    assert disagreeing([ran, program]) == (False, ())
    assert disagreeing([program, judge]) == (False, ())
    right = Score("sql", value=1.0, passed=True, executed=True)
    strict = Score("judge", value=0.0, passed=False, judged=True)
    assert (verdict_of([right, strict]), value_of([right, strict])) == (True, 1.0)
    assert (verdict_of([program, strict]), value_of([program, strict])) == (False, 0.5)


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=9))
def test_a_majority_passes_whatever_the_silent_trials_would_have_said(verdicts: list[bool | None]) -> None:
    """Every way to fill in what could not be scored has more passes than failures; and one such way is not enough."""
    trials = [Trial(None if verdict is None else float(verdict), verdict) for verdict in verdicts]
    known, silent = [verdict for verdict in verdicts if verdict is not None], verdicts.count(None)
    filled = [[*known, *rest] for rest in product([True, False], repeat=silent)]
    passed = all(sum(each) > len(each) - sum(each) for each in filled)
    assert reduced(trials, "majority") == ((float(passed), passed) if known else (None, None))


@given(st.integers(1, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_hypergeometric_distribution(counts: tuple[int, int, int]) -> None:
    """SciPy's: drawing k of n trials without putting them back."""
    n, good, k = counts
    trials = [GOOD] * good + [BAD] * (n - good)
    assert reduced(trials, f"pass@{k}")[0] == pytest.approx(hypergeom.sf(0, n, good, k))
    assert reduced(trials, f"pass^{k}")[0] == pytest.approx(hypergeom.pmf(k, n, good, k))
