"""The JUnit report: valid by Jenkins' schema whatever is in a run; tests by outcome, gates in a suite of their own."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import hostile_text
import pytest
import report_profiles
import report_runs
import report_samples
import report_use_cases
from lxml import etree

from pytest_llmbench import reports
from pytest_llmbench.records import Evidence, GateResult, Outcome, Run
from pytest_llmbench.reports import junit_report
from pytest_llmbench.reports.view import OUTCOME_WORDS

SCHEMA = Path(__file__).with_name("junit-10.xsd")


@cache
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(SCHEMA))


def made(run: Run) -> etree._Element:
    """The report, parsed; it has to be valid."""
    root = etree.fromstring(junit_report.render(run).encode())
    schema().assertValid(root)
    return root


def suites(run: Run) -> dict[str, etree._Element]:
    return {suite.get("name"): suite for suite in made(run).iter("testsuite")}


def properties(suite: etree._Element) -> dict[str, str]:
    return {each.get("name"): each.get("value") for each in suite.iter("property")}


def told(suite: etree._Element) -> dict[str, list[str]]:
    """Name of each test → what stands in it, its output left aside."""
    return {
        case.get("name"): [child.tag for child in case if child.tag != "system-out"] for case in suite.iter("testcase")
    }


def a_gate(verdict: str, **changed: object) -> GateResult:
    return GateResult(
        gate="triage: pass_rate >= 90 %",
        verdict=verdict,
        reason="81.2 %, n = 40",
        metric="pass_rate",
        model=report_use_cases.MODELS[0],
        profile="support-triage",
        value=0.812,
        limit=0.9,
        n=40,
        evidence=Evidence(low=0.75, high=0.86, p_value=0.001, sentence="It is 8.8 points below."),
        **changed,  # type: ignore[arg-type]
    )


def gated(*verdicts: str, settings: dict[str, object] | None = None) -> Run:
    run = report_use_cases.triage_run(20, models=report_use_cases.MODELS[:1])
    use_case = next(result.evaluation.use_case for result in run.results if result.evaluation)
    gates = tuple(dataclasses.replace(a_gate(verdict), profile=use_case) for verdict in verdicts)
    return dataclasses.replace(run, gates=gates, settings={**run.settings, **(settings or {})})


@pytest.mark.parametrize(
    "run",
    [
        report_runs.passed_run(),
        report_runs.mixed_run(),
        report_runs.empty_run(),
        report_profiles.profiles_run(),
        report_use_cases.several_run(),
        report_samples.samples_run(500),
        hostile_text.hostile_run(),
        hostile_text.hostile_run(hostile_text.CORPUS),
    ],
    ids=["passed", "mixed", "empty", "profiles", "use cases", "samples", "hostile", "corpus"],
)
def test_every_run_makes_a_report_that_is_valid_by_the_schema(run: Run) -> None:
    """Also where models and providers wrote what XML cannot hold."""
    root = made(run)
    cases = len(run.results) + len(run.gates)
    assert root.get("tests") == str(cases) == str(len(list(root.iter("testcase"))))


def test_the_schema_refuses_what_is_not_valid() -> None:
    """The check can fail: properties of a test are not in it."""
    root = made(report_runs.passed_run())
    etree.SubElement(next(root.iter("testcase")), "properties")
    assert not schema().validate(root)


def test_each_outcome_has_its_element() -> None:
    """Wrong is a failure, infra and test errors are errors, skipped is skipped; infra errors tell their category."""
    [suite] = [each for name, each in suites(report_runs.mixed_run()).items() if name.startswith("suites/chat")]
    assert told(suite) == {
        "test_answers_in_german": ["failure"],
        "test_long_story": ["error"],
        "test_tools": ["error"],
        "test_json": ["error"],
        "test_on_gpu": ["skipped"],
    }
    assert [each.get("type") for each in suite.iter("error")] == ["timeout.ttft", "local.server_crash", "test_error"]
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("1", "3", "1")
    assert {case.get("classname") for case in suite.iter("testcase")} == {"suites.chat.test_chat"}
    assert next(suite.iter("failure")).text == "assert 'Paris' in 'Berlin, of course.'\n  hint"


@pytest.mark.parametrize("outcome", [*OUTCOME_WORDS, "of a newer version"])
def test_no_outcome_is_without_an_element(outcome: str) -> None:
    """Only a right one passes; what is not known is an error."""
    run = report_runs.passed_run()
    run = dataclasses.replace(run, results=(dataclasses.replace(run.results[0], outcome=outcome),))
    [found] = told(next(iter(suites(run).values()))).values()
    assert bool(found) == (outcome != Outcome.RIGHT)


def test_gates_are_a_suite_of_their_own() -> None:
    """A failed gate is a failure, an inconclusive one skipped with its reason; numbers are properties."""
    suite = suites(gated("pass", "fail", "inconclusive", "fail (advisory)"))[junit_report.GATES]
    assert [[c.tag for c in case if c.tag != "system-out"] for case in suite.iter("testcase")] == [
        [],
        ["failure"],
        ["skipped"],
        [],
    ]
    assert next(suite.iter("failure")).get("message") == "fail: 81.2 %, n = 40"
    known = properties(suite)
    assert known["llmbench.gate.2.verdict"] == "fail"
    assert known["llmbench.gate.2.low"] == "0.75"
    assert known["llmbench.run"] == report_runs.RUN_ID
    assert "It is 8.8 points below." in next(suite.iter("system-out")).text


def test_an_inconclusive_gate_is_a_failure_where_it_ends_the_run_as_one() -> None:
    """`--inconclusive=fail`."""
    suite = suites(gated("inconclusive", settings={"inconclusive": "fail"}))[junit_report.GATES]
    assert (suite.get("failures"), next(suite.iter("failure")).get("type")) == ("1", "inconclusive")


def test_a_wrong_sample_under_a_gate_is_counted_and_no_failure() -> None:
    """Both are shown: the sample with its reason in the output, the gate as what decides."""
    run = gated("fail")
    wrong = [result for result in run.results if result.outcome == Outcome.WRONG]
    assert wrong
    under, without = suites(run), suites(dataclasses.replace(run, gates=()))
    [name] = [each for each in under if each != junit_report.GATES]
    assert (under[name].get("failures"), without[name].get("failures")) == ("0", str(len(wrong)))
    outputs = [each.text for each in under[name].iter("system-out")]
    assert sum("outcome: wrong, counted by a gate" in each for each in outputs) == len(wrong)
    assert under[junit_report.GATES].get("failures") == "1"


def test_scores_and_metrics_are_properties_in_our_namespace() -> None:
    """Of a use case its rates, of a measurement its speed, of each test its scores; with interval and n."""
    run = gated("pass")
    [(name, suite)] = [pair for pair in suites(run).items() if pair[0] != junit_report.GATES]
    known = properties(suite)
    assert all(each.startswith("llmbench.") for each in known)
    assert name.endswith(f"[{report_use_cases.MODELS[0]}]")
    use_case = next(result.evaluation.use_case for result in run.results if result.evaluation)
    rate, low, high = (float(known[f"llmbench.{use_case}.pass_rate{end}"]) for end in ("", ".low", ".high"))
    assert low < rate < high
    first = run.results[0]
    assert first.evaluation is not None
    test = first.nodeid.partition("::")[2]
    assert known[f"llmbench.score[{test}]"] == f"{first.evaluation.value:.10g}"
    speed = properties(
        suites(report_runs.passed_run())["example_suites/quickstart/test_quickstart.py [smollm2-135m:Q4_1]"]
    )
    measured = report_runs.passed_run().measurements[0]
    assert float(speed["llmbench.interactive.ttft_s.p50"]) == pytest.approx(measured.ttft_s.p50)
    assert speed["llmbench.interactive.ttft_s.n"] == "20"


def test_long_messages_are_cut_and_keys_are_left_out(tmp_path: Path) -> None:
    """A JUnit file goes to other people's servers."""
    run = report_runs.mixed_run()
    long = dataclasses.replace(run.results[3], message="x" * 100_000)
    path = reports.write(dataclasses.replace(run, results=(long,)), "junit", tmp_path / reports.file_name("junit"))
    assert path.name == "report.junit.xml"
    assert path.stat().st_size < 20_000
