"""Judges in a session: asked ahead, once, at their own cost; what they say counts as far as they are trusted."""

from __future__ import annotations

from decimal import Decimal

import pytest
from judge_suites import calls, court, judged_reply, judged_usecase, loud, verdict
from suite_runs import declared, stored_run

from pytest_llmbench.demo import Answer


def quiet_of_one(body: dict[str, object]) -> Answer:
    """A model that whispers its answer to the second sample."""
    asked = str(body["messages"][-1]["content"])  # type: ignore[index]
    return Answer(asked if "1" in asked else asked.upper())


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_a_judge_scores_each_reply_and_costs_are_told_apart(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    """One judge call a reply, stored with its role; its word is in the record; -n changes nothing."""
    judged_usecase(pytester.path, 4)
    with court(pytester.path, m=quiet_of_one) as lab:
        result = pytester.runpytest_subprocess("shout", *arguments)
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 4, "j": 4}
    run = stored_run(pytester)
    assert {each.sample: each.outcome for each in run.results} == {
        "s0": "right",
        "s1": "wrong",
        "s2": "right",
        "s3": "right",
    }
    roles = [reply.role for reply in run.replies]
    assert (roles.count("subject"), roles.count("judge")) == (4, 4)
    [found] = [each.evaluation for each in run.results if each.sample == "s1"]
    assert found is not None
    [score] = found.scores
    assert (score.name, score.passed, score.judged, score.advisory) == ("judge", False, True, True)
    assert [(part.name, part.value) for part in score.parts] == [("rubric", 0.0)]
    assert score.details["judge"] == "lab/j"
    assert score.details["reply_id"] in {reply.id for reply in run.replies if reply.role == "judge"}
    assert all(Decimal(reply.cost.usd) > 0 for reply in run.replies)


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_judges_are_asked_before_the_first_test_runs(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """No test begins here before all of 20 replies have been judged; one verdict that cannot be used is asked for again
    by then."""
    judged_usecase(pytester.path, 20)
    pytester.makeconftest(
        "import pathlib, time\ndef pytest_runtest_setup(item):\n"
        "    for _ in range(600):\n"
        "        if (pathlib.Path(__file__).parent / 'judged').exists(): return\n"
        "        time.sleep(0.05)\n"
        "    raise AssertionError('nobody judges ahead')\n"
    )
    seen: list[str] = []

    def noted(body: dict[str, object]) -> Answer:
        seen.append(judged_reply(body))
        if len(seen) == 21:
            pytester.path.joinpath("judged").touch()
        return Answer("Hm.") if seen.count("SAY 7") == 1 and seen[-1] == "SAY 7" else loud(body)

    with court(pytester.path, j=noted) as lab:
        result = pytester.runpytest_subprocess("shout", *arguments)
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 20, "j": 21}


def test_with_x_no_judge_is_asked_ahead(pytester: pytest.Pytester) -> None:
    """The first failure ends the session: only its own reply was judged."""
    judged_usecase(pytester.path, 4, "judge: {model: lab/j, binding: true}")
    with court(pytester.path, j=lambda _: verdict(False)) as lab:
        result = pytester.runpytest_subprocess("shout", "-x")
    assert result.ret == 1, result.stdout.str()
    assert calls(lab)["j"] == 1


def test_a_panel_votes(pytester: pytest.Pytester) -> None:
    """Two of three say no: the reply is wrong; each member's score is a part of the panel's."""
    front = "panel: {models: [lab/j, lab/k, lab/m], binding: true}\nmodels: [lab/n]"
    judged_usecase(pytester.path, 1, front)
    no = lambda _: verdict(False)  # noqa: E731
    with court(pytester.path, j=no, k=no, m=loud) as lab:
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == 1, result.stdout.str()
    assert calls(lab) == {"n": 1, "j": 1, "k": 1, "m": 1}
    [test] = stored_run(pytester).results
    assert test.evaluation is not None
    [score] = test.evaluation.scores
    assert (score.name, score.passed, score.advisory) == ("panel", False, False)
    assert [(part.name, part.passed) for part in score.parts] == [
        ("lab/j", False),
        ("lab/k", False),
        ("lab/m", True),
    ]


