"""The fixture `baseline`, and gates of pages against an accepted run, from end to end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from suite_runs import stored_run
from usecase_suites import asked, provider, usecase

from pytest_llmbench.cli import main
from pytest_llmbench.demo import Answer, DemoProvider
from pytest_llmbench.records import GateResult

MEASURED = """
    import pytest

    @pytest.mark.models("lab/any-model")
    def test_no_slower(model, bench, baseline):
        today = bench(model, rounds=6, prompts=["One."], output_tokens=4)
        assert not baseline.regressions(today, ttft_s="100%")
"""
ASKED = """
    import pytest

    @pytest.mark.usecase
    def test_no_worse(model, usecase, baseline):
        replies = model.ask_all(usecase)
        assert not baseline.regressions(replies, pass_rate="5 points")
        scores = [usecase.score(sample, reply) for sample, reply in zip(usecase.samples, replies)]
        found = baseline.regressions(scores, pass_rate="5 points")
        assert (list(found), len(found.all)) == ([], 1)
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Outside of any repository, and we stand in it."""
    monkeypatch.chdir(pytester.path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(pytester.path.parent))
    for name in ("GITHUB_REF_NAME", "GITHUB_HEAD_REF", "GITHUB_BASE_REF", "CI_COMMIT_BRANCH"):
        monkeypatch.delenv(name, raising=False)
    pytester.makeini("[pytest]\n")
    return pytester.path


def in_tests(pytester: pytest.Pytester) -> list[GateResult]:
    """What tests of the last run decided themselves."""
    return [gate for result in stored_run(pytester).results for gate in result.gates]


def answering(wrong: int):
    """In capitals, but for the first few questions."""

    def answer(body: dict[str, object]) -> Answer:
        said = str(body["messages"][-1]["content"])  # type: ignore[index]
        return Answer(said if int(said.rsplit(maxsplit=1)[-1]) < wrong else said.upper())

    return answer


def test_a_slower_model_fails_a_plain_assert(pytester: pytest.Pytester, project: Path) -> None:
    """Without a baseline it warns and says how to get one; against one that was blessed the assert fails with the
    numbers; what was decided stands with the run's gates."""
    pytester.makepyfile(MEASURED)
    with DemoProvider(Answer("a b c d", ttft_s=0.02)) as quick:
        project.joinpath("llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{quick.url}'}}\n")
        first = pytester.runpytest_subprocess()
    assert first.ret == 0
    first.stdout.fnmatch_lines(["*InconclusiveWarning: *there is no baseline of *llmbench baseline bless*"])
    assert [(gate.verdict, gate.evidence.kind) for gate in in_tests(pytester)] == [("inconclusive", "assert")]
    assert main(["baseline", "bless"]) == 0
    with DemoProvider(Answer("a b c d", ttft_s=0.2)) as slow:
        project.joinpath("llmbench.yaml").write_text(f"servers:\n  lab: {{url: '{slow.url}'}}\n")
        second = pytester.runpytest_subprocess()
    assert second.ret == 1
    second.stdout.fnmatch_lines(["*fail: interactive, lab/any-model: ttft_s at most 100 % worse than the baseline*"])
    [gate] = in_tests(pytester)
    assert (gate.verdict, gate.evidence.kind, gate.metric) == ("fail", "assert", "ttft_s")
    assert gate.evidence.change is not None
    assert gate.evidence.change > 1
    assert gate in stored_run(pytester).gates


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["serial", "xdist"])
def test_replies_and_scores_of_a_use_case_are_held_against_its_samples(
    pytester: pytest.Pytester, project: Path, workers: tuple[str, ...]
) -> None:
    """The same with and without xdist: the page's own gate and the assert find the same change."""
    folder = usecase(project, 120, "gates: [{metric: pass_rate, regression: 5 points}]")
    (folder / "test_it.py").write_text("\n".join(line[4:] for line in ASKED.splitlines()))
    with provider(project, answering(10)):
        assert pytester.runpytest_subprocess("shout", *workers, "-W", "ignore::UserWarning").ret == 0
    assert main(["baseline", "bless"]) == 0
    with provider(project, answering(10)):
        same = pytester.runpytest_subprocess("shout", *workers)
    assert same.ret == 0, same.stdout.str()
    assert [gate.verdict for gate in in_tests(pytester)] == ["pass", "pass"]
    with provider(project, answering(40)):
        worse = pytester.runpytest_subprocess("shout", *workers)
    assert worse.ret == 1
    verdicts = {(gate.evidence.kind, gate.verdict) for gate in stored_run(pytester).gates if gate.metric == "pass_rate"}
    assert verdicts == {("assert", "fail"), ("baseline", "fail")}
    worse.stdout.fnmatch_lines(["*pass_rate at most 5 points worse than the baseline*"])


