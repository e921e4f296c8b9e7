"""Judges held against people in a session: asked as tests are, kept where wanted, relied upon in later runs."""

from __future__ import annotations

import json
import os
import signal

import pytest
from calibration_suites import calibration, copied_example, judged_shop, labels
from sklearn.metrics import accuracy_score, cohen_kappa_score, recall_score
from suite_runs import declared, gates, report_folder, stored_run

from pytest_llmbench.cli import main
from pytest_llmbench.records import JudgeCalibration, Run
from pytest_llmbench.results.held_judges import HeldJudge
from pytest_llmbench.results.judging import calibrated


def held(run: Run, name: str) -> HeldJudge:
    """What the run's one calibration says of a judge."""
    [table] = calibrated(run)
    return next(judge for judge in table.judges if judge.judge == name)


def both_said(run: Run, name: str) -> list[tuple[str, str]]:
    """People and judge, label by label."""
    found = [each.evaluation.labelled for each in run.results if each.model == name and each.evaluation]
    return [(each.human, each.judged) for each in found if each and each.kind == "reply" and each.judged]


def kept(pytester: pytest.Pytester) -> list[JudgeCalibration]:
    """The calibrations that the project keeps."""
    files = sorted(pytester.path.glob("llmbench-judges/*.json"))
    return [JudgeCalibration.from_dict(json.loads(file.read_text())) for file in files]


def test_the_numbers_are_those_of_scikit_learn(pytester: pytest.Pytester) -> None:
    """Agreement, kappa, sensitivity and specificity of the same rows; the example's bad judges advise, with why."""
    copied_example(pytester.path)
    result = pytester.runpytest_inprocess("answers.calibration.yaml", "--llmbench-report=json,html,md,csv")
    assert result.ret == 0, result.stdout.str()
    run = stored_run(pytester)
    for name in ("demo/judge", "demo/judge-lenient", "demo/judge-long", "demo/judge-silent"):
        human, judged = zip(*both_said(run, name), strict=True)
        found = held(run, name)
        assert found.n == len(human)
        assert found.agreement is not None
        assert found.agreement.value == pytest.approx(accuracy_score(human, judged))
        assert found.kappa is not None
        assert found.kappa.value == pytest.approx(cohen_kappa_score(human, judged))
        right, of = found.sensitivity
        assert right / of == pytest.approx(recall_score(human, judged, pos_label="pass"))
        right, of = found.specificity
        assert right / of == pytest.approx(recall_score(human, judged, pos_label="fail"))
    assert held(run, "demo/judge").shortfall == ""
    assert "the floor is 0.4" in held(run, "demo/judge-lenient").shortfall
    assert "lenient" in held(run, "demo/judge-lenient").sentence
    assert "favour of long replies" in held(run, "demo/judge-long").sentence
    assert "prefers the first" in held(run, "demo/judge-first").sentence
    assert held(run, "demo/judge-silent").unusable > 0
    told = report_folder(pytester, run)
    for report in ("report.json", "report.html", "report.md"):
        assert "the floor is 0.4" in (told / report).read_text(), report
    result.stdout.fnmatch_lines(
        ["judges*60 labels and 30 pairs*", "! demo/judge-lenient*", "*advises only: kappa 0.0*"]
    )
    assert kept(pytester) == [], "a plain run keeps nothing"


def test_a_calibration_decides_whether_a_gate_fails(pytester: pytest.Pytester) -> None:
    """Without one the gate warns; with one it fails; a changed rubric makes the judge advise again, and says why."""
    judged_shop(pytester.path)
    folder = pytester.path / "labels"
    calibration(folder, rows=labels())
    before = pytester.runpytest_inprocess("shop")
    assert before.ret == 0, before.stdout.str()
    [gate] = gates(pytester)
    assert (gate.verdict, "no calibration" in gate.reason) == ("fail (advisory)", True)
    assert pytester.runpytest_inprocess("labels", "--llmbench-keep-calibrations=true").ret == 0
    [record] = kept(pytester)
    assert (record.judge, record.n, record.run) == ("demo/judge", 60, stored_run(pytester).id)
    counts = pytester.runpytest_inprocess("shop")
    assert counts.ret == 10, counts.stdout.str()
    run = stored_run(pytester)
    assert [gate.verdict for gate in declared(run)] == ["fail"]
    assert run.results[0].evaluation is not None
    assert run.results[0].evaluation.scores[0].details["calibration"]["run"] == record.run
    page = pytester.path / "shop" / "answers.md"
    page.write_text(page.read_text().replace("in whatever words", "in the same words"))
    edited = pytester.runpytest_inprocess("shop")
    assert edited.ret == 0, edited.stdout.str()
    assert "of another version of the rubric" in gates(pytester)[0].reason