def test_a_verdict_that_cannot_be_used_is_asked_for_once_more(pytester: pytest.Pytester) -> None:
    """A judge that rambles first and answers then is heard; one that rambles twice leaves the sample unscored."""
    judged_usecase(pytester.path, 2)
    asked: list[str] = []

    def rambling(body: dict[str, object]) -> Answer:
        reply, again = judged_reply(body), "EARLIER ANSWER" in str(body["messages"])
        asked.append(reply)
        return verdict(True) if again and "0" in reply else Answer("Well, it is loud.")

    with court(pytester.path, j=rambling):
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == 0, result.stdout.str()
    assert sorted(asked) == ["SAY 0", "SAY 0", "SAY 1", "SAY 1"]
    run = stored_run(pytester)
    assert {each.sample: each.outcome for each in run.results} == {"s0": "right", "s1": "unscored"}
    scores = {each.sample: each.evaluation.scores[0] for each in run.results if each.evaluation}
    assert (scores["s0"].details["retried"], scores["s1"].details["retried"]) == (True, True)
    assert (scores["s1"].state, scores["s1"].value) == ("unscored", None)
    assert "the verdict cannot be used" in scores["s1"].reason


def test_a_rubric_that_nobody_goes_by_is_an_error_before_any_call(pytester: pytest.Pytester) -> None:
    """Where nothing else scores a reply; with a judge from the command line it is none, nor beside a validator."""
    judged_usecase(pytester.path, 1, "")
    with court(pytester.path) as lab:
        refused = pytester.runpytest_inprocess("shout")
        assert refused.ret == 2
        refused.stdout.fnmatch_lines(
            [
                "shout/USE-CASE.md:3: rubric: nobody judges by it, and nothing else scores a reply",
                "*hint: name a judge in the front matter*--llmbench-judge*",
            ]
        )
        assert not lab.chats()
        assert pytester.runpytest_inprocess("shout", "--llmbench-judge=lab/j").ret == 0
        judged_usecase(pytester.path, 1, "validators: [contains]")
        assert pytester.runpytest_inprocess("shout").ret == 0
    assert calls(lab) == {"m": 2, "j": 1}


def test_verdicts_on_damaged_samples_are_told_beside_the_further_calls(pytester: pytest.Pytester) -> None:
    """They are calls of their own, and in the upper bound."""
    front = "judge: lab/j\ncorruption: [casing, typos-100]\nrequest: {max_tokens: 10}"
    judged_usecase(pytester.path, 3, front)
    with court(pytester.path) as lab:
        result = pytester.runpytest_inprocess("shout", "--llmbench-dry-run=true")
    told = "*2 kinds × 3 samples × 1 model = 6 further calls and 6 verdicts of judges, at most $*"
    result.stdout.fnmatch_lines([told])
    assert not lab.chats()


def test_a_judge_that_nobody_knows_is_told_with_its_place(pytester: pytest.Pytester) -> None:
    """File and line, or the option that named it."""
    judged_usecase(pytester.path, 1, "panel: [lab/j, labb/k]")
    with court(pytester.path):
        refused = pytester.runpytest_inprocess("shout").stdout
        refused.fnmatch_lines(["shout/USE-CASE.md:4: panel: no model is named 'labb/k'", "*did you mean*"])
        refused = pytester.runpytest_inprocess("shout", "--llmbench-judge=labb/j").stdout
        refused.fnmatch_lines(["--llmbench-judge: no model is named 'labb/j'"])


def test_a_reply_that_silences_its_judge_does_not_pass_by_its_validators(pytester: pytest.Pytester) -> None:
    """A judge that counts and gives no verdict leaves the sample unscored, with no value; one that advises does not."""
    for binding, outcome, value in (("true", "unscored", None), ("false", "right", 1.0)):
        front = f"validators: [contains]\njudge: {{model: lab/j, binding: {binding}}}"
        judged_usecase(pytester.path, 1, front)
        with court(pytester.path, j=lambda _: Answer("I had rather not say.")):
            result = pytester.runpytest_inprocess("shout")
        [test] = stored_run(pytester).results
        assert test.evaluation is not None
        told = test.outcome, test.evaluation.value, test.evaluation.trials[0].value
        assert told == (outcome, value, value), result.stdout.str()


@pytest.mark.parametrize(
    ("front", "code", "verdict_told"),
    [
        ("judge: lab/j", 0, None),
        ("judge: {model: lab/j, binding: true}", 1, None),
        ("judge: lab/j\ngates: [{metric: pass_rate, min: 0.9}]", 0, "fail (advisory)"),
        ("judge: {model: lab/j, binding: true}\ngates: [{metric: pass_rate, min: 0.9}]", 10, "fail"),
        ("judge: lab/j\nvalidators: [exact]\ngates: [{metric: pass_rate, min: 0.9}]", 10, "fail"),
    ],
)
@pytest.mark.slow
def test_only_judges_that_count_fail_anything(
    pytester: pytest.Pytester, front: str, code: int, verdict_told: str | None
) -> None:
    """Advice leaves samples wrong, and neither a test nor a gate fails by it; what validators say counts beside it."""
    judged_usecase(pytester.path, 30, front)
    with court(pytester.path, m=lambda _: Answer("whispered")):
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == code, result.stdout.str()
    run = stored_run(pytester)
    assert {each.outcome for each in run.results} == {"wrong"}
    assert [gate.verdict for gate in declared(run)] == ([verdict_told] if verdict_told else [])
    if "validators" not in front and "binding" not in front:
        assert all("lab/j only advises (no calibration)" in each.message for each in run.results)


