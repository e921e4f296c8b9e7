"""Declared tests in runs that stop, go on, cost too much, keep nothing, or only look."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from decimal import Decimal

import pytest
from suite_runs import stored_run
from usecase_suites import asked, echo, page, provider, usecase

from pytest_llmbench import clock
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.results.use_cases import tables

FIRST_REPLY_S = 60.0
"""How long a busy machine may take until the first reply is stored."""


def slow(body: dict[str, object]) -> Answer:
    return Answer(echo(body).text, ttft_s=0.03)


def test_a_killed_run_goes_on_and_asks_nothing_twice(pytester: pytest.Pytester) -> None:
    """kill -9 half-way, then --resume: what was stored is taken from there, the results are those of a whole run."""
    usecase(pytester.path, 120, "validators: [exact]\nrepeats: 2")
    with provider(pytester.path, slow) as lab:
        command = [sys.executable, "-m", "pytest", "-q", "shout", "--llmbench-max-concurrency", "4"]
        with subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL) as session:
            deadline = clock.monotonic() + FIRST_REPLY_S
            while len(asked(lab)) < 60:
                assert clock.monotonic() < deadline
                clock.sleep(0.02)
            os.kill(session.pid, signal.SIGKILL)
            session.wait()
        before = {reply.id for reply in stored_run(pytester).replies}
        seen = len(lab.chats())
        result = pytester.runpytest_subprocess("shout", "--llmbench-resume", "last")
        assert result.ret == 0, result.stdout.str()
        again = len(lab.chats()) - seen
    run = stored_run(pytester)
    assert before
    assert {reply.id for reply in run.replies} >= before
    assert len(run.replies) == 240
    assert again == 240 - len(before)
    assert Counter(result.outcome for result in run.results) == {"right": 120}
    assert all(len(result.evaluation.trials) == 2 for result in run.results if result.evaluation)


def test_a_dry_run_tells_all_trials_and_asks_nothing(pytester: pytest.Pytester) -> None:
    """Calls are samples times repeats."""
    usecase(pytester.path, 4, "repeats: 3\nrequest: {max_tokens: 10}")
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", "--llmbench-dry-run", "true")
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["dry run  nothing was asked; 4 tests would run", "lab/m", "*12 *"])
    result.stdout.no_fnmatch_line("*not counted*")
    assert asked(lab) == []
    assert not (pytester.path / ".llmbench").exists()


@pytest.mark.parametrize(("merge", "pieces", "later"), [("map-reduce", 3, 2), ("refine", 1, 4), ("concat", 3, 0)])
def test_a_dry_run_tells_of_calls_that_wait_for_answers(
    pytester: pytest.Pytester, merge: str, pieces: int, later: int
) -> None:
    """What is known is counted; what puts pieces together and later turns of stories is told as at least so many."""
    text = "\n\n".join(f"Paragraph {n} is of so many words that no other one fits beside it." for n in range(3))
    row = json.dumps({"id": "long", "input": text}) + "\n"
    chunking = f"chunking: {{size: 32, when: always, merge: {merge}, tokenizer: characters}}"
    front = f"repeats: 2\nrequest: {{max_tokens: 10}}\nprompt: '{{{{input}}}}'\n{chunking}"
    folder = page(pytester.path / "shout", {"data/rows.jsonl": row}, front)
    with provider(pytester.path) as lab:
        call = ("--llmbench-dry-run", "true", "--llmbench-max-cost", "5")
        alone = pytester.runpytest_subprocess("shout", *call)
        story = "Story: Hello\nUser: Hi\nAssistant: /HI/\nUser: So?\nAssistant: /SO/\nUser: Bye\nAssistant: /BYE/\n"
        folder.joinpath("hello.story.txt").write_text(story)
        both = pytester.runpytest_subprocess("shout", *call)
    alone.stdout.fnmatch_lines(["lab/m", f"*{2 * pieces} *"])
    counted = "answers to the calls that are counted" if later else "longest answers"
    alone.stdout.fnmatch_lines([f"budget $5.00: enough for the *{counted}"])
    if later:
        alone.stdout.fnmatch_lines([f"and at least {later} calls more (*"])
    else:
        alone.stdout.no_fnmatch_line("*and at least*")
    both.stdout.fnmatch_lines(["lab/m", f"*{2 * pieces + 1} *", f"and at least {later + 2} calls more (*"])
    assert asked(lab) == []


def test_a_cassette_answers_for_declared_tests(pytester: pytest.Pytester) -> None:
    """Recorded once, replayed without a call; the same results."""
    usecase(pytester.path, 3, "validators: [exact]\nrepeats: 2")
    with provider(pytester.path) as lab:
        assert pytester.runpytest_subprocess("shout", "--llmbench-record", "tape.jsonl").ret == 0
        seen = len(lab.chats())
        replayed = pytester.runpytest_subprocess("shout", "--llmbench-replay", "tape.jsonl")
        assert replayed.ret == 0, replayed.stdout.str()
        assert len(lab.chats()) == seen == 6


def test_a_cap_holds_for_a_demo_model_with_traits_in_its_name(pytester: pytest.Pytester) -> None:
    """Traits change how it behaves, not who answers and bills: what is reserved is five times the usual price."""
    rows = "".join(json.dumps({"id": f"s{n}", "input": f"{n} " * 400}) + "\n" for n in range(8))
    front = "request: {max_tokens: 4}\nmodels: ['demo/careful+latency_s=0+jitter_s=0']\nvalidators: [{contains: know}]"
    page(pytester.path / "shout", {"data/rows.jsonl": rows}, front)
    result = pytester.runpytest_subprocess("shout", "--llmbench-max-cost", "0.009")
    assert result.ret == 12, result.stdout.str()
    spent = sum(reply.cost.spent for reply in stored_run(pytester).replies)
    assert Decimal(0) < spent <= Decimal("0.009")


@pytest.mark.parametrize("by", ["--llmbench-max-cost", "budget"])
def test_a_budget_stops_declared_tests(pytester: pytest.Pytester, by: str) -> None:
    """The cap of the run, or that of the use case: what does not fit is over budget, with the use case's name."""
    usecase(pytester.path, 8, "request: {max_tokens: 20}")
    cap = "0.0008"
    config = "" if by != "budget" else f"budget: {{use_cases: {{shout: '{cap}'}}}}\n"
    with provider(pytester.path, config=config):
        result = pytester.runpytest_subprocess("shout", *([by, cap] if by != "budget" else []))
    assert result.ret == 12, result.stdout.str()
    counted = Counter(each.outcome for each in stored_run(pytester).results)
    assert counted["over_budget"] > 0
    assert counted["right"] > 0
    told = f"lab/m · {counted['right']} of 8 asked, {counted['over_budget']} without a score*"
    result.stdout.fnmatch_lines([told])
    over = [each for each in stored_run(pytester).results if each.outcome == "over_budget"]
    assert all(each.evaluation is not None and each.evaluation.use_case == "shout" for each in over)


