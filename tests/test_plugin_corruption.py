"""The same samples asked again with damaged inputs: paired, told before, and in no rate of the use case."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from suite_runs import gates, report_folder, stored_run
from usecase_suites import asked, page, provider, usecase

from pytest_llmbench.demo import Answer
from pytest_llmbench.prompts.history import History
from pytest_llmbench.records import Run

FRONT = "validators: [exact]\nrequest: {max_tokens: 20}\n"
TWO = f"{FRONT}corruption: [casing-upper, typos-100]"


def ends(run: Run) -> dict[tuple[str, str], str]:
    """(sample, corruption) → how it ended."""
    return {(one.evaluation.sample, one.evaluation.corruption): one.outcome for one in run.results if one.evaluation}


def chooser(body: dict[str, Any]) -> Answer:
    """The letter of the option that says so."""
    lines = body["messages"][-1]["content"].splitlines()
    return Answer(next(line[0] for line in lines if "right" in line))


def test_each_corruption_is_a_further_test_that_fails_nothing(pytester: pytest.Pytester) -> None:
    """Rates are those of the clean samples; reports tell each corruption beside them, pair by pair."""
    usecase(pytester.path, 3, TWO)
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", "-v", "--llmbench-report", "json,html,md,csv,samples.csv")
        sent = asked(lab)
    assert result.ret == 0, result.stdout.str()
    assert sent.count("SAY 1") == 1
    assert len(sent) == 9
    result.stdout.fnmatch_lines(
        ["*corruption: 2 kinds × 3 samples × 1 model = 6 further calls, at most $*", "*shout?lab/m-s1~typos-100? *"]
    )
    result.stdout.fnmatch_lines(["*100.0 % (43.*", "*damaged inputs *", "*typos-100 * 3 *100.0 % *0.0 % *−100.0 (*"])
    run = stored_run(pytester)
    assert Counter(ends(run).values()) == {"right": 6, "wrong": 3}
    assert all(outcome == "right" for (_, how), outcome in ends(run).items() if how != "typos-100")
    assert {one.key for one in run.results} >= {"shout/USE-CASE.md::shout[lab/m-s0~casing-upper]"}
    _see_reports(report_folder(pytester, run))


def _see_reports(folder: Path) -> None:
    [table] = json.loads((folder / "report.json").read_text())["use_cases"]
    assert (table["rows"][0]["pass_rate"]["value"], table["rows"][0]["n"], table["samples"]) == (1.0, 3, 3)
    assert table["rows"][0]["robustness"]["value"] == 0.5
    upper, typos = table["robustness"]
    assert (upper["difference"], upper["turned_wrong"], upper["n"]) == (0.0, [], 3)
    assert (typos["difference"], sorted(typos["turned_wrong"]), typos["p_value"]) == (-1.0, ["s0", "s1", "s2"], 0.25)
    assert float(typos["costs"]["subject"]["usd"]) > 0
    assert "typos-100" in (folder / "report.html").read_text()
    assert "| lab/m | typos-100 | 3 | 100.0 % | 0.0 % | −100.0 (" in (folder / "report.md").read_text()
    rows = list(csv.DictReader(io.StringIO((folder / "report.csv").read_text())))
    [row] = [one for one in rows if one["corruption"] == "typos-100"]
    assert (row["profile"], row["difference_share"], row["turned_wrong"]) == ("damaged inputs", "-1.0", "3")
    samples = list(csv.DictReader(io.StringIO((folder / "report.samples.csv").read_text())))
    assert Counter(one["corruption"] for one in samples) == {"": 3, "casing-upper": 3, "typos-100": 3}


@pytest.mark.slow
def test_processes_damage_the_same_way(pytester: pytest.Pytester) -> None:
    """Whoever collects the samples makes the same of them."""
    usecase(pytester.path, 6, f"{FRONT}corruption: [typos-100, distractors, whitespace-100]")
    with provider(pytester.path) as lab:
        alone = pytester.runpytest_subprocess("shout")
        first, before = asked(lab), ends(stored_run(pytester))
        shared = pytester.runpytest_subprocess("shout", "-n", "2")
        both, after = asked(lab), ends(stored_run(pytester))
    assert (alone.ret, shared.ret) == (0, 0), shared.stdout.str()
    assert both == sorted([*first, *first])
    assert before == after
    assert len(before) == 24
    assert "18 further calls" in shared.stderr.str() + shared.stdout.str()


def test_a_resumed_run_asks_only_what_is_left(pytester: pytest.Pytester) -> None:
    """Each damaged sample is known by its own test."""
    usecase(pytester.path, 3, TWO)
    with provider(pytester.path) as lab:
        assert pytester.runpytest_subprocess("shout", "-k", "not typos").ret == 0
        before = len(asked(lab))
        result = pytester.runpytest_subprocess("shout", "--llmbench-resume", "last")
        again = len(asked(lab)) - before
    assert result.ret == 0, result.stdout.str()
    assert (before, again) == (6, 3)
    assert len(ends(stored_run(pytester))) == 9


@pytest.mark.parametrize(
    ("metric", "code", "told"), [("pass_rate", 0, "1 gate passed"), ("robustness", 10, "gate failed")]
)
def test_gates_go_by_the_clean_samples(pytester: pytest.Pytester, metric: str, code: int, told: str) -> None:
    """But for robustness, which is the share of right samples that stay right."""
    usecase(pytester.path, 40, f"{FRONT}corruption: [typos-100]\ngates:\n  - {{metric: {metric}, min: 0.8}}")
    with provider(pytester.path):
        result = pytester.runpytest_subprocess("shout")
    assert result.ret == code, result.stdout.str()
    [gate] = gates(pytester)
    assert gate.verdict == ("fail" if code else "pass")
    assert metric in gate.gate


@pytest.mark.slow
def test_a_dry_run_counts_damaged_samples(pytester: pytest.Pytester) -> None:
    """Nothing is asked, and all of it is told."""
    usecase(pytester.path, 4, f"repeats: 2\n{TWO}")
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", "--llmbench-dry-run", "true", "--llmbench-limit", "3")
        assert asked(lab) == []
    result.stdout.fnmatch_lines(
        ["*2 kinds × 3 samples × 1 model × 2 trials = 12 further calls, at most $*", "*9 tests would run"]
    )
    result.stdout.fnmatch_lines(["lab/m", "*18 *"])


@pytest.mark.parametrize(
    ("said", "told", "where"),
    [
        (
            "typoos-10",
            "*USE-CASE.md:5: corruption?0?: there is no corruption 'typoos-10'; did you mean 'typos'?*",
            "page",
        ),
        ("typoos-10", "--llmbench-corrupt: there is no corruption 'typoos-10'; did you mean 'typos'?*", "flag"),
        ("typos-200", "*USE-CASE.md:5: *strength of 'typos-200' is 2: it must be above 0 and at most 1*", "page"),
        ("malformed-json", "*the corruption 'malformed-json' can be done to none of the 2 samples*", "flag"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_is_told_before_any_call(pytester: pytest.Pytester, said: str, told: str, where: str) -> None:
    """With the line of the page, or the flag."""
    usecase(pytester.path, 2, f"{FRONT}corruption: [{said}]" if where == "page" else FRONT)
    flags = [] if where == "page" else ["--llmbench-corrupt", said]
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout", *flags)
        assert asked(lab) == []
    assert result.ret == 2, result.stdout.str()
    result.stdout.fnmatch_lines([told])


@pytest.mark.slow
def test_the_command_line_says_which(pytester: pytest.Pytester) -> None:
    """In place of the page's; `none` asks the clean samples alone."""
    usecase(pytester.path, 2, TWO)
    with provider(pytester.path):
        assert pytester.runpytest_subprocess("shout", "--llmbench-corrupt", "distractors-2-after").ret == 0
        assert {how for _, how in ends(stored_run(pytester))} == {"", "distractors-2-after"}
        result = pytester.runpytest_subprocess("shout", "--llmbench-corrupt", "none")
    assert {how for _, how in ends(stored_run(pytester))} == {""}
    result.stdout.no_fnmatch_line("*further calls*")


