"""Trends in a run's own report: the last comparable runs as charts, with their changes and this run."""

from __future__ import annotations

import dataclasses
import random
import re
from itertools import cycle
from pathlib import Path
from typing import Any

import hostile_text
import pytest
import report_runs
import report_use_cases
from browsers import Visit
from past_runs import a_header, a_summary, stored, when

from pytest_llmbench.records import Host, Run
from pytest_llmbench.reports import html_report
from pytest_llmbench.reports.trend_charts import trend_charts
from pytest_llmbench.reports.view import RunView, view
from pytest_llmbench.results.history import History
from pytest_llmbench.results.summaries import summaries
from pytest_llmbench.results.trends import MOST_RUNS, trends
from pytest_llmbench.store import Store

NAMES = ("ttft_s", "decode_tps")


def told(store: Store, levels: list[float], host: Host = report_runs.HOST, **changed: Any) -> tuple[History, ...]:
    """The trends of the last of so many runs, whose time to the first token is given."""
    several = [a_summary({"ttft_s": level, "decode_tps": 40.0}, **changed) for level in levels]
    for number, summary in enumerate(several):
        stored(store, a_header(number, host=host), [summary])
    run = dataclasses.replace(a_header(len(levels) - 1), started_at=when(len(levels) - 1))
    return trends(store, run, [several[-1]])


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(tmp_path / "results.db") as opened:
        yield opened


@pytest.mark.parametrize(("runs", "shown"), [(1, 0), (2, 0), (3, 2), (80, 2)])
def test_trends_are_shown_from_three_runs_on(store: Store, runs: int, shown: int) -> None:
    """A chart for each metric, of at most fifty runs, this one the last."""
    found = told(store, [0.1] * runs)
    assert [each.metric for each in found] == list(NAMES)[:shown]
    for each in found:
        assert len(each.points) == min(runs, MOST_RUNS)
        assert each.points[-1].run_id == f"run-{runs - 1:03}"


def test_later_runs_and_runs_that_measured_otherwise_are_not_in_a_trend(store: Store) -> None:
    """The report of an old run, written anew, shows what was known then."""
    told(store, [0.1] * 6)
    other = a_summary({"ttft_s": 0.5}, key="other", settings={"threads": "4"})
    stored(store, a_header(9), [other])
    run = dataclasses.replace(a_header(3), id="run-003")
    [first, _] = trends(store, run, [a_summary({"ttft_s": 0.1, "decode_tps": 40.0})])
    assert [point.run_id for point in first.points] == [f"run-{number:03}" for number in range(4)]


def test_runs_of_other_machines_are_not_in_a_trend_of_speed(store: Store) -> None:
    """Nor is anything shown where too few are left."""
    other = dataclasses.replace(report_runs.HOST, cpu_model="Another")
    told(store, [0.1] * 5, other)
    stored(store, a_header(7), [a_summary({"ttft_s": 0.1})])
    assert trends(store, a_header(7), [a_summary({"ttft_s": 0.1})]) == ()


def test_what_is_always_zero_is_no_chart(store: Store) -> None:
    """The price of a model on this machine."""
    asked = a_summary({"pass_rate": 0.9, "cost_usd": 0.0}, kind="use_case", name="triage")
    for number in range(4):
        stored(store, a_header(number), [asked])
    assert [each.metric for each in trends(store, a_header(3), [asked])] == ["pass_rate"]


def test_a_run_that_is_gone_on_with_is_in_no_trend_until_it_ends(store: Store) -> None:
    """Its numbers are about to change."""
    told(store, [0.1] * 4)
    store.reopen_run("run-001")
    assert [point.run_id for point in trends(store, a_header(3), [a_summary({"ttft_s": 0.1})])[0].points] == [
        "run-000",
        "run-002",
        "run-003",
    ]