@pytest.mark.parametrize(
    ("judges", "why"),
    [("judges: {labels: 61}", "60 labels with a verdict: 61 are wanted"), ("judges: {kappa: 0.9}", "the floor is 0.9")],
)
def test_what_is_enough_is_the_projects_to_say(pytester: pytest.Pytester, judges: str, why: str) -> None:
    """More labels, or a higher kappa: the same judge advises, and the report says what is missing."""
    pytester.path.joinpath("llmbench.yaml").write_text(judges)
    calibration(pytester.path, rows=labels())
    assert pytester.runpytest_inprocess().ret == 0
    assert why in held(stored_run(pytester), "demo/judge").shortfall


@pytest.mark.parametrize(
    ("row", "front", "message"),
    [
        ({"reply": None}, "", "labels.jsonl:3: the column 'reply' is empty"),
        ({"human": ""}, "", "labels.jsonl:3: the column 'human' is empty"),
        (
            {"human": "good"},
            "",
            "labels.jsonl:3: 'human' is 'good': it is to be pass, fail, true, false, or a number",
        ),
        ({"human": 4}, "", "labels.jsonl:3: 'human' is the number 4, and nothing says from which on"),
        ({}, "columns: {human: vote}", "labels.jsonl:1: there is no column 'vote'"),
        (
            {},
            "columns: {humans: vote}",
            "answers.calibration.yaml:4: columns.humans: unknown key; did you mean 'human'",
        ),
        ({}, "pass_form: 3", "answers.calibration.yaml:4: pass_form: unknown key; did you mean 'pass_from'"),
        ({"id": "q01-a"}, "", "labels.jsonl:3: the id 'q01-a' stands in"),
    ],
)
def test_bad_labels_are_told_with_their_place(
    pytester: pytest.Pytester, row: dict[str, object], front: str, message: str
) -> None:
    """File and line, before any judge is asked."""
    rows = labels(4)
    rows[2] |= row
    calibration(pytester.path, front, rows=rows)
    result = pytester.runpytest_inprocess()
    assert result.ret == 2
    assert message in result.stdout.str(), result.stdout.str()
    assert not pytester.path.joinpath(".llmbench", "results.db").exists()


def test_labels_of_one_kind_are_refused_and_few_are_told_before_any_call(pytester: pytest.Pytester) -> None:
    """Of labels that are all the same nobody could tell whether a judge sees a difference."""
    calibration(pytester.path, rows=[{**row, "human": "pass"} for row in labels(4)])
    result = pytester.runpytest_inprocess()
    assert result.ret == 2
    result.stdout.fnmatch_lines(
        ["answers.calibration.yaml:3: labels: all 4 labels of labels.jsonl are 'pass': *", "*label replies that fail*"]
    )
    assert not pytester.path.joinpath(".llmbench", "results.db").exists()
    calibration(pytester.path, rows=labels(4))
    told = pytester.runpytest_inprocess("--llmbench-dry-run=true").stdout.str()
    assert "answers.calibration.yaml: 4 labels, and a judge counts from 50 on: by these it only advises" in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rubric: politeness\njudges: [demo/judge]\n", "answers.calibration.yaml:1: labels: there is nothing to hold"),
        ("judges: [demo/judge]\nlabels: labels.jsonl\n", "answers.calibration.yaml:1: rubric: is missing"),
        ("rubric: politeness\nlabels: labels.jsonl\n", "there is no judge to hold against the labels"),
        (
            "rubric: politeness\njudges: [demo/judge]\nlabels: ../labels.jsonl\n",
            "answers.calibration.yaml:3: labels: '../",
        ),
        ("rubric: factuality\njudges: [demo/judge]\nlabels: labels.jsonl\n", "jsonl:1: there is no column 'source'"),
    ],
)
def test_a_bad_calibration_file_is_told_with_its_place(pytester: pytest.Pytester, text: str, message: str) -> None:
    """What is missing in the file, or not in its folder."""
    calibration(pytester.path).write_text(text)
    result = pytester.runpytest_inprocess()
    assert result.ret == 2
    assert message in result.stdout.str(), result.stdout.str()