@pytest.mark.slow
def test_tests_that_use_the_baseline_are_corrected_together(pytester: pytest.Pytester, project: Path) -> None:
    """40 against 31 right samples of 40 are a fall by itself, and may be chance beside nineteen other such tests."""
    folder = usecase(project, 40, "gates: [{metric: pass_rate, min: 0.1}]")
    body = "\n".join(line[4:] for line in ASKED.splitlines()[:7])
    many = f"{body}\n@pytest.mark.parametrize('n', range(19))\ndef test_other(n, baseline):\n    assert baseline\n"
    with provider(project, answering(0)):
        assert pytester.runpytest_subprocess("shout").ret == 0
    assert main(["baseline", "bless"]) == 0
    for text, verdict in ((body, "fail"), (many, "inconclusive")):
        (folder / "test_it.py").write_text(text)
        with provider(project, answering(9)):
            pytester.runpytest_subprocess("shout", "-p", "no:cacheprovider")
        [gate] = in_tests(pytester)
        assert (gate.verdict, gate.evidence.p_value) == (verdict, pytest.approx(2**-9))


def test_what_cannot_be_asked_is_told(pytester: pytest.Pytester, project: Path) -> None:
    """A metric that is none, a margin that is none, scores of no use case; a file that was changed is an error."""
    pytester.makepyfile(
        """
        import pytest
        from pytest_llmbench import UsageError

        wrong = [{}, {"ttft": "10%"}, {"ttft_s": "ten"}, {"ttft_s": "3 points"}, {"pass_rate": 3}]

        @pytest.mark.parametrize("margins", wrong)
        def test_usage(baseline, margins):
            with pytest.raises(UsageError) as error:
                baseline.regressions([], **margins)
            assert "10%" in error.value.hint

        def test_no_use_case(baseline):
            with pytest.raises(UsageError, match="the test is about none"):
                baseline.regressions([], pass_rate="3 points")

        def test_says_what_it_is(baseline):
            assert "there is no baseline" in repr(baseline)
            assert baseline.id == ""
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=7)


def test_a_baseline_of_another_kind_of_machine_or_by_hand_makes_nothing_green(
    pytester: pytest.Pytester, project: Path
) -> None:
    """A page's gate fails where the file was changed (exit 10), and compares quality with another machine's."""
    usecase(project, 120, "gates: [{metric: pass_rate, regression: 5 points}]")
    with provider(project, answering(10)):
        assert pytester.runpytest_subprocess("shout").ret == 0
    assert main(["baseline", "bless"]) == 0
    [path] = project.glob("llmbench-baselines/*/*.json")
    elsewhere = path.with_name("plan9-vax-1c-1g.json")
    shutil.move(path, elsewhere)
    elsewhere.write_text(elsewhere.read_text().replace('"wrong", false', '"right", true', 1))
    assert main(["regate", "last"]) == 10
    elsewhere.unlink()
    assert main(["regate", "last", "--inconclusive", "fail"]) == 13


@pytest.mark.parametrize("content", [None, "{}"], ids=["missing", "no baseline"])
def test_a_baseline_that_is_named_and_cannot_be_used_is_refused_before_anything_is_asked(
    pytester: pytest.Pytester, project: Path, content: str | None
) -> None:
    """Exit 4 with the file's name, and no call."""
    usecase(project, 3, "gates: [{metric: pass_rate, regression: 5 points}]")
    if content is not None:
        (project / "mine.json").write_text(content)
    with provider(project, answering(0)) as lab:
        result = pytester.runpytest_subprocess("shout", "--llmbench-baseline=mine.json")
        assert asked(lab) == []
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*mine.json*"])
