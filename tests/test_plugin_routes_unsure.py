"""Judges that are routes and unsure: a stronger one is asked, and its word counts where it says one."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pytest
import scipy.stats  # noqa: F401 - loads once a process; pytester forgets what a test inside was first to import
from judge_suites import calls, court, judged_reply, judged_usecase, loud, verdict
from route_suites import BORDER, GRADED, ONCE, broken, graded, verdict_of
from suite_runs import stored_run
from usecase_suites import usecase

from pytest_llmbench.demo import Answer


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["serial", "-n 2"])
def test_a_stronger_judge_is_asked_where_the_first_one_is_unsure(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    """`lab/j` rambles about one reply, twice: `lab/k` is asked about that one alone, and its word counts."""
    judged_usecase(pytester.path, 3, "judge: {model: route/careful, binding: true}")
    rambling = lambda body: Answer("Well.") if judged_reply(body) == "SAY 2" else loud(body)  # noqa: E731
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k], when: [unusable]}}\n"
    with court(pytester.path, routes, j=rambling, k=lambda _: verdict(False)) as lab:
        result = pytester.runpytest_subprocess("shout", *arguments)
    assert result.ret == 1, result.stdout.str()
    assert calls(lab) == {"m": 3, "j": 4, "k": 1}
    found = verdict_of(pytester, "s2")
    assert (found.passed, found.details["judge"]) == (False, "lab/k")
    assert found.details["route"]["tried"] == [{"model": "lab/j", "why": "unusable", "unsure": True}]
    result.stdout.fnmatch_lines(["*1 of 3 verdicts by lab/k, since lab/j was unsure*"])


def test_a_grade_on_the_border_is_put_to_a_stronger_judge(pytester: pytest.Pytester) -> None:
    """3 passes and 2 would not: a border; 5 is none."""
    usecase(pytester.path, 2, f"{GRADED}judge: {{model: route/careful, binding: true}}")
    grades = lambda body: graded(3 if judged_reply(body) == "SAY 0" else 5)  # noqa: E731
    with court(pytester.path, BORDER, j=grades, k=lambda _: graded(1)) as lab:
        result = pytester.runpytest_inprocess("shout")
    assert result.ret == 1, result.stdout.str()
    assert calls(lab) == {"m": 2, "j": 2, "k": 1}
    assert (verdict_of(pytester, "s0").passed, verdict_of(pytester, "s1").passed) == (False, True)


def test_the_first_verdict_stands_where_the_stronger_judge_fails(pytester: pytest.Pytester) -> None:
    """A doubt is no reason to have no verdict."""
    usecase(pytester.path, 1, f"{GRADED}judge: {{model: route/careful, binding: true}}")
    with court(pytester.path, BORDER, j=lambda _: graded(3), k=broken) as lab:
        result = pytester.runpytest_inprocess("shout", ONCE)
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 1, "j": 1, "k": 1}
    found = verdict_of(pytester, "s0")
    assert (found.passed, found.details["judge"]) == (True, "lab/j")
    assert [each["why"] for each in found.details["route"]["tried"]] == ["border", "server"]


def test_a_verdict_that_cannot_be_used_stands_where_the_stronger_judge_fails(pytester: pytest.Pytester) -> None:
    """The reply is unscored, as it would be without a stronger one, and no infra error."""
    judged_usecase(pytester.path, 1, "judge: {model: route/careful, binding: true}")
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k], when: [unusable]}}\n"
    with court(pytester.path, routes, j=lambda _: Answer("Well."), k=broken) as lab:
        result = pytester.runpytest_inprocess("shout", ONCE)
    assert calls(lab) == {"m": 1, "j": 2, "k": 1}, result.stdout.str()
    [test] = stored_run(pytester).results
    found = verdict_of(pytester, "s0")
    assert (test.category, found.state, found.details["judge"]) == ("", "unscored", "lab/j")
    assert [each["why"] for each in found.details["route"]["tried"]] == ["unusable", "server"]


def test_a_panel_counts_a_route_as_one_vote_and_its_dissent_as_a_doubt(pytester: pytest.Pytester) -> None:
    """`lab/j` says no and `lab/n` yes: the route's stronger model is asked, and the panel has two votes, not three."""
    judged_usecase(pytester.path, 1, "panel: {models: [route/careful, lab/n], binding: true}\nmodels: [lab/m]")
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k], when: [disagreement]}}\n"
    with court(pytester.path, routes, j=lambda _: verdict(False), n=loud) as lab:
        result = pytester.runpytest_inprocess("shout")
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 1, "j": 1, "k": 1, "n": 1}
    found = verdict_of(pytester, "s0")
    assert [(part.name, part.details["judge"], part.passed) for part in found.parts] == [
        ("route/careful", "lab/k", True),
        ("lab/n", "lab/n", True),
    ]
    assert found.details["for"] == 2


