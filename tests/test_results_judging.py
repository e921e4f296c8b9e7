"""What stored calibrations come to: the numbers of others on the same rows, planted leans, and when a judge counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import krippendorff
import pytest
from report_runs import passed_run
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

from pytest_llmbench.judges.rubric import Criterion, Rubric
from pytest_llmbench.judges.standing import standing
from pytest_llmbench.records import Evaluation, JudgeCalibration, Labelled, Run, Score, TestResult
from pytest_llmbench.reports.judge_words import (
    held_cells,
    judge_remarks,
    panel_words,
    silence_words,
    together_words,
    used_cells,
)
from pytest_llmbench.reports.terminal_judges import judge_lines
from pytest_llmbench.reports.view import view
from pytest_llmbench.results.judge_use import judging
from pytest_llmbench.results.judging import calibrated, records_of, unfinished

RUBRIC = Rubric("answers", (Criterion("right", "It is right.", "yes-no"),))
ASKED_AS = "1" * 64
KEPT = JudgeCalibration(
    rubric="answers",
    rubric_hash=RUBRIC.hash,
    judge="lab/j",
    n=60,
    run="run",
    at="2026-01-01T00:00:00+00:00",
    request_hash=ASKED_AS,
    kappa=(0.7, 0.5, 0.9),
)


class Case(NamedTuple):
    """A reply: whether people passed it, whether it is long, whether a relative of the judge wrote it."""

    human: bool
    long: bool
    kin: bool


def labelled(judge: str, sample: int, human: str, judged: str, **more: object) -> TestResult:
    """The test of one label."""
    found = Labelled("reply", "answers", RUBRIC.hash, human, judged, characters=(100,))
    return _result(judge, f"s{sample}", replace(found, **more))  # type: ignore[arg-type]


def _result(judge: str, sample: str, found: Labelled) -> TestResult:
    passed = found.human == found.judged if found.judged else None
    outcome = {True: "right", False: "wrong", None: "unscored"}[passed]
    said = Score("judge", passed=None, judged=True, details={"judge": judge})
    evaluation = Evaluation("judges: answers", sample, passed=passed, scores=(said,), labelled=found)
    return TestResult(
        f"{judge}-{sample}", f"{judge}-{sample}", outcome, model=judge, sample=sample, evaluation=evaluation
    )


def run_of(*results: TestResult) -> Run:
    """A run of these results."""
    return replace(passed_run(), results=results)


def verdicts(bits: str) -> list[str]:
    """`1` is a pass."""
    return ["pass" if bit == "1" else "fail" for bit in bits]


def test_several_judges_agree_as_krippendorff_and_scikit_learn_say() -> None:
    """Alpha over all judges, silent ones left out, kappa of each two, and Fleiss' where all said something of all."""
    human = verdicts("1100110010101100")
    said = {"a": "1100110011101000", "b": "1000110010111100", "c": "1111110000101110"}
    results = [
        labelled(judge, place, people, one)
        for judge, bits in said.items()
        for place, (people, one) in enumerate(zip(human, verdicts(bits), strict=True))
    ]
    results[0] = labelled("a", 0, human[0], "")
    [table] = calibrated(run_of(*results))
    together = table.together
    assert together is not None
    assert together.alpha is not None
    ratings = [[float(bit) for bit in bits] for bits in said.values()]
    ratings[0][0] = float("nan")
    assert together.alpha.value == pytest.approx(krippendorff.alpha(ratings, level_of_measurement="nominal"))
    found = {(pair.one, pair.other): pair.kappa for pair in together.pairs}
    assert together.fleiss is None, "one said nothing of a reply"
    assert found["b", "c"] is not None
    assert found["b", "c"].value == pytest.approx(cohen_kappa_score(list(said["b"]), list(said["c"])))
    [whole] = calibrated(run_of(*results[1:16], *results[17:32], *results[33:]))
    theirs = inter_rater.fleiss_kappa(
        [[bits.count("1"), bits.count("0")] for bits in list(zip(*said.values(), strict=True))[1:]]
    )
    assert whole.together is not None
    assert whole.together.fleiss is not None
    assert whole.together.fleiss.value == pytest.approx(theirs)
    assert any(line.startswith("Fleiss' kappa of all of them") for line in together_words(whole.together))
    [first] = [judge for judge in table.judges if judge.judge == "a"]
    assert (first.n, first.unusable) == (15, 1)


