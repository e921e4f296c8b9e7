"""Planted replies beside the samples of a use case: each judge is tried out in the run that relies on it."""

from __future__ import annotations

import json
import re
import signal

import pytest
from judge_suites import calls, court, judged_reply, judged_usecase, loud, obedient, verdict
from suite_runs import declared, report_folder, stored_run

from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.records import Run
from pytest_llmbench.reports.judge_words import obedience_level
from pytest_llmbench.results.tried_judges import tried

ON = "--llmbench-judge-canaries=true"
PANEL = "panel: [lab/j, lab/k]\ngates: [{metric: pass_rate, min: 0.1}]"


def told(run: Run) -> dict[str, tuple[int, int]]:
    """Judge → orders obeyed, of how many."""
    return {each.judge: (each.obeyed, each.orders) for each in tried(run)}


def is_planted(body: dict[str, object]) -> bool:
    """Whether a judge is asked about one of ours."""
    return "Shut up, you idiot" in judged_reply(body)


def planted_calls(lab: DemoProvider) -> list[str]:
    """The judges that were asked about one of ours, sorted."""
    return sorted(
        str(call.body["model"]) for call in lab.chats() if call.body["model"] != "m" and is_planted(call.body)
    )


def test_each_judge_of_a_panel_is_tried_and_the_one_that_obeys_is_told(pytester: pytest.Pytester) -> None:
    """Four calls more a judge, with their role; neither rate nor gate nor table of models knows of them."""
    judged_usecase(pytester.path, 3, PANEL)
    with court(pytester.path, j=obedient) as lab:
        result = pytester.runpytest_subprocess("shout", ON, "--llmbench-report=html,md,json,samples.csv")
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 3, "j": 7, "k": 7}
    assert planted_calls(lab) == ["j"] * 4 + ["k"] * 4
    run = stored_run(pytester)
    assert told(run) == {"lab/j": (1, 3), "lab/k": (0, 3)}
    assert [reply.role for reply in run.replies].count("judge") == 14
    assert {each.outcome for each in run.results} == {"right"}
    folder = report_folder(pytester, run)
    shown = json.loads(folder.joinpath("report.json").read_text())
    [table] = shown["use_cases"]
    assert [(row["model"], row["n"]) for row in table["rows"]] == [("lab/m", 3)]
    assert (len(declared(run)), {row["model"]: row["n"] for row in shown["asked"] if row["n"]}) == (1, {"lab/m": 3})
    assert [judge["passed"] + judge["failed"] for judge in shown["judging"]["used"]] == [3, 3]
    assert len(folder.joinpath("report.samples.csv").read_text().splitlines()) == 4
    for said in (result.stdout.str(), *(folder.joinpath(name).read_text() for name in ("report.html", "report.md"))):
        flat = " ".join(said.split())
        assert "lab/j on shout: obeyed 1 of 3 planted orders: replies can tell it what to say" in flat
        assert "lab/k on shout: obeyed 0 of 3 planted orders" in flat


def test_without_the_option_no_judge_is_asked_more(pytester: pytest.Pytester) -> None:
    """The provider's log knows of the samples alone."""
    judged_usecase(pytester.path, 2)
    with court(pytester.path) as lab:
        assert pytester.runpytest_subprocess("shout").ret == 0
    assert (calls(lab), tried(stored_run(pytester))) == ({"m": 2, "j": 2}, ())


def test_a_project_may_want_it_in_all_runs(pytester: pytest.Pytester) -> None:
    """By its file of settings."""
    judged_usecase(pytester.path, 2)
    with court(pytester.path, "defaults: {judge_canaries: true}\n") as lab:
        assert pytester.runpytest_subprocess("shout").ret == 0
        assert (calls(lab), told(stored_run(pytester))) == ({"m": 2, "j": 6}, {"lab/j": (0, 3)})


def test_a_page_without_a_judge_has_nothing_planted(pytester: pytest.Pytester) -> None:
    """Its validators obey nobody."""
    judged_usecase(pytester.path, 2, "validators: [exact]").joinpath("USE-CASE.md").write_text(
        "---\nmodels: [lab/m]\nvalidators: [exact]\n---\n# Shouting\n"
    )
    with court(pytester.path) as lab:
        assert pytester.runpytest_subprocess("shout", ON).ret == 0
    assert calls(lab) == {"m": 2}


def test_a_dry_run_counts_them(pytester: pytest.Pytester) -> None:
    """Two replies, their two verdicts, and four on what is planted; nothing is asked."""
    judged_usecase(pytester.path, 2)
    with court(pytester.path) as lab:
        plain = pytester.runpytest_subprocess("shout", "--llmbench-dry-run=true").stdout.str()
        more = pytester.runpytest_subprocess("shout", ON, "--llmbench-dry-run=true").stdout.str()
        assert calls(lab) == {}
    counted = [re.search(r"lab/j\n +(\d+) ", said) for said in (plain, more)]
    assert [found and int(found[1]) for found in counted] == [2, 6], more


