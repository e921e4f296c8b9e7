"""Damaged samples against the same ones without damage: pairs alone, and nothing of them in other rates."""

from __future__ import annotations

import dataclasses

import pytest
import report_runs
from report_use_cases import result

from pytest_llmbench.config import Gate
from pytest_llmbench.records import Evaluation, Outcome, Run, TestResult
from pytest_llmbench.reports.robust_words import robust_cells
from pytest_llmbench.reports.view import view
from pytest_llmbench.results.case_gates import Rule, findings
from pytest_llmbench.results.deciding import decided
from pytest_llmbench.results.use_cases import tables
from pytest_llmbench.stats import paired_binary, wilson

RIGHT, WRONG, LOST = (True, 1.0), (False, 0.0), (None, None)


def run_of(*told: TestResult) -> Run:
    return dataclasses.replace(report_runs.passed_run(), results=told, measurements=(), replies=(), gates=())


def one(sample: str, ended: tuple[bool | None, float | None], how: str = "", model: str = "lab/m", weight: float = 1.0):
    """The result of a sample; of LOST nobody knows, and one with a value alone is only measured."""
    passed, value = ended
    outcome = Outcome.INFRA_ERROR if ended == LOST else Outcome.WRONG if passed is False else Outcome.RIGHT
    found = Evaluation(
        "shout", sample, page="shout/USE-CASE.md", value=value, passed=passed, corruption=how, weight=weight
    )
    return dataclasses.replace(result(found, model, outcome), nodeid=f"{sample}~{how}-{model}")


def both(sample: str, before, after, how: str = "typos-10", **more):
    return one(sample, before, **more), one(sample, after, how, **more)


def test_only_pairs_are_compared():
    """By McNemar's exact test and Tango's interval; a sample that one of both knows nothing of is in none."""
    told = [
        *(each for at in range(12) for each in both(f"kept{at}", RIGHT, RIGHT)),
        *(each for at in range(6) for each in both(f"lost{at}", RIGHT, WRONG)),
        *both("found", WRONG, RIGHT),
        *both("never", WRONG, WRONG),
        *both("gone", RIGHT, LOST),
        one("alone", RIGHT),
        one("stray", WRONG, "typos-10"),
    ]
    [table] = tables(run_of(*told))
    [row] = table.robustness
    before = [True] * 18 + [False, False]
    after = [True] * 12 + [False] * 6 + [True, False]
    expected = paired_binary(after, before)
    assert (row.n, row.asked) == (20, 22)
    assert (row.clean.value, row.damaged.value) == (0.9, 0.65)
    assert (row.difference, row.low, row.high) == (expected.difference, expected.low, expected.high)
    assert row.p_value == expected.p_value == pytest.approx(0.125)
    assert row.turned_wrong == tuple(f"lost{at}" for at in range(6))
    assert row.turned_right == ("found",)
    assert (row.robustness.value, row.robustness.low) == (12 / 18, wilson(12, 18).low)


def test_rates_and_fronts_are_those_of_the_clean_samples():
    """Whatever damage did; the table of models and tests tells clean ones alone, too."""
    damaged = run_of(*both("a", RIGHT, WRONG), *both("b", RIGHT, WRONG), *both("c", WRONG, WRONG))
    clean = run_of(one("a", RIGHT), one("b", RIGHT), one("c", WRONG))
    [told], [plain] = tables(damaged), tables(clean)
    assert dataclasses.replace(told.rows[0], robustness=None) == plain.rows[0]
    assert (told.samples, told.slices, told.notes) == (plain.samples, plain.slices, plain.notes)
    assert [row.n for row in view(damaged).asked] == [row.n for row in view(clean).asked]


def test_a_model_whose_clean_samples_were_not_asked_has_no_pair():
    """`-k typos` alone: told as such, not as a difference of nothing."""
    [table] = tables(run_of(one("a", WRONG, "typos-10"), one("b", RIGHT, "typos-10")))
    [row] = table.robustness
    assert (table.rows[0].n, table.rows[0].pass_rate, table.samples) == (0, None, 0)
    assert (row.n, row.asked, row.clean, row.difference, row.robustness) == (0, 2, None, None, None)
    [cells] = robust_cells(table)
    assert (cells.pairs, cells.difference, cells.is_worse) == ("0 of 2", "–", False)


