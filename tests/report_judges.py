"""A run with judges built by hand: held against people, and at work as a panel that is not of one mind."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from report_runs import passed_run

from pytest_llmbench.records import Evaluation, Labelled, Run, Score, TestResult

WORDS = tuple(f"word{n}" for n in range(40))
GOOD, KIND = "lab/a-judge-that-agrees-with-people", "lab/a-judge-that-passes-everything"
LABELS, PAIRS, REPLIES = 60, 10, 40


def judges_run(texts: Sequence[str] = WORDS, judges: tuple[str, str] = (GOOD, KIND)) -> Run:
    """Two judges held against 60 labels and 10 pairs, and 40 replies that both judged.

    The first agrees with people on all labels but one in ten, and fails every other reply; the second passes everything
    and is silent on every tenth.

    Args:
        texts: what judges wrote, and what their rubric and criteria are called, in turn.
        judges: their names.
    """
    text = itertools.cycle(texts)
    results = [*_held(judges, next(text)), *(_judged(n, judges, text) for n in range(REPLIES))]
    return replace(passed_run(), results=tuple(results), measurements=(), replies=(), gates=())


def _held(judges: tuple[str, str], rubric: str) -> Iterator[TestResult]:
    said = Labelled("reply", rubric, "f" * 64, human="")
    for place, judge in enumerate(judges):
        for n in range(LABELS):
            human = "pass" if n % 2 else "fail"
            errs = place == 0 and n % 10 == 0
            judged = "pass" if place or (human == "pass") != errs else "fail"
            yield _label(judge, f"s{n}", replace(said, human=human, judged=judged, characters=(100 + n,)))
        for n, kind in enumerate(("control", "canary", "canary", "canary")):
            yield _label(judge, f"planted-{n}", replace(said, kind=kind, human="fail", judged="fail"))
        for n in range(PAIRS):
            places = ("first", "first") if place else ("first", "second")
            better = "tie" if place else "a"
            yield _label(judge, f"p{n}", replace(said, kind="pair", human="a", judged=better, places=places))


def _label(judge: str, sample: str, found: Labelled) -> TestResult:
    score = Score("judge", passed=found.human == found.judged, judged=True, details={"judge": judge})
    evaluation = Evaluation("judges", sample, page="j.calibration.yaml", scores=(score,), labelled=found)
    key = f"{judge}-{sample}"
    return TestResult(key, key, "right", model=judge, sample=sample, evaluation=evaluation)


def _judged(n: int, judges: tuple[str, str], text: Iterator[str]) -> TestResult:
    counts, advises = judges
    first = _verdict(counts, n % 2 == 0, text, {"calibration": {"sensitivity": (27, 30), "specificity": (27, 30)}})
    why = {"not_calibrated": "the floor is 0.4"}
    second = replace(_verdict(advises, True if n % 10 else None, text, why), advisory=True)
    panel = Score("panel", value=0.5, passed=n % 2 == 0, reason=next(text), judged=True, parts=(first, second))
    found = Evaluation("shop", f"s{n}", title="The shop", page="shop/USE-CASE.md", passed=n % 2 == 0, scores=(panel,))
    outcome = "right" if found.passed else "wrong"
    return TestResult(f"t{n}", f"t{n}", outcome, message=next(text), model="lab/m", sample=f"s{n}", evaluation=found)


def _verdict(judge: str, passed: bool | None, text: Iterator[str], more: dict[str, object]) -> Score:
    """With one criterion; None is a verdict that could not be used."""
    told = {"judge": judge, "rubric": next(text), "violations": [{"quote": next(text), "why": next(text)}], **more}
    if passed is None:
        return Score(judge, state="unscored", reason=next(text), judged=True, details=told)
    criterion = Score(next(text), value=float(passed), passed=passed, reason=next(text), judged=True)
    return Score(
        judge, "scored", float(passed), passed, reason=next(text), judged=True, details=told, parts=(criterion,)
    )
