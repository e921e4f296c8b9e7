"""Gates over use cases: rates with intervals, costs that are partly unknown, times of single calls."""

from __future__ import annotations

import dataclasses

import pytest
import report_runs

from pytest_llmbench.config import Gate
from pytest_llmbench.records import Cost, Evaluation, GateResult, Reply, Run, TestResult, Timing, Trial
from pytest_llmbench.results import case_gates
from pytest_llmbench.results.case_gates import Rule
from pytest_llmbench.results.deciding import decided as decided_all
from pytest_llmbench.results.gates import findings, unmatched

PAGE = "cases/triage/USE-CASE.md"


def run_of(*outcomes: str, costs: tuple[str, ...] = (), model: str = "lab/m", page: str = PAGE) -> Run:
    """A run of one use case: a sample an outcome, a call each; calls without a cost cost nobody knows what."""
    results, replies = [], []
    for number, outcome in enumerate(outcomes):
        passed = {"right": True, "wrong": False}.get(outcome)
        value = None if passed is None else float(passed)
        found = Evaluation(
            "triage", f"s{number}", page=page, value=value, passed=passed, trials=(Trial(value, passed),)
        )
        results.append(
            TestResult(f"n{number}", f"k{number}", outcome, model=model, reply_ids=(f"r{number}",), evaluation=found)
        )
        cost = Cost(costs[number], "billed") if number < len(costs) else Cost()
        timing = Timing(ttft_s=0.1 * (number + 1), e2e_s=0.2 * (number + 1))
        replies.append(Reply(text="x", model=model, timing=timing, cost=cost, id=f"r{number}", streamed=True))
    base = report_runs.passed_run()
    return dataclasses.replace(base, results=tuple(results), replies=tuple(replies), measurements=(), gates=())


def decided(run: Run, **rule: object) -> GateResult:
    """What one gate of the page says."""
    [gate] = decided_all(case_gates.findings([Rule("triage", Gate.model_validate(rule), PAGE)], run))
    return gate


@pytest.mark.parametrize(
    ("outcomes", "limit", "verdict"),
    [
        (["right"] * 40, 0.9, "pass"),
        (["right"] * 9 + ["wrong"], 0.9, "inconclusive"),
        (["right"] * 8 + ["wrong"] * 2, 0.9, "inconclusive"),
        (["right"] * 2 + ["wrong"] * 8, 0.9, "fail"),
        (["right", "infra_error", "unscored"], 0.1, "pass"),
        (["unscored"] * 3, 0.9, "inconclusive"),
    ],
)
def test_a_pass_rate_is_decided_with_its_interval(outcomes: list[str], limit: float, verdict: str) -> None:
    """Of samples with a verdict; few samples below the limit are inconclusive, many fail."""
    gate = decided(run_of(*outcomes), metric="pass_rate", min=limit)
    assert (gate.verdict, gate.model, gate.profile) == (verdict, "lab/m", "triage")
    assert gate.n == sum(outcome in {"right", "wrong"} for outcome in outcomes)


def test_what_is_unscored_can_be_limited() -> None:
    """A rate over few samples cannot hide behind what nobody could score."""
    run = run_of(*["right"] * 3, *["unscored"] * 17)
    assert decided(run, metric="pass_rate", min=0.4).verdict == "pass"
    gate = decided(run, metric="unscored_rate", max=0.1)
    assert (gate.verdict, gate.value, gate.n) == ("fail", 0.85, 20)
    assert gate.gate == "triage, lab/m: unscored_rate <= 10 %"


@pytest.mark.parametrize(
    ("costs", "limit", "verdict"),
    [
        (("0.01", "0.01"), 0.02, "pass"),
        (("0.01",), 0.02, "inconclusive"),
        (("0.03",), 0.02, "fail"),
        ((), 1.0, "inconclusive"),
    ],
)
def test_an_unknown_cost_keeps_no_limit(costs: tuple[str, ...], limit: float, verdict: str) -> None:
    """What is known may already be too much; what is not known is never 0."""
    gate = decided(run_of("right", "right", costs=costs), metric="total_cost_usd", max=limit)
    assert gate.verdict == verdict, gate.reason
    if len(costs) < 2 and verdict == "inconclusive":
        assert "nobody knows the cost" in gate.reason
    cheap = run_of("right", "right", costs=("0.01", "0.01"))
    assert decided(cheap, metric="cost_usd", max=0.02).verdict == "pass"


