"""The fixture `judge` in tests in Python, its mark, and `pass_rate` over what it says."""

from __future__ import annotations

import pytest
from judge_suites import calls, court, judged_usecase, verdict
from suite_runs import stored_run

import pytest_llmbench
from pytest_llmbench import Score, UsageError, pass_rate
from pytest_llmbench.demo import Answer

RUBRIC = "The reply is loud."


def test_a_mark_says_who_judges_and_by_what(pytester: pytest.Pytester) -> None:
    """A judge, a panel, a vote; the call's own sample or a plain question; the reply's role is stored."""
    pytester.makepyfile(
        f"""
        import pytest

        pytestmark = pytest.mark.models("lab/m")

        @pytest.mark.judge("lab/j", rubric="{RUBRIC}")
        def test_one(model, judge):
            score = judge(model.ask("hello"), "hello")
            assert score.passed and score.judged and score.advisory
            assert (score.name, score.details["judge"]) == ("judge", "lab/j")

        @pytest.mark.judge("lab/j", "lab/k", rubric="{RUBRIC}", vote="veto")
        def test_panel(model, judge):
            score = judge(model.ask("hello"), "hello")
            assert score.passed is False
            assert [part.name for part in score.parts] == ["lab/j", "lab/k"]
        """
    )
    with court(pytester.path, k=lambda _: verdict(False)) as lab:
        result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=2)
    assert calls(lab) == {"m": 2, "j": 2, "k": 1}
    assert [reply.role for reply in stored_run(pytester).replies].count("judge") == 3


@pytest.mark.parametrize("what", ["shout/test_rate.py", "shout"])
def test_all_judges_the_samples_of_the_use_case_in_their_order(pytester: pytest.Pytester, what: str) -> None:
    """`judge.all(model.ask_all(usecase))` needs no samples, keeps the order, and asks once for it and the page."""
    judged_usecase(pytester.path, 6)
    pytester.path.joinpath("shout", "test_rate.py").write_text(
        """
import pytest
from pytest_llmbench import UsageError, pass_rate

@pytest.mark.usecase
def test_most_are_loud(model, usecase, judge):
    scores = judge.all(model.ask_all(usecase))
    assert [score.passed for score in scores] == [True, False, True, True, True, True]
    rate = pass_rate(scores)
    assert (rate.n, rate.unscored) == (6, 0)
    assert rate.low < rate.value < rate.high

@pytest.mark.usecase
@pytest.mark.slow
def test_too_few(model, usecase, judge):
    with pytest.raises(UsageError, match="1 replies to 6 samples"):
        judge.all([model.ask("hello")])
"""
    )
    with court(pytester.path, m=_quiet) as lab:
        result = pytester.runpytest_subprocess(what)
    assert result.ret == 0, result.stdout.str()
    result.assert_outcomes(passed=2 if "rate" in what else 7)
    assert calls(lab) == {"m": 7, "j": 6}


def _quiet(body: dict[str, object]) -> Answer:
    asked = str(body["messages"][-1]["content"])  # type: ignore[index]
    return Answer(asked if "1" in asked else asked.upper())


@pytest.mark.slow
def test_a_score_of_a_use_case_holds_its_judges_word(pytester: pytest.Pytester) -> None:
    """The fixture `score` and the page's own test share one judge call."""
    judged_usecase(pytester.path, 3)
    pytester.path.joinpath("shout", "test_score.py").write_text(
        """
import pytest

@pytest.mark.usecase
@pytest.mark.slow
def test_loud(score):
    assert score.passed
    assert [part.name for part in score.parts] == ["judge"]
"""
    )
    with court(pytester.path) as lab:
        pytester.runpytest_subprocess("shout").assert_outcomes(passed=6)
    assert calls(lab) == {"m": 3, "j": 3}


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        ("", "*`judge` needs a rubric*"),
        (f"@pytest.mark.judge(rubric='{RUBRIC}')", "*`judge` needs to know who judges*"),
        (f"@pytest.mark.judge('nobody/x', rubric='{RUBRIC}')", "*nobody*"),
        ("@pytest.mark.judge('lab/j', rubrik='politeness')", "*takes no 'rubrik'*rubric*"),
        ("@pytest.mark.judge('lab/j', rubric='politness')", "*politness*politeness*"),
        ("@pytest.mark.judge('lab/j', rubric='missing.md')", "*missing.md*"),
        ("@pytest.mark.judge('lab/j', rubric='politeness', vote='all')", "*vote='all'*majority*"),
        ("@pytest.mark.judge(7)", "*names of models*7*"),
    ],
)
@pytest.mark.slow
def test_what_is_missing_is_told_before_anything_is_asked(pytester: pytest.Pytester, mark: str, told: str) -> None:
    """Without a judge or a rubric the session is refused, with the test and the way to name one."""
    pytester.makepyfile(
        f"""
        import pytest

        @pytest.mark.models("lab/m")
        {mark or "@pytest.mark.filterwarnings('error')"}
        def test_one(model, judge):
            judge(model.ask("hello"), "hello")
        """
    )
    with court(pytester.path) as lab:
        result = pytester.runpytest_subprocess()
    assert result.ret == 4, result.stdout.str()
    result.stderr.fnmatch_lines([f"*.py::test_one?lab/m?: {told}"])
    assert calls(lab) == {}


@pytest.mark.slow
def test_a_pass_rate_counts_what_passed_of_what_was_scored() -> None:
    """Unscored ones are in no share and counted; of nothing scored there is no rate."""
    scores = [Score("judge", passed=True)] * 8 + [Score("judge", passed=False)] * 2 + [Score("judge", state="unscored")]
    rate = pass_rate(scores)
    assert (rate.value, rate.n, rate.unscored) == (0.8, 10, 1)
    assert (round(rate.low, 3), round(rate.high, 3)) == (0.49, 0.943)
    assert repr(rate) == "80.0% of 10 (49.0% to 94.3%, 1 unscored)"
    with pytest.raises(UsageError, match="none of 1 scores"):
        pass_rate([Score("judge", state="unscored")])
    assert pytest_llmbench.pass_rate is pass_rate
