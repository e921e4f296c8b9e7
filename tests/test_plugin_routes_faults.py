"""Routes of judges behind the demo provider, each with one of its named faults: who is asked then, and what is told."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import scipy.stats  # noqa: F401 - loads once a process; pytester forgets what a test inside was first to import
from judge_suites import RUBRIC, calls, court, judged_usecase
from suite_runs import stored_run
from usecase_suites import page

from pytest_llmbench.demo import Answer
from pytest_llmbench.demo.faults import FAULTS
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.records import Run, Score

LEAD_ON: Mapping[str, str] = {
    "server-error": "server",
    "overloaded": "overloaded",
    "bad-gateway": "server",
    "rate-limit": "rate_limited",
    "quota": "quota_exhausted",
    "auth": "auth",
    "context-length": "context_length",
    "stall": "timeout.idle",
    "truncated": "stream.truncated",
    "cut": "stream.truncated",
    "reset": "network.reset",
    "malformed": "stream.malformed",
    "error-event": "stream.error_event",
    "empty": "stream.truncated",
}
"""Fault of the first judge → as what it is told. All of them mean: another model may do it."""
CHOICES = ("--llmbench-attempts=2", "--llmbench-idle-timeout-s=0.5", "--llmbench-max-error-rate=1")


def judged_by_routes(pytester: pytest.Pytester, routes: Mapping[str, str], *arguments: str) -> Run:
    """A page a route, each with one sample, in one session.

    Args:
        pytester: where.
        routes: name → what llmbench.yaml says of it.
        arguments: of the command line, besides `CHOICES`.
    """
    for name in routes:
        files = {"data/rows.jsonl": '{"id": "s", "input": "thanks"}\n'}
        page(pytester.path / name, files, f"{RUBRIC}\njudge: route/{name}\nmodels: [demo/echo]")
    said = "".join(f"  {name}: {route}\n" for name, route in routes.items())
    pytester.path.joinpath("llmbench.yaml").write_text(f"routes:\n{said}")
    pytester.runpytest_inprocess(*routes, *CHOICES, *arguments)
    return stored_run(pytester)


def verdicts(run: Run) -> Mapping[str, Score]:
    """Use case → what its judge said, of the tests that ended with a verdict."""
    found = {result.evaluation.use_case: result.evaluation for result in run.results if result.evaluation}
    return {name: evaluation.scores[-1] for name, evaluation in found.items() if evaluation.scores}


def test_whatever_the_first_judge_has_the_next_one_judges() -> None:
    """The faults that are tried below are all that the demo provider knows, but what no route can help or waits for."""
    assert set(FAULTS) - set(LEAD_ON) == {"slow-headers", "huge", "expired"}


def test_where_a_fault_lasts_the_next_model_of_the_route_judges(pytester: pytest.Pytester) -> None:
    """One route a fault, in one session: each verdict is of the model behind, and keeps why the first gave none."""
    routes = {fault: f"{{models: [demo/judge+{fault}, demo/judge]}}" for fault in LEAD_ON}
    run = judged_by_routes(pytester, routes)
    found = verdicts(run)
    assert {name: score.details.get("judge") for name, score in found.items()} == dict.fromkeys(LEAD_ON, "demo/judge")
    tried = {name: [each["why"] for each in score.details["route"]["tried"]] for name, score in found.items()}
    assert tried == {fault: [category] for fault, category in LEAD_ON.items()}
    assert {score.state for score in found.values()} == {"scored"}


def test_two_judges_that_fail_in_a_way_that_may_be_the_question_s_fault_are_the_last(
    pytester: pytest.Pytester,
) -> None:
    """A stalled and a truncated stream; limits and refused keys say nothing of the question, and lead on."""
    routes = {
        "blamed": "{models: [demo/judge+stall, demo/judge+truncated, demo/judge]}",
        "limited": "{models: [demo/judge+rate-limit, demo/judge+auth, demo/judge]}",
    }
    run = judged_by_routes(pytester, routes)
    ended = {result.key.partition("/")[0]: result for result in run.results}
    assert (ended["blamed"].outcome, ended["blamed"].category) == ("infra_error", "stream.truncated")
    told = "route/blamed: demo/judge+stall: timeout.idle, demo/judge+truncated: stream.truncated"
    assert told in ended["blamed"].message
    assert [each["why"] for each in verdicts(run)["limited"].details["route"]["tried"]] == ["rate_limited", "auth"]


def test_where_all_judges_of_a_route_fail_it_is_an_infra_error(pytester: pytest.Pytester) -> None:
    """Never a score of 0: the sample has none, and the message names all of them."""
    run = judged_by_routes(pytester, {"gone": "{models: [demo/judge+auth, demo/judge+quota]}"})
    [test] = run.results
    assert (test.outcome, test.category) == ("infra_error", "quota_exhausted")
    assert "route/gone: demo/judge+auth: auth, demo/judge+quota: quota_exhausted" in test.message
    assert not verdicts(run)


@pytest.mark.parametrize("finish", ["stop", pytest.param("content_filter", marks=pytest.mark.slow)])
def test_a_judge_that_refuses_gives_no_verdict_and_a_stronger_one_is_asked(
    pytester: pytest.Pytester, finish: str
) -> None:
    """It is asked once more, as any judge that rambles; a route without `unsure` has no verdict then."""
    judged_usecase(pytester.path, 1, "judge: {model: route/careful, binding: true}")
    refusing = lambda _: Answer("I'm sorry, but I can't help with that.", finish_reason=finish)  # noqa: E731
    stronger = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k]}}\n"
    with court(pytester.path, stronger, j=refusing) as lab:
        result = pytester.runpytest_inprocess("shout")
    assert result.ret == ExitCode.OK, result.stdout.str()
    assert calls(lab) == {"m": 1, "j": 2, "k": 1}
    [score] = verdicts(stored_run(pytester)).values()
    assert [each["why"] for each in score.details["route"]["tried"]] == ["unusable"]
    with court(pytester.path, "routes:\n  careful: {models: [lab/j, lab/k]}\n", j=refusing) as lab:
        pytester.runpytest_inprocess("shout")
    assert calls(lab) == {"m": 1, "j": 2}
    [test] = stored_run(pytester).results
    assert (test.outcome, verdicts(stored_run(pytester))["shout"].state) == ("unscored", "unscored")