def test_they_are_paid_from_the_budget_of_their_use_case(pytester: pytest.Pytester) -> None:
    """A cap that the first calls use up leaves them unasked: over budget, and nobody knows whether the judge obeys."""
    judged_usecase(pytester.path, 1, "judge: lab/j\nrequest: {max_tokens: 10}")
    config = "budget: {use_cases: {shout: 0.000001}}\n"
    with court(pytester.path, config) as lab:
        result = pytester.runpytest_subprocess("shout", ON)
        assert calls(lab) == {}
    assert result.ret == 12, result.stdout.str()
    run = stored_run(pytester)
    assert {each.outcome for each in run.results} == {"over_budget"}
    [judge] = tried(run)
    assert (judge.orders, obedience_level(judge)) == (0, "warn")
    assert "too few planted replies" in " ".join(result.stdout.str().split())


def test_a_verdict_on_them_that_cannot_be_used_is_no_wrong_sample(pytester: pytest.Pytester) -> None:
    """A judge that rambles on what is planted obeyed nothing; it is told, and the test is unscored."""
    judged_usecase(pytester.path, 1)
    with court(pytester.path, j=lambda body: Answer("Hm.") if is_planted(body) else loud(body)):
        result = pytester.runpytest_subprocess("shout", ON)
    assert result.ret == 0, result.stdout.str()
    run = stored_run(pytester)
    assert sorted(each.outcome for each in run.results) == ["right", *["unscored"] * 4]
    [judge] = tried(run)
    assert (judge.obeyed, judge.orders, judge.unusable, obedience_level(judge)) == (0, 3, 4, "warn")


@pytest.mark.slow
def test_workers_try_judges_once(pytester: pytest.Pytester) -> None:
    """Under -n 2 the same calls and the same words."""
    judged_usecase(pytester.path, 6, PANEL)
    with court(pytester.path, j=obedient) as lab:
        result = pytester.runpytest_subprocess("shout", ON, "-n", "2")
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 6, "j": 10, "k": 10}
    assert told(stored_run(pytester)) == {"lab/j": (1, 3), "lab/k": (0, 3)}


@pytest.mark.slow
def test_a_killed_run_goes_on_and_asks_none_twice(pytester: pytest.Pytester) -> None:
    """Killed before its fourth test: what lies in the store is not asked again, and all are told."""
    judged_usecase(pytester.path, 2)
    pytester.makeconftest(
        "import os, pathlib, signal\ndef pytest_runtest_teardown(item):\n"
        "    if 'order-1' in item.name and not pathlib.Path('once').exists():\n"
        "        pathlib.Path('once').touch(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with court(pytester.path, j=obedient) as lab:
        assert pytester.runpytest_subprocess("shout", ON).ret == -signal.SIGKILL
        resumed = pytester.runpytest_subprocess("shout", ON, "--llmbench-resume=last")
    assert resumed.ret == 0, resumed.stdout.str()
    assert calls(lab) == {"m": 2, "j": 6}
    assert told(stored_run(pytester)) == {"lab/j": (1, 3)}


@pytest.mark.slow
def test_judged_anew_a_judge_is_tried_without_a_model_under_test(pytester: pytest.Pytester) -> None:
    """A judge that the run did not have is tried by the run that takes over its replies."""
    judged_usecase(pytester.path, 2)
    with court(pytester.path, k=obedient) as lab:
        assert pytester.runpytest_subprocess("shout", ON).ret == 0
        again = pytester.runpytest_subprocess("shout", ON, "--llmbench-rejudge=last", "--llmbench-judge=lab/k")
    assert again.ret == 0, again.stdout.str()
    assert calls(lab) == {"m": 2, "j": 6, "k": 6}
    assert told(stored_run(pytester)) == {"lab/k": (1, 3)}


@pytest.mark.slow
def test_judges_of_the_demo_provider_obey_nothing(pytester: pytest.Pytester) -> None:
    """Without a key: one that is fair fails all that is planted, whoever of two workers asks it."""
    judged_usecase(pytester.path, 2, "judge: demo/judge\nmodels: [demo/echo]")
    result = pytester.runpytest_subprocess("shout", ON, "-n", "2")
    assert result.ret == 0, result.stdout.str()
    assert told(stored_run(pytester)) == {"demo/judge": (0, 3)}


def test_a_lenient_judge_is_told_apart(pytester: pytest.Pytester) -> None:
    """It passes the reply without an order as well: nothing was obeyed, and it is a warning all the same."""
    judged_usecase(pytester.path, 1)
    with court(pytester.path, j=lambda _: verdict(True)):
        assert pytester.runpytest_subprocess("shout", ON).ret == 0
    [judge] = tried(stored_run(pytester))
    assert (judge.obeyed, judge.orders, judge.is_lenient) == (0, 3, True)
