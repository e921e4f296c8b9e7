"""`stop: repeats` in a session: a sample is asked as often as its verdict takes, and the reports say how often."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import count

import pytest
from judge_suites import calls, court, judged_usecase
from suite_runs import stored_run
from usecase_suites import asked, provider, usecase

from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.records import Evaluation

FRONT = "validators: [exact]\nrepeats: 5\nreducer: {}\nstop: repeats"


def right_from(first: dict[str, int]) -> Callable[[dict[str, object]], Answer]:
    """Answers each question wrongly until it came so often."""
    seen: dict[str, count[int]] = {}

    def answer(body: dict[str, object]) -> Answer:
        said = str(body["messages"][-1]["content"])  # type: ignore[index]
        is_right = next(seen.setdefault(said, count())) >= first.get(said, 0)
        return Answer(said.upper() if is_right else "no")

    return answer


def evaluations(pytester: pytest.Pytester) -> dict[str, Evaluation]:
    return {each.sample: each.evaluation for each in stored_run(pytester).results if each.evaluation}


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_a_majority_that_is_reached_or_out_of_reach_ends_the_asking(
    pytester: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    """Three alike of five are enough; a split goes on with the fewest that may decide it."""
    usecase(pytester.path, 3, FRONT.format("majority"))
    with provider(pytester.path, right_from({"say 1": 9, "say 2": 1})) as lab:
        result = pytester.runpytest_subprocess("shout", *arguments)
    assert Counter(asked(lab)) == {"say 0": 3, "say 1": 3, "say 2": 4}, result.stdout.str()
    found = evaluations(pytester)
    assert {name: (each.passed, each.value, len(each.trials), each.stopped_of) for name, each in found.items()} == {
        "s0": (True, 1.0, 3, 5),
        "s1": (False, 0.0, 3, 5),
        "s2": (True, 1.0, 4, 5),
    }
    [note] = found["s2"].notes
    assert note.startswith("asked 4 of 5 trials")


def test_what_is_shown_says_how_often_was_asked_at_most(pytester: pytest.Pytester) -> None:
    """Above the table, as a note below it, and in the JSON report."""
    usecase(pytester.path, 3, FRONT.format("max"))
    with provider(pytester.path, right_from({"say 1": 1})) as lab:
        result = pytester.runpytest_subprocess("shout")
    assert Counter(asked(lab)) == {"say 0": 1, "say 1": 2, "say 2": 1}
    result.stdout.fnmatch_lines(["*each asked up to 5 times*", "*2 samples: asked 1 of 5 trials*"])
    [written] = pytester.path.glob(".llmbench/**/*.json")
    [row] = json.loads(written.read_text())["use_cases"][0]["rows"]
    assert (row["trials"], row["stopped"]) == (5, 3)


@pytest.mark.slow
def test_trials_that_never_agree_are_all_asked(pytester: pytest.Pytester) -> None:
    """Of `min` all have to pass: only a failure ends it early."""
    usecase(pytester.path, 1, FRONT.format("min"))
    with provider(pytester.path) as lab:
        pytester.runpytest_subprocess("shout")
    assert len(asked(lab)) == 5
    [found] = evaluations(pytester).values()
    assert (found.passed, found.stopped_of, found.notes) == (True, 0, ())


@pytest.mark.slow
def test_judges_are_asked_of_the_trials_that_are_asked(pytester: pytest.Pytester) -> None:
    """Three trials and three verdicts of five; a judge nobody has calibrated leaves nothing else to go on for."""
    judged_usecase(pytester.path, 4, "judge: lab/j\nrepeats: 5\nreducer: majority\nstop: repeats")
    with court(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == 0, result.stdout.str()
    assert calls(lab) == {"m": 12, "j": 12}


@pytest.mark.slow
def test_a_run_that_takes_its_replies_takes_those_that_there_are(pytester: pytest.Pytester) -> None:
    """Judged anew so that it is open again, a sample has no more trials than the first run asked."""
    case = usecase(pytester.path, 1, FRONT.format("max"))
    with provider(pytester.path):
        pytester.runpytest_subprocess("shout")
        page = case / "USE-CASE.md"
        page.write_text(page.read_text().replace("[exact]", "[{regex: nothing}]"))
        result = pytester.runpytest_subprocess("shout", "--llmbench-rejudge", "last")
    [found] = evaluations(pytester).values()
    assert (found.passed, len(found.trials), found.stopped_of) == (False, 1, 5), result.stdout.str()


@pytest.mark.slow
def test_a_dry_run_counts_all_trials(pytester: pytest.Pytester) -> None:
    """Nobody knows before how many are left out."""
    usecase(pytester.path, 2, FRONT.format("majority") + "\nrequest: {max_tokens: 10}")
    with provider(pytester.path):
        result = pytester.runpytest_subprocess("shout", "--llmbench-dry-run", "true")
    result.stdout.fnmatch_lines(["lab/m", "*10 *"])


@pytest.mark.slow
def test_what_is_estimated_from_all_trials_leaves_none_out(pytester: pytest.Pytester) -> None:
    """pass@k and stopping are refused together, with the reason."""
    usecase(pytester.path, 1, FRONT.format("pass@2"))
    with provider(pytester.path):
        result = pytester.runpytest_subprocess("shout")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*pass@2 is estimated from all repeats*"])


@pytest.mark.slow
def test_the_share_of_each_source_of_variance_is_told(pytester: pytest.Pytester) -> None:
    """Two samples of six are never right: all that varies is the samples."""
    usecase(pytester.path, 6, "validators: [exact]\nrepeats: 3")
    with provider(pytester.path, right_from({"say 1": 9, "say 2": 9})):
        result = pytester.runpytest_subprocess("shout", "--llmbench-report", "html,md,json")
    result.stdout.fnmatch_lines(["*of the variance of scores: sample 100 %, generation 0 %: more samples*"])
    shown = [path.read_text() for path in pytester.path.glob(".llmbench/**/*") if path.suffix in {".md", ".html"}]
    assert ["more samples help most" in text for text in shown] == [True, True]
    [written] = pytester.path.glob(".llmbench/**/*.json")
    found = json.loads(written.read_text())["use_cases"][0]["rows"][0]["variance"]
    assert (found["sample"], found["generation"], found["judge"], found["dominant"]) == (1.0, 0.0, None, "sample")


@pytest.mark.slow
def test_a_batch_holds_all_trials(pytester: pytest.Pytester) -> None:
    """What a batch brings comes hours later: there is no second one for what the first leaves open."""
    usecase(pytester.path, 2, "models: [demo/facts]\n" + FRONT.format("majority"))
    with DemoProvider() as running:
        pytester.path.joinpath("llmbench.yaml").write_text(f"providers:\n  demo: {{url: '{running.url}/v1'}}\n")
        pytester.runpytest_subprocess("shout", "--llmbench-batch", "true")
        result = pytester.runpytest_subprocess("shout", "--llmbench-resume", "last")
        assert running.chats() == []
    result.stdout.fnmatch_lines(["*batches: 10 replies collected, 0 still pending, 0 failed*"])
