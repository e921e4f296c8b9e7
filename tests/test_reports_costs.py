"""What reports say of thousands of samples and of money."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from decimal import Decimal
from pathlib import Path

import hostile_text
import pytest
import report_runs
import report_samples

from pytest_llmbench.display import display_safe
from pytest_llmbench.records import Cost, FailedAttempt, Outcome, Reply, Run, TestResult
from pytest_llmbench.records.asked import UNPRICED
from pytest_llmbench.reports import csv_report, html_report, json_report, terminal
from pytest_llmbench.reports.view import view
from pytest_llmbench.results.costs import Spent
from pytest_llmbench.results.money import money
from pytest_llmbench.store import Store

LLAMA, HAIKU, MINI = report_samples.MODELS


def a_run(*costs: Cost, model: str = "lab/m", role: str = "subject", failed: tuple[Cost, ...] = ()) -> Run:
    """A run of one test that got a reply of each of these costs."""
    replies = tuple(Reply("x", model, cost=cost, role=role, id=str(n)) for n, cost in enumerate(costs))
    attempts = tuple(
        FailedAttempt(model, "h", n, "rate_limited", "429", "", "2026-11-21T04:15:20+00:00", cost=cost, test_key="t")
        for n, cost in enumerate(failed, start=1)
    )
    result = TestResult("f.py::t", "t", str(Outcome.RIGHT), model=model, reply_ids=tuple(map(str, range(len(costs)))))
    base = report_runs.passed_run()
    return dataclasses.replace(
        base, results=(result,), measurements=(), replies=replies, gates=(), failed_attempts=attempts
    )


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (None, "unknown"),
        ("0", "$0"),
        ("1234.5", "$1,234.50"),
        ("0.42", "$0.42"),
        ("0.0034", "$0.0034"),
        ("1E-7", "$0.0000001"),
    ],
)
def test_money_is_shown_with_the_digits_that_tell_something(usd: str | None, shown: str) -> None:
    """An amount that nobody told is called unknown, never 0."""
    assert money(None if usd is None else Decimal(usd)) == shown


def test_costs_are_added_as_decimals_and_unknown_ones_are_counted() -> None:
    """Ten times ten cents is one dollar, and what nobody told is in no sum."""
    told = view(a_run(*[Cost("0.1", "billed")] * 10, Cost(), failed=(Cost(), Cost("0.05", "billed")))).costs
    assert told is not None
    assert told.subject == Spent(calls=11, usd="1", unknown=1)
    assert told.failed == Spent(calls=2, usd="0.05", unknown=1)
    assert (told.total.usd, told.total.unknown, told.total.words) == ("1.05", 2, "$1.05 + 2 unknown")


def test_subject_and_judge_are_kept_apart() -> None:
    """The judge's calls are none of the model under test's."""
    subject, judge = a_run(Cost("1", "billed")), a_run(Cost("2", "priced"), model="lab/judge", role="judge")
    both = dataclasses.replace(subject, replies=(*subject.replies, dataclasses.replace(judge.replies[0], id="j")))
    told = view(both).costs
    assert told is not None
    assert (told.subject.usd, told.judge.usd) == ("1", "2")
    rows = {row.model: row for row in view(both).asked}
    assert (rows["lab/m"].costs.total.usd, rows["lab/judge"].costs.judge.usd) == ("1", "2")
    assert (rows["lab/m"].n, rows["lab/judge"].n, rows["lab/judge"].replies) == (1, 0, 0)


def test_probes_are_paid_for_and_are_nobodys_answers() -> None:
    """What we ask to learn what a model takes is in its costs, not among its replies."""
    told = view(a_run(Cost("1", "billed"), role="probe"))
    assert told.costs is not None
    assert (told.costs.probe.usd, told.costs.subject.calls, told.costs.total.usd) == ("1", 0, "1")
    assert told.asked[0].replies == 0


def test_cached_calls_spend_nothing_and_free_ones_are_no_matter_of_money() -> None:
    """Whether the very same was asked or one alike; what they had cost is told apart, and from when they are."""
    first, alike = Cost("0.5", "cached", "2026-11-20T10:00:00"), Cost("0.25", "alike", "2026-11-21T10:00:00")
    told = view(a_run(first, alike, Cost("1", "priced")))
    assert told.costs is not None
    assert told.costs.total == Spent(calls=3, usd="1", cached=2, cached_usd="0.75")
    [sentence] = told.provenance
    assert sentence == (
        "2 of 3 replies of models under test come from the response cache, asked first from 2026-11-20 to 2026-11-21: "
        "they are no new evidence about the models, and have no times"
    )
    assert Spent(calls=2, cached=2).words == "$0 (cached)"
    assert view(a_run(Cost("0", "cached", "2026-11-20T10:00:00"))).costs is None


def test_replayed_calls_spend_nothing_and_tell_what_they_had_cost() -> None:
    told = view(a_run(Cost("0.5", "replayed"), Cost("", "replayed"))).costs
    assert told is not None
    assert told.total == Spent(calls=2, usd="0", replayed=2, replayed_usd="0.5")
    assert told.total.words == "$0 (replayed)"


def test_a_run_of_this_machines_models_speaks_of_no_money() -> None:
    """Neither unknown nor $0: nothing there has a price."""
    for run in (
        report_runs.mixed_run(),
        a_run(Cost("0", "free")),
        a_run(Cost(), model="/models/x.gguf"),
        a_run(UNPRICED),
    ):
        assert view(run).costs is None
        assert view(run).asked == ()
        assert "cost" not in "".join(text for line in terminal.summary(run) for text, _ in line)


def test_a_cost_that_is_no_number_is_unknown() -> None:
    """A database may come from anywhere."""
    told = view(a_run(Cost("<script>", "billed"), Cost("NaN", "billed"), Cost("1", "billed"))).costs
    assert told is not None
    assert (told.total.usd, told.total.unknown) == ("1", 2)


def test_what_got_no_score_is_in_no_pass_rate() -> None:
    """Infra errors, over budget and pending tests are counted by themselves."""
    row = {row.model: row for row in view(report_samples.samples_run(3_000)).asked}[LLAMA]
    assert row.n == 1_000 == row.right + row.wrong + row.unanswered
    assert min(row.infra_errors, row.over_budget) > 0
    assert row.pass_rate == row.right / (row.right + row.wrong)
    assert row.pass_rate_low is not None
    assert row.pass_rate_high is not None
    assert row.pass_rate_low < row.pass_rate < row.pass_rate_high
    assert row.replies == row.right + row.wrong


def test_over_budget_and_pending_tests_were_not_wrong() -> None:
    """They did not get a reply: the sentence of the verdict counts them apart."""
    run = report_samples.samples_run(3_000)
    told = view(run)
    counts = {each.words: each.count for each in told.outcomes}
    assert told.verdict.word == "over budget"
    assert f", {counts['over budget']} over budget, {counts['pending']} pending." in told.verdict.sentence
    assert view(dataclasses.replace(run, exit_code=14)).verdict.word == "pending"


def test_the_summary_shows_each_model_with_its_interval_and_cost() -> None:
    """At 72 columns as well."""
    run = report_samples.samples_run(3_000)
    for width in (72, 80, 100):
        lines = ["".join(text for text, _ in line) for line in terminal.summary(run, width=width)]
        assert all(len(line) <= width for line in lines)
        assert any(line.startswith(LLAMA) and line.endswith("unknown") for line in lines)
        assert any(line.startswith(HAIKU) and "$" in line for line in lines)
        assert any("unknown · of it judges $0.00041 ·" in line for line in lines)
        assert sum("%" in line for line in lines) == 3


def test_a_page_of_thousands_of_samples_stays_small_and_shows_what_failed_first() -> None:
    """Some of each outcome, the rest counted; the replies of wrong samples before those of right ones."""
    run = report_samples.samples_run(5_000)
    page = html_report.render(run)
    assert len(page) < 600_000
    wrong = sum(result.outcome == Outcome.WRONG for result in run.results)
    assert f"wrong {wrong}</button>" in page
    assert page.count('<tr data-outcome="wrong"') == page.count('<tr data-outcome="right"') == html_report.MAX_TESTS
    assert "more tests are in the JSON report" in page
    assert page.count('class="exchange"') == html_report.MAX_REPLIES
    assert page.index("Results by model") < page.index('id="tests"') < page.index('id="replies"')
    replies = page[page.index('id="replies"') :]
    assert replies.index(">wrong</span>") < replies.index('class="exchange"')
    assert ">right</span>" not in replies


def test_amounts_are_text_in_json_and_csv() -> None:
    """Exact, and an unknown one is an empty cell."""
    run = report_samples.samples_run(300)
    report = json.loads(json_report.render(run))
    assert [row["model"] for row in report["asked"]] == [LLAMA, HAIKU, MINI]
    assert report["costs"]["judge"]["usd"] == "0.00041"
    assert {type(each["costs"]["subject"]["usd"]) for each in report["test_costs"]} == {str}
    rows = {row["model"]: row for row in csv.DictReader(io.StringIO(csv_report.render(run)))}
    subject = {row["model"]: row["costs"]["subject"] for row in report["asked"]}
    assert rows[HAIKU]["cost_subject_usd"] == subject[HAIKU]["usd"]
    assert (rows[HAIKU]["cost_judge_usd"], rows[LLAMA]["cost_judge_usd"]) == ("0.00041", "")
    assert (rows[MINI]["cost_subject_usd"], rows[MINI]["calls_of_unknown_cost"]) == ("", str(subject[MINI]["calls"]))
    assert (rows[MINI]["profile"], rows[MINI]["tests"]) == ("tests", "100")


def test_hostile_names_and_costs_keep_every_report_readable() -> None:
    """The tables of samples and of money are there, and nothing of it is obeyed."""
    run = hostile_text.hostile_run()
    assert view(run).costs is not None
    assert len(view(run).asked) > 5
    page = html_report.render(run)
    assert "Results by model" in page
    assert "<script>alert" not in page
    assert all(display_safe(text, keep="") == text for line in terminal.summary(run) for text, _ in line)


def test_a_run_comes_back_from_the_store_as_it_was(tmp_path: Path) -> None:
    """Costs, roles, samples and attempts included: what reports show of it is the same."""
    run = report_samples.samples_run(120)
    with Store.open(tmp_path / "results.db") as store:
        report_samples.stored(store, run)
        read = store.load_run(run.id)
        store.finish_run(run.id, 14)
        assert store.as_ended(read) == store.load_run(run.id) != read
    assert [each.sample for each in read.results] == [each.sample for each in run.results]
    assert view(read).asked == view(run).asked
    assert view(read).costs == view(run).costs
    assert read.failed_attempts == list(run.failed_attempts)