def test_times_of_single_calls_are_decided_as_those_of_a_measurement() -> None:
    """By the statistic that the gate names."""
    run = run_of(*["right"] * 20)
    assert decided(run, metric="ttft_s", max=1.1).gate == "triage, lab/m: ttft_s p50 <= 1.1 s"
    assert decided(run, metric="ttft_s", max=1.1).value == pytest.approx(1.0)
    assert decided(run, metric="e2e_s", statistic="max", max=3.9).verdict == "fail"


def test_a_gate_without_its_model_is_inconclusive() -> None:
    """Nothing matches: never silently green."""
    gate = decided(run_of("right"), metric="pass_rate", min=0.5, model="other/*")
    assert (gate.verdict, gate.gate) == ("inconclusive", "triage: pass_rate >= 50 %")
    assert "nothing measured matches other/* / triage" in gate.reason
    [general] = case_gates.findings([Rule("*", Gate(metric="pass_rate", min=0.5, model="other/*"))], run_of("right"))
    assert general.gate == "pass_rate >= 50 %"
    everywhere = unmatched(Gate(metric="ttft_s", statistic="p95", max=0.5)).doubt
    assert everywhere.startswith("nothing in this run measured it; `bench` measures it")


def test_a_gate_is_for_its_own_page_and_llmbench_yaml_for_all_of_a_name() -> None:
    """Two folders may have use cases of one name."""
    run = run_of("right", page="other/USE-CASE.md")
    assert decided(run, metric="pass_rate", min=0.5).verdict == "inconclusive"
    general = case_gates.rules_of(
        [Gate(metric="pass_rate", min=0.5, profile="tri*", by="value"), Gate(metric="decode_tps", min=1)]
    )
    assert [gate.verdict for gate in decided_all(case_gates.findings(general, run))] == ["pass"]
    assert findings([Gate(metric="pass_rate", min=0.5)], run) == []


def test_that_all_are_right_no_sample_shows_and_one_wrong_one_refutes() -> None:
    """Such a limit is meant of the samples themselves."""
    whole = decided(run_of(*["right"] * 50), metric="pass_rate", min=1)
    assert whole.verdict == "inconclusive"
    assert "say `by: value`" in whole.reason
    assert decided(run_of(*["right"] * 50), metric="pass_rate", min=1, by="value").verdict == "pass"
    assert decided(run_of(*["right"] * 50, "wrong"), metric="pass_rate", min=1).verdict == "fail"


def test_a_rate_on_its_limit_is_inconclusive_whatever_comes() -> None:
    """No number of samples is named that would tell."""
    gate = decided(run_of(*["right"] * 4, "wrong"), metric="pass_rate", min=0.8)
    assert (gate.verdict, gate.evidence.n_needed) == ("inconclusive", None)
    assert "no number of them would tell" in gate.reason


def test_the_number_that_would_tell_does() -> None:
    """As many samples with the same rate pass, one in seven fewer do not; the same for a failure."""
    for right, limit, verdict in [(9, 0.8, "pass"), (7, 0.8, "fail")]:
        rule = {"metric": "pass_rate", "min": limit}
        needed = decided(run_of(*["right"] * right, *["wrong"] * (10 - right)), **rule).evidence.n_needed
        assert needed
        enough, few = -(-needed // 10) + 2, needed // 10 - max(1, needed // 70)
        for tens, expected in [(enough, verdict), (few, "inconclusive")]:
            run = run_of(*["right"] * right * tens, *["wrong"] * (10 - right) * tens)
            assert decided(run, **rule).verdict == expected