def test_one_label_is_too_few(pytester: pytest.Pytester) -> None:
    """Agreement of a single label says nothing: it is refused with the place."""
    calibration(pytester.path, rows=labels(1))
    result = pytester.runpytest_inprocess()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*answers.calibration.yaml:3: labels: labels.jsonl holds 1 label: 2 or more*"])


@pytest.mark.slow
def test_numbers_are_labels_with_a_limit(pytester: pytest.Pytester) -> None:
    """A scale becomes pass and fail by `pass_from`, and columns may have other names."""
    rows = [
        {"id": row["id"], "q": row["question"], "reply": row["reply"], "expected": row["expected"], "stars": stars}
        for row, stars in zip(labels(4), (5, 2, 4, 3.5), strict=True)
    ]
    calibration(pytester.path, "columns: {question: q, human: stars}\npass_from: 4\n", rows=rows)
    assert pytester.runpytest_inprocess().ret == 0
    assert [human for human, _ in both_said(stored_run(pytester), "demo/judge")] == ["pass", "fail", "pass", "fail"]


@pytest.mark.slow
def test_workers_find_the_same(pytester: pytest.Pytester) -> None:
    """-n 2 changes no verdict and keeps the same calibration."""
    calibration(pytester.path, rows=labels(20), pairs=6, judges="demo/judge, demo/judge-first")
    alone = pytester.runpytest_subprocess("--llmbench-keep-calibrations=true")
    assert alone.ret == 0, alone.stdout.str()
    first, records = stored_run(pytester), kept(pytester)
    assert pytester.runpytest_subprocess("-n", "2", "--llmbench-keep-calibrations=true").ret == 0
    second = stored_run(pytester)
    assert calibrated(second) == calibrated(first)
    assert len(kept(pytester)) == 2
    for before, after in zip(records, kept(pytester), strict=True):
        assert (before.run, after.run) == (first.id, second.id)
        assert (before.kappa, before.labels_hash, before.flips) == (after.kappa, after.labels_hash, after.flips)
    assert held(first, "demo/judge-first").flips is not None
    assert held(first, "demo/judge-first").flips.value == 1.0  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_killed_calibration_asks_nothing_twice(pytester: pytest.Pytester) -> None:
    """What was answered before the kill is in the store; the resumed run has one reply a question."""
    calibration(pytester.path, rows=labels(10), pairs=4)
    pytester.makeconftest(
        "import os, signal\ndef pytest_runtest_teardown(item):\n"
        "    if 'q03-a' in item.name and not os.environ.get('RESUMED'): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert pytester.runpytest_subprocess("--llmbench-keep-calibrations=true").ret == -signal.SIGKILL
    assert kept(pytester) == []
    pytester._monkeypatch.setitem(os.environ, "RESUMED", "1")
    resumed = pytester.runpytest_subprocess("--llmbench-resume=last", "--llmbench-keep-calibrations=true")
    assert resumed.ret == 0, resumed.stdout.str()
    run = stored_run(pytester)
    assert len(run.replies) == len({reply.request_hash for reply in run.replies}), "each question is another one"
    assert len(run.replies) >= 10 + 2 * 4
    assert [record.n for record in kept(pytester)] == [10]


@pytest.mark.slow
def test_a_broken_record_is_told_before_anything_is_asked(pytester: pytest.Pytester) -> None:
    """A file in the folder that is no calibration stops the use case that relies on it, and names itself."""
    judged_shop(pytester.path)
    folder = pytester.path / "llmbench-judges"
    folder.mkdir()
    folder.joinpath("bad.json").write_text('{"format": "llmbench judge calibration", "version": 1}')
    result = pytester.runpytest_inprocess("shop")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*bad.json is no calibration of a judge*"])


def test_a_calibration_is_no_failure_when_it_is_decided_again(pytester: pytest.Pytester) -> None:
    """That a judge errs is what was to be found out: `regate` ends as the run did."""
    calibration(pytester.path, rows=labels(), judges="demo/judge-lenient")
    assert pytester.runpytest_subprocess("answers.calibration.yaml").ret == 0
    assert any(result.outcome == "wrong" for result in stored_run(pytester).results)
    assert main(["regate", "last", "--rootdir", str(pytester.path)]) == 0
