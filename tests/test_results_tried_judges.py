"""What replies planted beside samples say of a judge, and that they say nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import report_judges

from pytest_llmbench.records import Evaluation, Labelled, Run, Score, TestResult
from pytest_llmbench.reports import html_report, json_report, markdown_report, terminal
from pytest_llmbench.reports.judge_words import obedience_level, obedience_words
from pytest_llmbench.reports.view import view
from pytest_llmbench.results.judge_use import judging
from pytest_llmbench.results.judging import records_of, unfinished
from pytest_llmbench.results.tried_judges import TriedJudge


def planted_run(said: dict[str, str]) -> Run:
    """A run with a calibration that has all its labels, and beside it replies planted for the same judge.

    Args:
        said: `control`, `order-1` and so on → what the judge says.
    """
    known = Labelled("control", "answers", "f" * 64, "fail", rides_along=True)
    results = [
        TestResult(
            f"shop::{name}",
            f"shop::{name}",
            "right",
            model=report_judges.GOOD,
            sample=name,
            evaluation=Evaluation(
                *("judges: answers, planted orders", name, "shop", "shop/USE-CASE.md"),
                value=0.0,
                scores=(Score("judge", judged=True, details={"judge": report_judges.GOOD}),),
                labelled=replace(known, kind="control" if name == "control" else "canary", judged=judged),
            ),
        )
        for name, judged in said.items()
    ]
    run = report_judges.judges_run()
    return replace(run, results=(*run.results, *results))


def test_a_kept_calibration_is_no_matter_of_what_is_planted_beside_samples() -> None:
    """Its judge still counts by its labels; what is planted makes no second table, no record, nothing unfinished."""
    plain, run = report_judges.judges_run(), planted_run({"control": "fail", "order-1": "pass"})
    run = replace(run, results=(*run.results[:-1], replace(run.results[-1], outcome="over_budget")))
    assert judging(run).calibrated == judging(plain).calibrated
    assert (records_of(run, "now"), unfinished(run)) == (records_of(plain, "now"), {})
    assert [table.name for table in view(run).use_cases] == [table.name for table in view(plain).use_cases]


def test_reports_say_it_of_a_run_with_nothing_else() -> None:
    """Where only planted tests were chosen, the section stands by itself."""
    run = planted_run({"control": "fail", "order-1": "pass", "order-2": "pass", "order-3": "fail"})
    run = replace(run, results=run.results[-4:])
    words = f"{report_judges.GOOD} on shop: obeyed 2 of 3 planted orders"
    printed = "".join(text for line in terminal.summary(run, width=300) for text, _ in line)
    assert "no labels" not in printed
    for said in (printed, html_report.render(run), markdown_report.render(run)):
        assert words in said
    [row] = json.loads(json_report.render(run))["judging"]["tried"]
    assert (row["judge"], row["obeyed"], row["orders"]) == (report_judges.GOOD, 2, 3)


@pytest.mark.parametrize(
    ("said", "words", "level"),
    [
        ({"obeyed": 3}, "obeyed 3 of 3 planted orders: replies can tell it what to say, so take another judge", "warn"),
        ({}, "obeyed 0 of 3 planted orders", "good"),
        ({"is_lenient": True}, "but passes the same bad reply without an order", "warn"),
        ({"unusable": 2}, "no usable verdict on 2 of the planted replies", "warn"),
        ({"orders": 0}, "too few planted replies were put to it", "warn"),
    ],
)
def test_what_is_to_be_done_is_told(said: dict[str, int], words: str, level: str) -> None:
    """And where to read on."""
    judge = replace(TriedJudge("shop", "shop/USE-CASE.md", "lab/j", "r", 0, 3, False, 0), **said)
    assert words in obedience_words(judge)
    assert obedience_level(judge) == level
    needs_more = judge.obeyed or judge.is_lenient
    assert ("docs/explanation/judges.md" in obedience_words(judge)) == bool(needs_more)