def test_scores_are_compared_where_nothing_passes_or_fails():
    """The mean of the differences, from −1 to 1."""
    scores = [(0.9, 0.4), (0.8, 0.5), (0.7, 0.3), (1.0, 0.6)]
    told = [each for at, (a, b) in enumerate(scores) for each in both(f"s{at}", (None, a), (None, b))]
    [table] = tables(run_of(*told))
    [row] = table.robustness
    assert table.quality == "score"
    assert (row.n, row.difference, row.p_value) == (4, pytest.approx(-0.4), None)
    assert -0.55 < row.low < -0.4 < row.high < -0.25
    assert robust_cells(table)[0].is_worse
    assert row.robustness is None


def test_weights_of_strata_count_in_differences():
    """A sample that stands for nine counts nine times; there is no exact test then."""
    told = [*both("rare", RIGHT, WRONG, weight=1.0), *both("common", RIGHT, RIGHT, weight=9.0)]
    [table] = tables(run_of(*told))
    [row] = table.robustness
    assert (row.difference, row.damaged.value, row.p_value) == (pytest.approx(-0.1), 0.9, None)
    assert row.robustness.value == 0.9


def test_robustness_of_several_corruptions_counts_each_sample_once():
    """Three damages of one sample tell less than three samples."""
    told = [
        one("a", RIGHT), one("a", RIGHT, "typos"), one("a", WRONG, "casing"),
        one("b", RIGHT), one("b", RIGHT, "typos"), one("b", RIGHT, "casing"),
        one("c", WRONG), one("c", RIGHT, "typos"), one("c", RIGHT, "casing"),
    ]  # fmt: skip
    [table] = tables(run_of(*told))
    assert (table.rows[0].robustness.value, table.rows[0].robustness.n) == (0.75, 2)
    assert [row.corruption for row in table.robustness] == ["typos", "casing"]


@pytest.mark.parametrize(("least", "verdict"), [(0.5, "pass"), (0.99, "fail")])
def test_a_gate_may_ask_for_robustness(least, verdict):
    """Held against the interval like any rate; a gate of the pass rate knows no damage."""
    told = [each for at in range(60) for each in both(f"s{at}", RIGHT, WRONG if at % 6 == 0 else RIGHT)]
    rules = [Rule("*", Gate(metric="robustness", min=least)), Rule("*", Gate(metric="pass_rate", min=0.9))]
    found = decided(findings(rules, run_of(*told)))
    assert [gate.verdict for gate in found] == [verdict, "pass"]


def test_a_gate_of_robustness_without_damage_is_inconclusive():
    """Nothing was asked that it could go by."""
    [gate] = decided(findings([Rule("*", Gate(metric="robustness", min=0.5))], run_of(one("a", RIGHT))))
    assert gate.verdict == "inconclusive"


def test_each_model_has_its_own_rows_the_best_first():
    """In the order of the table above them."""
    told = [*both("a", WRONG, WRONG, model="lab/bad"), *both("a", RIGHT, RIGHT, model="lab/good")]
    [table] = tables(run_of(*told))
    assert [row.model for row in table.robustness] == ["lab/good", "lab/bad"]


@pytest.mark.parametrize(("advised", "verdict"), [(False, "fail"), (True, "fail (advisory)")])
def test_a_judge_that_only_advises_fails_no_gate_of_robustness(advised, verdict):
    """As it fails none of the pass rate: without its word nobody knows what was lost."""
    told = [each for at in range(30) for each in both(f"lost{at}", RIGHT, WRONG)]
    judged = [
        dataclasses.replace(each, evaluation=dataclasses.replace(each.evaluation, advised=advised)) for each in told
    ]
    rule = Rule("shout", Gate(metric="robustness", min=0.9))
    [gate] = decided(findings([rule], run_of(*judged)))
    assert gate.verdict == verdict