@pytest.mark.slow
def test_the_judges_of_the_call_stand_in_place_of_those_of_the_page(pytester: pytest.Pytester) -> None:
    """`--llmbench-judge` names them, several as a panel; what the page bound to its own judges does not bind them."""
    judged_usecase(pytester.path, 2, "judge: {model: lab/j, binding: true}")
    no = lambda _: verdict(False)  # noqa: E731
    with court(pytester.path, k=no, n=no) as lab:
        result = pytester.runpytest_subprocess("shout", "--llmbench-judge", "lab/k,lab/n")
        unknown = pytester.runpytest_subprocess("shout", "--llmbench-judge", "nobody/x")
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 2, "k": 2, "n": 2}
    assert unknown.ret == 2
    unknown.stdout.fnmatch_lines(["*nobody*"])


@pytest.mark.slow
def test_a_run_that_was_killed_asks_no_judge_twice(pytester: pytest.Pytester) -> None:
    """What a judge said before the kill is taken from the store; the resumed run ends as an unbroken one would."""
    judged_usecase(pytester.path, 6, "judge: lab/j\nrepeats: 2")
    pytester.makeconftest(
        "import os, signal\ndef pytest_runtest_teardown(item):\n"
        "    if 's3' in item.name and not os.environ.get('RESUMED'): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    seen: list[tuple[str, str]] = []

    def noted(body: dict[str, object]) -> Answer:
        seen.append(("judge", judged_reply(body)))
        return loud(body)

    with court(pytester.path, j=noted) as lab:
        killed = pytester.runpytest_subprocess("shout")
        assert killed.ret == -9
        pytester.makeconftest("")
        resumed = pytester.runpytest_subprocess("shout", "--llmbench-resume", "last")
    assert resumed.ret == 0, resumed.stdout.str()
    assert calls(lab) == {"m": 12, "j": 12}
    run = stored_run(pytester)
    assert {each.outcome for each in run.results} == {"right"}
    assert len([reply for reply in run.replies if reply.role == "judge"]) == 12


@pytest.mark.slow
def test_a_dry_run_counts_the_calls_of_judges(pytester: pytest.Pytester) -> None:
    """One a trial and judge, at the judges' own price; nothing is asked."""
    judged_usecase(pytester.path, 5, "panel: [lab/j, lab/k]\nrepeats: 2")
    with court(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", "--llmbench-dry-run", "true")
    assert calls(lab) == {}
    told = [line.split() for line in result.stdout.lines if line.split()[:1] == ["10"]]
    assert len(told) == 3, result.stdout.str()
    result.stdout.fnmatch_lines(["*lab/m*", "*lab/j*", "*lab/k*"])


@pytest.mark.slow
def test_a_budget_holds_judges_too(pytester: pytest.Pytester) -> None:
    """A judge whose answer could cost more than is left is not asked, and the test is over budget."""
    judged_usecase(pytester.path, 1, "judge: lab/j\nrequest: {max_tokens: 10}")
    with court(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", "--llmbench-max-cost", "0.001")
    assert result.ret == 12, result.stdout.str()
    assert calls(lab) == {"m": 1}
    assert [each.outcome for each in stored_run(pytester).results] == ["over_budget"]
    result.stdout.fnmatch_lines(["lab/m · 1 asked, 1 without a score*"])


@pytest.mark.slow
def test_what_a_rubric_needs_and_is_not_there_is_not_asked_for(pytester: pytest.Pytester) -> None:
    """A rubric about a source, and no source: unscored, with the reason."""
    judged_usecase(pytester.path, 1).joinpath("USE-CASE.md").write_text(
        "---\nmodels: [lab/m]\nrubric: factuality\njudge: lab/j\n---\n# Shouting\n"
    )
    with court(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout")
    assert calls(lab) == {"m": 1}
    [test] = stored_run(pytester).results
    assert (test.outcome, "source" in test.message) == ("unscored", True), result.stdout.str()