@pytest.mark.parametrize(
    ("passes", "words"),
    [
        (lambda _: True, "it is lenient: it passes 100 % of what people fail"),
        (lambda _: False, "it is strict: it fails 100 % of what people pass"),
        (lambda case: case.long, "it errs in favour of long replies"),
        (lambda case: not case.long, "it errs in favour of short replies"),
        (lambda case: case.kin or case.human, "it is kinder to models of its own family"),
    ],
)
def test_a_planted_lean_is_told(passes: Callable[[Case], bool], words: str) -> None:
    """Lenience, strictness, length and family each have their words; a judge that is always right has none of them."""
    cases = [Case(*each) for each in product((True, False), repeat=3) for _ in range(8)]
    results = [
        labelled(
            "lab/llama-3-70b",
            place,
            "pass" if case.human else "fail",
            "pass" if passes(case) else "fail",
            characters=(400 + place if case.long else 40 + place,),
            model="lab/llama-3-8b" if case.kin else "lab/qwen3",
        )
        for place, case in enumerate(cases)
    ]
    [table] = calibrated(run_of(*results))
    assert words in table.judges[0].sentence
    right = [
        replace(
            each,
            evaluation=replace(
                each.evaluation, labelled=replace(each.evaluation.labelled, judged=each.evaluation.labelled.human)
            ),
        )
        for each in results
        if each.evaluation and each.evaluation.labelled
    ]
    assert calibrated(run_of(*right))[0].judges[0].sentence == (
        "counts: it agrees with people beyond chance (kappa 1.00)"
    )


def test_pairs_tell_place_and_flips() -> None:
    """A judge that names the first in both orders flips always, and is told to be kept from comparing."""
    pairs = [
        _result("a", f"p{n}", Labelled("pair", "answers", RUBRIC.hash, "a", "tie", "", (10, 20), ("first", "first")))
        for n in range(10)
    ]
    [table] = calibrated(run_of(*pairs))
    [judge] = table.judges
    assert judge.position is not None
    assert (judge.position.value, judge.position.n) == (1.0, 20)
    assert judge.flips is not None
    assert judge.flips.value == 1.0
    assert judge.shortfall == "no labels of single replies, only pairs"
    assert "prefers the first, so do not let it compare" in judge.sentence
    assert held_cells(judge).position.startswith("100.0 %")
    assert records_of(run_of(*pairs), "now") == [], "pairs alone calibrate no judge of single replies"


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ([], "no calibration"),
        ([replace(KEPT, judge="lab/other")], "no calibration"),
        ([replace(KEPT, rubric_hash="0" * 64)], "its calibration is of another version of the rubric 'answers'"),
        ([replace(KEPT, rubric_hash="0" * 64, rubric="other")], "no calibration"),
        (
            [replace(KEPT, request_hash="2" * 64)],
            "its calibration is of another way of asking (the request's settings, or our words to judges)",
        ),
        ([replace(KEPT, canaries=(1, 3))], "fooled by 1 of 3 planted orders"),
        ([replace(KEPT, n=49)], "49 labels with a verdict: 50 are wanted"),
        ([replace(KEPT, kappa=(0.21, 0.05, 0.37))], "kappa 0.21 (0.05 to 0.37): the floor is 0.4"),
        ([replace(KEPT, kappa=None)], "kappa is not defined: people and the judge always said the same"),
        ([replace(KEPT, kappa=(0.9, None, None))], "kappa 0.90, and nothing bounds it"),
        ([replace(KEPT, n=3, at="2020"), KEPT], ""),
        ([KEPT], ""),
    ],
)
def test_a_judge_counts_only_by_its_own_sufficient_calibration(kept: list[JudgeCalibration], why: str) -> None:
    """Of this judge, by this very rubric, with labels and agreement enough; else it is told what is missing."""
    assert standing(kept, RUBRIC, "lab/j", ASKED_AS).why == why


def every_second(n: int) -> bool | None:
    """Half of all replies."""
    return n % 2 == 0


def used_run(
    sensitivity: object = (27, 30),
    specificity: object = (27, 30),
    passes: Callable[[int], bool | None] = every_second,
) -> Run:
    """Forty replies judged by a panel of two: one that counts and passes half, one that only advises and passes all."""
    known = {"sensitivity": sensitivity, "specificity": specificity}
    results = []
    for n in range(40):
        parts = (
            Score("lab/j", passed=passes(n), judged=True, details={"judge": "lab/j", "calibration": known}),
            Score(
                "lab/k",
                passed=True,
                judged=True,
                advisory=True,
                details={"judge": "lab/k", "not_calibrated": "no calibration", "retried": n == 0},
            ),
        )
        panel = Score("panel", passed=n % 2 == 0, judged=True, advisory=True, parts=parts)
        found = Evaluation("shop", f"s{n}", passed=n % 2 == 0, scores=(panel,))
        results.append(TestResult(f"t{n}", f"t{n}", "right", model="lab/m", sample=f"s{n}", evaluation=found))
    return run_of(*results)