@pytest.mark.parametrize("cap", ["run: 1", "models: {lab/*: 1}", "use_cases: {shout: 1}"])
def test_what_a_cap_cannot_hold_is_refused_before_anything_is_asked(pytester: pytest.Pytester, cap: str) -> None:
    """Whichever cap it is; once, with what to do, and not a failure of each sample."""
    usecase(pytester.path, 3)
    with provider(pytester.path, config=f"budget: {{{cap}}}\n") as lab:
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == 4, result.stdout.str()
    result.stderr.fnmatch_lines(["*a request to lab/m has no max_tokens*", "*hint*max_tokens obligatory*"])
    assert asked(lab) == []


@pytest.mark.parametrize("cap", ["models: {lab/n: 1}", "use_cases: {whisper: 1}"])
def test_what_no_cap_is_for_needs_no_bound(pytester: pytest.Pytester, cap: str) -> None:
    """Caps of other models and use cases make max_tokens and prices no duty of this one."""
    usecase(pytester.path, 3)
    with provider(pytester.path, config=f"budget: {{{cap}}}\n") as lab:
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == 0, result.stdout.str()
    assert len(asked(lab)) == 3


def test_without_prompts_nothing_of_them_is_stored(pytester: pytest.Pytester) -> None:
    """keep_prompts: false drops expected answers, and reasons that quote replies, from database and reports."""
    usecase(pytester.path, 2, "validators: [exact]")
    with provider(pytester.path, lambda _: Answer("a secret whisper")):
        pytester.runpytest_subprocess("shout", "--llmbench-keep-prompts", "false")
    folder = pytester.path / ".llmbench"
    held = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"whisper" not in held
    assert b"SAY 0" not in held
    found = stored_run(pytester).results[0].evaluation
    assert found is not None
    assert (found.passed, found.expected, [score.name for score in found.scores]) == (False, None, ["exact"])


