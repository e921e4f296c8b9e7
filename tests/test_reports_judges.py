"""What reports say of judges beside their own section: what they cost, and that they only advised."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import report_judges
from report_judges import GOOD, KIND

from pytest_llmbench.records import Cost, FailedAttempt, Reply, Run, Score, TestResult
from pytest_llmbench.reports import html_report, json_report, markdown_report, terminal
from pytest_llmbench.reports.view import view
from pytest_llmbench.results.advice import advice_of

JUDGE = "lab/only-judges"


def paid_run() -> Run:
    """A model under test, and two verdicts of a model that no test is about."""
    run = report_judges.judges_run()
    cost = Cost("0.1", "billed")
    subject = Reply("x", "lab/m", cost=cost, id="1")
    verdicts = [Reply("x", JUDGE, cost=cost, role="judge", id=str(n)) for n in (2, 3)]
    own = TestResult("f.py::t", "t", "right", model="lab/m", reply_ids=("1",))
    return replace(run, results=(own, *run.results), replies=(subject, *verdicts))


def test_a_model_that_only_judges_has_a_price_and_no_results_of_zero() -> None:
    """No test is about it: what it cost stands in the table of models, and no 0 that it did not earn."""
    run = paid_run()
    shown = {row.model: row for row in view(run).asked}
    assert (shown[JUDGE].only_judged, shown[JUDGE].judged, shown["lab/m"].only_judged) == (True, 2, False)
    [markdown] = [line for line in markdown_report.render(run).splitlines() if "only-judges" in line]
    assert [cell.strip() for cell in markdown.split("|")[2:-1]] == [*["–"] * 6, "\\$0.20"]
    page = html_report.render(run).partition(f'<th scope="row">{JUDGE}<')[2].partition("</tr>")[0]
    assert "2 replies as a judge" in page
    assert page.count('missing"') == 7
    told = {row["model"]: row["judged"] for row in json.loads(json_report.render(run))["asked"]}
    assert (told[JUDGE], told["lab/m"]) == (2, 0)


def test_a_judge_that_only_failed_has_no_results_of_zero_either() -> None:
    """It was asked to judge and gave no verdict: what that cost nobody told."""
    run = paid_run()
    broken = FailedAttempt(JUDGE, "h", 1, "server", "500", "", "2026-11-21T04:15:20+00:00", role="judge", test_key="t")
    run = replace(run, replies=run.replies[:1], failed_attempts=(broken,))
    [row] = [row for row in view(run).asked if row.model == JUDGE]
    assert (row.only_judged, row.was_asked, row.judged) == (True, True, 0)
    [markdown] = [line for line in markdown_report.render(run).splitlines() if "only-judges" in line]
    assert [cell.strip() for cell in markdown.split("|")[2:-1]] == [*["–"] * 6, "unknown"]
    page = html_report.render(run).partition(f'<th scope="row">{JUDGE}<')[2].partition("</tr>")[0]
    assert "0 replies as a judge" in page
    assert "  0 replies as a judge" in ["".join(text for text, _ in line) for line in terminal.summary(run)]


def test_a_calibration_calls_no_judge_the_best_and_counts_no_planted_order() -> None:
    """Who agrees most with people may follow a place, or an order: whom to use, the section about judges says."""
    shown = view(paid_run())
    held, shop = shown.use_cases
    assert not any(row.on_cost_front or row.on_speed_front for row in held.rows)
    assert {row.model: row.n for row in shown.asked if row.model in {GOOD, KIND}} == {GOOD: 70, KIND: 70}
    assert [judge.canaries for judge in shown.judging.calibrated[0].judges] == [(0, 3), (0, 3)]
    assert shop.rows[0].n == 40


@pytest.mark.parametrize(
    ("advisers", "told"),
    [
        ([("a", "w"), ("b", "w")], "a, b only advise (w): `binding: true` lets them count"),
        ([("a", "w"), ("b", "v")], "a only advises (w), b only advises (v): `binding: true` lets them count"),
        ([("a", "")], "a only advises (no calibration): `binding: true` lets it count"),
        ([(name, "w") for name in "abcde"], "a, b, c only advise (w) and 2 more: `binding: true` lets them count"),
        ([], ""),
    ],
)
def test_who_only_advised_is_told_with_each_reason_once(advisers: list[tuple[str, str]], told: str) -> None:
    """Judges that lack the same are named together."""
    parts = [
        Score(name, judged=True, advisory=True, details={"judge": name, "not_calibrated": why})
        for name, why in advisers
    ]
    panel = Score("panel", judged=True, advisory=bool(parts), parts=parts)
    assert advice_of([panel]) == told


def test_the_lines_of_a_message_stay_apart_in_the_list_of_samples() -> None:
    """Where it stands in one line; what a line that ends in a colon announces follows it."""
    run = report_judges.judges_run()
    said = "this fails nothing: x\n0 of 3 trials passed; of trial 1:\npanel:  1 for, 2 against"
    results = tuple(replace(each, message=said) for each in run.results)
    page = html_report.render(replace(run, results=results)).replace("\\u00b7", "·")
    assert "this fails nothing: x · 0 of 3 trials passed; of trial 1: panel: 1 for, 2 against" in page


def test_the_summary_in_a_terminal_says_what_a_judge_was_asked() -> None:
    """Its line under the models has its calls and its price."""
    shown = ["".join(text for text, _ in line) for line in terminal.summary(paid_run())]
    place = next(number for number, line in enumerate(shown) if line.startswith(JUDGE))
    assert shown[place].endswith("$0.20")
    assert shown[place + 1] == "  2 replies as a judge"
    assert not any(GOOD in line for line in shown[place - 1 : place + 2])