def test_judges_at_work_are_told_with_what_stands_behind_their_rate() -> None:
    """Counts, standing and why, the corrected rate by Rogan and Gladen, and how often a panel was divided."""
    found = judging(used_run())
    first, second = found.used
    assert (first.standing, first.passed, first.failed) == ("calibrated", 20, 20)
    assert first.corrected is not None
    assert first.corrected.value == pytest.approx((0.5 + 0.9 - 1) / (0.9 + 0.9 - 1))
    assert (second.standing, second.why, second.retried, second.corrected) == ("advisory", "no calibration", 1, None)
    assert used_cells(second).standing == "advises"
    [panel] = found.panels
    assert panel.split is not None
    assert (panel.n, panel.split.value) == (40, 0.5)
    assert "divided on 50.0 %" in " ".join(panel_words(panel))


@pytest.mark.parametrize("counted", [None, "27/30", (31, 30), (1.5, 30), (True, 30), (1,)])
def test_a_stored_calibration_that_is_none_corrects_nothing(counted: object) -> None:
    """A database may hold anything; what cannot be counted is left out."""
    assert judging(used_run(sensitivity=counted)).used[0].corrected is None


def test_a_rate_that_no_replies_could_have_is_not_corrected_and_said_so() -> None:
    """A judge that fails all, and passed 100 of 300 bad labels: nothing is made of that, not even 0 %."""
    [_, lenient] = judging(used_run()).used
    never = judging(used_run(passes=lambda _: False, specificity=(200, 300))).used[0]
    assert (never.corrected, never.is_unlike, used_cells(never).corrected) == (None, True, "unlike its labels")
    assert (lenient.is_unlike, used_cells(lenient).corrected) == (False, "–")


def test_a_silent_judge_is_told_with_how_often() -> None:
    """Model by model, in the terminal too; one that always gave a verdict is not."""
    first, second = judging(used_run(passes=lambda n: None if n < 3 else True)).used
    assert silence_words(first) == "shop, lab/m: lab/j gave no usable verdict on 3 of 40 replies, and was asked again"
    assert silence_words(second) == ""
    told = ["".join(text for text, _ in line) for line in judge_lines(judging(used_run(passes=lambda _: None)), 80)]
    assert any("no usable verdict on 40 of 40" in line for line in told), told


def test_a_calibration_that_was_broken_off_is_not_kept() -> None:
    """It would take the place of a whole one; a judge that was asked about all is kept beside it."""
    results = [labelled(judge, n, "pass", "pass" if n else "fail") for judge in ("lab/j", "lab/k") for n in range(6)]
    results[3] = replace(results[3], outcome="over_budget")
    assert unfinished(run_of(*results)) == {"lab/j": (5, 6)}
    assert [(kept.judge, kept.n) for kept in records_of(run_of(*results), "now")] == [("lab/k", 6)]


def test_what_is_planted_to_try_a_judge_counts_in_no_rate_of_it() -> None:
    """Of ten tests four are no labels of people: the model's row is of the six."""
    planted = [labelled("lab/j", 10 + n, "fail", "fail", kind="canary" if n else "control") for n in range(4)]
    labels = [labelled("lab/j", n, "pass", "pass" if n else "fail") for n in range(6)]
    [row] = view(run_of(*labels, *planted)).asked
    assert (row.n, row.right, row.wrong) == (6, 5, 1)


def test_a_single_judge_of_its_own_family_is_told() -> None:
    """As members of a panel are; one that is no relative is not."""
    told = []
    for name in ("lab/gpt-5", "lab/m", "lab/claude-x"):
        said = (Score("judge", passed=True, judged=True, details={"judge": name}),)
        found = Evaluation("shop", "s1", passed=True, scores=said)
        subject = "lab/gpt-4o" if "gpt" in name else "lab/m"
        result = TestResult("t", "t", "right", model=subject, sample="s1", evaluation=found)
        told.append(list(judge_remarks(judging(run_of(result)))))
    assert told == [
        ["the judge lab/gpt-5 is of the same family (gpt) as lab/gpt-4o, which it judges: judges favour their own"],
        ["lab/m judges its own replies: judges favour their own"],
        [],
    ]


def test_a_run_without_judges_tells_of_none() -> None:
    """Then there is nothing in any report."""
    assert judging(passed_run()).is_empty