def test_an_infra_error_still_tells_its_use_case(pytester: pytest.Pytester) -> None:
    """The result has a blank evaluation, so that reports count it where it belongs."""
    usecase(pytester.path, 1)
    with provider(pytester.path):
        config = pytester.path / "llmbench.yaml"
        config.write_text(config.read_text().replace("http://", "http://127.0.0.1:9/", 1))
        result = pytester.runpytest_subprocess("shout", "--llmbench-attempts", "1")
    assert result.ret == 11, result.stdout.str()
    [told] = stored_run(pytester).results
    assert told.outcome == "infra_error"
    assert told.evaluation is not None
    assert (told.evaluation.use_case, told.evaluation.passed) == ("shout", None)


def test_after_the_first_wrong_one_little_more_is_asked(pytester: pytest.Pytester) -> None:
    """-x: the look-ahead window, not the data."""
    usecase(pytester.path, 100, "validators: [exact]")
    with provider(pytester.path, lambda _: Answer("no")) as lab:
        assert pytester.runpytest_subprocess("-x", "shout").ret == 1
    assert 1 <= len(asked(lab)) <= 1 + 8


def test_a_batch_is_submitted_and_scored_when_it_has_come(pytester: pytest.Pytester) -> None:
    """All trials lie with the batch API; the run that goes on scores them and asks no chat."""
    usecase(pytester.path, 3, "validators: [contains]\nmodels: [demo/echo]\nrepeats: 2\nrequest: {max_tokens: 20}")
    with DemoProvider() as demo:
        pytester.path.joinpath("llmbench.yaml").write_text(f"providers:\n  demo: {{url: '{demo.url}/v1'}}\n")
        submitted = pytester.runpytest_subprocess("shout", "--llmbench-batch", "true")
        assert submitted.ret == 14, submitted.stdout.str()
        submitted.stdout.fnmatch_lines(["*3 pending*"])
        collected = pytester.runpytest_subprocess("shout", "--llmbench-resume", "last")
        assert demo.chats() == []
    assert collected.ret == 1, collected.stdout.str()  # `You said: say 0` is not `SAY 0`
    run = stored_run(pytester)
    assert (len(run.replies), {result.outcome for result in run.results}) == (6, {"wrong"})