def test_unlikely_tokens_are_a_doubt_where_a_route_asks_for_them(pytester: pytest.Pytester) -> None:
    """The first judge is asked for log-probabilities, the stronger one is not."""
    judged_usecase(pytester.path, 2, "judge: {model: route/careful, binding: true}")
    routes = "routes:\n  careful: {models: [lab/j], unsure: {to: [lab/k], when: [low_confidence], confidence: 0.7}}\n"

    def guessing(body: dict[str, object]) -> Answer:
        return replace(verdict(True), logprob=-1.0 if judged_reply(body) == "SAY 0" else -0.01)

    with court(pytester.path, routes, j=guessing, k=lambda _: verdict(False)) as lab:
        result = pytester.runpytest_inprocess("shout")
        wanted = {call.body["model"]: call.body.get("logprobs") for call in lab.chats()}
    assert calls(lab) == {"m": 2, "j": 2, "k": 1}, result.stdout.str()
    assert wanted == {"m": None, "j": True, "k": None}
    assert verdict_of(pytester, "s0").details["route"]["tried"][0]["why"] == "low_confidence"
    [told] = {reply.usage.mean_logprob for reply in stored_run(pytester).replies if reply.model == "lab/k"}
    assert told is None


class Comparison(NamedTuple):
    """What two judges say of `LOUD` shown first, and shown second; None: nothing that can be used."""

    when: str
    first: tuple[str, str]
    stronger: tuple[str, str] | None
    winner: str
    told: tuple[str, ...]
    logprob: float | None = None

    def answers(self, said: tuple[str, str] | None, body: dict[str, Any]) -> Answer:
        """One of them asked."""
        text = str(body["messages"])
        if said is None:
            return Answer("Well.")
        better = said[text.index("LOUD") > text.index("quiet")]
        return Answer(json.dumps({"reason": "One is in capitals.", "better": better}), logprob=self.logprob)


@pytest.mark.parametrize(
    "case",
    [
        Comparison("border", ("first", "first"), None, "tie", ("j was unsure (border)", "k was unsure (unusable)")),
        Comparison(
            "low_confidence", ("first", "second"), ("second", "first"), "b", ("j was unsure (low_confidence)",), -1.0
        ),
    ],
    ids=["the stronger one cannot be used", "unlikely tokens"],
)
def test_a_comparison_by_a_route_has_its_doubts_and_tells_them(pytester: pytest.Pytester, case: Comparison) -> None:
    """A tie stands where the stronger judge rambles; whoever looks on is told."""
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.judge("route/careful", rubric="The reply is loud.")
        def test_it(judge):
            assert judge.compare("LOUD", "quiet", "say").winner == {case.winner!r}
        """
    )
    routes = f"routes:\n  careful: {{models: [lab/j], unsure: {{to: [lab/k], when: [{case.when}]}}}}\n"
    said = {"j": partial(case.answers, case.first), "k": partial(case.answers, case.stronger)}
    with court(pytester.path, routes, **said):
        result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    logs = "".join(path.read_text() for path in pytester.path.glob(".llmbench/logs/*/requests*.jsonl"))
    assert logs.count("route/careful: ") == len(case.told)
    assert all(f"route/careful: lab/{each}" in logs for each in case.told)