@pytest.mark.slow
def test_options_in_another_order_are_scored_by_the_new_letter(pytester: pytest.Pytester) -> None:
    """A model that knows the answer stays right; a sample without options is left out, and named."""
    options = ["A) right\nB) wrong\nC) odd", "A) odd\nB) wrong\nC) right", "The right word?"]
    rows = [
        {"id": f"q{at}", "input": f"{said}\n{said[0]} is right" if at == 2 else said, "expected": letter}
        for at, (said, letter) in enumerate(zip(options, "ACT", strict=True))
    ]
    files = {"data/rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows)}
    page(pytester.path / "quiz", files, f"{FRONT}corruption: [reordered-choices]")
    with provider(pytester.path, chooser) as lab:
        result = pytester.runpytest_subprocess("quiz")
        assert len(lab.chats()) == 5
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["*quiz: reordered-choices cannot be done to 1 of 3 samples: q2*"])
    run = stored_run(pytester)
    assert Counter(ends(run).values()) == {"right": 5}
    given = {
        (one.evaluation.sample, one.evaluation.corruption): one.evaluation.expected
        for one in run.results
        if one.evaluation
    }
    assert given["q0", "reordered-choices"] in {"B", "C"}
    assert given["q0", ""] == "A"


@pytest.mark.slow
def test_only_failing_asks_a_sample_that_only_damage_broke(pytester: pytest.Pytester) -> None:
    """With its clean twin: else there would be no pair."""
    usecase(pytester.path, 3, TWO)
    with provider(pytester.path):
        pytester.runpytest_subprocess("shout", "-k", "s1 or (not typos)")
        result = pytester.runpytest_subprocess("shout", "--llmbench-only-failing", "true")
    assert result.ret == 0, result.stdout.str()
    assert set(ends(stored_run(pytester))) == {("s1", ""), ("s1", "casing-upper"), ("s1", "typos-100")}