def test_a_worker_that_dies_costs_the_sample_it_was_on(pytester: pytest.Pytester) -> None:
    """The other samples end as they would have, what was asked ahead is asked once; its use case's table counts it."""
    usecase(pytester.path, 12, "validators: [exact, killer]\ntags: [loud]")
    pytester.makeconftest(
        """
        import os, pathlib
        from pytest_llmbench import validator

        @validator
        def killer(reply_text, sample):
            runs = "USE-CASE.md" in os.environ["PYTEST_CURRENT_TEST"]  # else it is the lint of expected answers
            if sample.id == "s3" and runs and not pathlib.Path("died").exists():
                pathlib.Path("died").touch()
                os.kill(os.getpid(), 9)
            return True
        """
    )
    with provider(pytester.path) as lab:
        options = ("--llmbench-max-error-rate", "0.5", "--llmbench-report", "html,csv,json")
        result = pytester.runpytest_subprocess("shout", "-n", "2", *options)
    assert result.ret == 0, result.stdout.str()
    run = stored_run(pytester)
    counted = Counter(each.outcome for each in run.results)
    assert counted == {"right": 11, "infra_error": 1}
    assert len(asked(lab)) == 12
    [dead] = [each for each in run.results if each.outcome == "infra_error"]
    assert dead.evaluation is not None
    assert (dead.model, dead.sample, dead.evaluation.sample, dead.evaluation.tags) == ("lab/m", "s3", "s3", ("loud",))
    [table] = tables(run)
    [row] = table.rows
    assert (table.samples, row.n, row.outcomes) == (12, 12, {"right": 11, "infra_error": 1})
    _all_reports_count_it(pytester, result.stdout.str())


def _all_reports_count_it(pytester: pytest.Pytester, printed: str) -> None:
    """One of twelve samples of `lab/m` ended as an infra error."""
    pytest.LineMatcher(printed.splitlines()).fnmatch_lines(["lab/m · 12 asked, 1 without a score*"])
    [folder] = pytester.path.joinpath(".llmbench", "reports").iterdir()
    told = json.loads(folder.joinpath("report.json").read_text())
    assert told["use_cases"][0]["rows"][0]["outcomes"] == {"right": 11, "infra_error": 1}
    rows = list(csv.DictReader(folder.joinpath("report.csv").read_text().splitlines()))
    counted = [(row["use_case"], row["tests"], row["infra_errors"]) for row in rows if row["use_case"]]
    assert counted == [("shout", "12", "1")]
    assert '<span class="under quiet small">1 infra error</span>' in folder.joinpath("report.html").read_text()


def test_the_sample_that_was_interrupted_stays_in_its_use_cases_table(pytester: pytest.Pytester) -> None:
    """Ctrl-C while one is scored: an infra error of its model; samples that never began are not stored at all."""
    usecase(pytester.path, 6, "validators: [exact, stopper]")
    pytester.makeconftest(
        """
        import os
        from pytest_llmbench import validator

        @validator
        def stopper(reply_text, sample):
            if sample.id == "s3" and "USE-CASE.md" in os.environ.get("PYTEST_CURRENT_TEST", ""):
                raise KeyboardInterrupt
            return True
        """
    )
    with provider(pytester.path):
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == 2, result.stdout.str()
    [table] = tables(stored_run(pytester))
    [row] = table.rows
    assert (row.model, row.outcomes) == ("lab/m", {"right": 3, "infra_error": 1})


@pytest.mark.slow
def test_a_model_of_this_machine_is_asked_the_same_way(pytester: pytest.Pytester, smollm2: object) -> None:
    """A GGUF file behind our own server: asked, scored, stored; a long input is cut by the server's own tokenizer."""
    del smollm2  # fetched
    files = {
        "data/r.jsonl": json.dumps({"id": "long", "input": "word " * 900}) + "\n" + '{"id": "a", "input": "Hi."}\n'
    }
    front = (
        "models: ['smollm2-135m:Q4_1']\nvalidators: [{length: {words: {at_most: 200}}}]\nrequest: {max_tokens: 12}\n"
    )
    page(pytester.path / "local", files, f"{front}chunking: {{merge: concat, by: tokens}}")
    result = pytester.runpytest_subprocess("local", "-W", "ignore", "--llmbench-context", "512")
    assert result.ret == 0, result.stdout.str()
    told = {each.sample: each for each in stored_run(pytester).results}
    assert {each.outcome for each in told.values()} == {"right"}
    assert len(told["a"].reply_ids) == 1 < len(told["long"].reply_ids)
    assert told["long"].evaluation is not None
    assert "'long' has 968 tokens" in told["long"].evaluation.notes[0]  # as its server counts: no estimate