def shown_with(store: Store, run: Run, runs: int = 16) -> RunView:
    """The view of a run that has a past, slower since its middle."""
    chance = random.Random(5)
    told_now = summaries(run)
    for number in range(runs):
        factor = (1.0 if number < runs // 2 else 1.4) * chance.lognormvariate(0, 0.02)
        several = [
            dataclasses.replace(
                summary,
                figures=tuple(
                    dataclasses.replace(
                        each,
                        value=each.value * factor,
                        low=each.low and each.low * factor,
                        high=each.high and each.high * factor,
                    )
                    for each in summary.figures
                ),
            )
            for summary in told_now
        ]
        stored(store, a_header(number), several)
    now = dataclasses.replace(run, id=f"run-{runs - 1:03}", started_at=when(runs - 1))
    return dataclasses.replace(view(now), trends=trends(store, now, told_now))


def test_a_report_says_what_its_charts_show(store: Store) -> None:
    """Each run's value in a table, each change in words with the commits it lies between."""
    shown = shown_with(store, report_runs.passed_run())
    page = html_report.render(report_runs.passed_run(), shown)
    section = page[page.index('id="trends"') : page.index('id="models"')]
    assert section.count('data-chart="trend/') == len(shown.trends) == 4
    assert section.count("this run") >= 4
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", section))
    assert f"after {7:040x}"[:18] in words
    assert "worse since run run-008" in words
    assert "better since run run-008" in words  # of the speeds


def test_a_report_without_a_past_has_no_trends() -> None:
    """Nothing is promised."""
    assert 'id="trends"' not in html_report.render(report_runs.passed_run())


def test_a_chart_has_a_point_a_run_and_marks_this_one(store: Store) -> None:
    """In the unit that reads best; the levels between changes are drawn."""
    [first, *_] = told(store, [*[0.1] * 8, *[0.2] * 8])
    spec = trend_charts([first], "run-015")["trend/0"]
    assert [row["value"] for row in spec["data"]["values"]] == [100.0] * 8 + [200.0] * 8
    assert [row["this"] for row in spec["data"]["values"]].index(True) == 15
    drawn = [layer["data"]["values"] for layer in spec["layer"] if "data" in layer]
    assert [(row["at"], row["until"], row["value"]) for row in drawn[0]] == [(-0.5, 7.5, 100.0), (7.5, 15.5, 200.0)]
    assert drawn[1] == [{"at": 7.5, "label": "+100 %"}]


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_trends_are_drawn_in_the_browser(
    store: Store, visit: Visit, monkeypatch: pytest.MonkeyPatch, width: int, scheme: str
) -> None:
    """A point a run, the large one, where the level changed; no wider than the screen, no word in the console."""
    run = report_use_cases.triage_run(20, models=report_use_cases.MODELS[:1])
    run = dataclasses.replace(run, measurements=report_runs.passed_run().measurements)
    shown = shown_with(store, run)
    monkeypatch.setattr(html_report, "view", lambda _: shown)
    opened = visit(run, width=width, scheme=scheme)
    charts = opened.page.locator("[data-chart^='trend/']")
    assert charts.count() == len(shown.trends) > 4
    for place, history in enumerate(shown.trends):
        marks = charts.nth(place).locator(".mark-symbol path")
        assert marks.count() == len(history.points) + 1
        assert charts.nth(place).locator("text", has_text="%").count() >= len(history.changes)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.console == []


@pytest.mark.browser
def test_hostile_texts_in_a_trend_run_nothing(store: Store, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, revisions, times and machines of old runs come from a database that may be anybody's."""
    run = report_runs.passed_run()
    shown = shown_with(store, run)
    hostile = tuple(hostile_text.poisoned(each, cycle(hostile_text.ALL)) for each in shown.trends)
    hostile = tuple(dataclasses.replace(each, unit="s", statistic="p50", metric="ttft_s") for each in hostile)
    poisoned = dataclasses.replace(shown, trends=hostile)
    monkeypatch.setattr(html_report, "view", lambda _: poisoned)
    opened = visit(run)
    assert opened.page.locator("[data-chart^='trend/'] svg").count() == len(hostile)
    assert opened.page.evaluate("window.pwned") is None
    assert opened.dialogs == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [opened.page.url]
    assert opened.console == []