@pytest.mark.slow
def test_examples_and_the_prompt_are_those_of_the_clean_sample(pytester: pytest.Pytester) -> None:
    """Only the sample's input differs, before the template; and no history takes damage for the prompt's."""
    front = f"{FRONT}corruption: [typos-100]\nprompt: {{template: 'Shout {{{{input}}}}!', examples: {{count: 2}}}}"
    usecase(pytester.path, 8, front)
    with provider(pytester.path) as lab:
        pytester.runpytest_subprocess("shout", "--llmbench-ids", "s1,s5")
        sent = [call.body["messages"] for call in lab.chats()]
    before = Counter(json.dumps(messages[:-1]) for messages in sent)
    assert set(before.values()) == {2}
    assert len(before) == 2
    assert all(messages[-1]["content"].startswith("Shout ") for messages in sent)
    assert [result.n for result in History(pytester.path / ".llmbench", "shout").results()] == [2]


@pytest.mark.slow
def test_own_corruptions_of_a_conftest_can_be_named(pytester: pytest.Pytester) -> None:
    """Registered in Python, named in the page."""
    usecase(pytester.path, 2, f"{FRONT}corruption: [polite-50]")
    pytester.makeconftest("""
        from pytest_llmbench.corruption import corruption

        @corruption("polite")
        def polite(text, strength, seed):
            return f"please {text} {strength}"
    """)
    with provider(pytester.path) as lab:
        result = pytester.runpytest_subprocess("shout")
        assert asked(lab) == ["please say 0 0.5", "please say 1 0.5", "say 0", "say 1"]
    assert result.ret == 0, result.stdout.str()


@pytest.mark.slow
def test_a_metamorphic_test_draws_its_damage(pytester: pytest.Pytester) -> None:
    """The example of the how-to, as it stands there."""
    guide = Path(__file__).parents[1].joinpath("docs/how-to/test-robustness.md").read_text()
    code = next(block for block in guide.split("```python\n")[1:] if "@given" in block).partition("```")[0]
    pytester.makepyfile(code)
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    assert result.ret == 0, result.stdout.str()
    assert len(stored_run(pytester).replies) == 10
