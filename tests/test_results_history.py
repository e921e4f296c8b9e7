"""A run in a few numbers, and series of them: what may be compared stands together, what may not stands apart."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
import report_runs
import report_use_cases
from past_runs import MODEL, a_summary, past

from pytest_llmbench.records import Host, Run, Summary
from pytest_llmbench.results.history import histories, with_changes
from pytest_llmbench.results.summaries import summaries

OTHER = dataclasses.replace(report_runs.HOST, cpu_model="Intel Xeon Gold 6230")


def figures(summary: Summary) -> dict[tuple[str, str], float]:
    return {(figure.metric, figure.statistic): figure.value for figure in summary.figures}


def test_a_measurement_is_summed_up_by_median_and_p95_with_interval_and_count() -> None:
    """What is measured once is a value; what was not measured is absent."""
    run = report_runs.passed_run()
    [summary] = summaries(run)
    measured = run.measurements[0]
    told = figures(summary)
    assert (summary.kind, summary.name, summary.model) == ("profile", "interactive", measured.model)
    assert told["ttft_s", "p50"] == measured.ttft_s.p50
    assert told["ttft_s", "p95"] == measured.ttft_s.p95
    assert told["load_s", "value"] == measured.scalars["load_s"]
    assert ("recall", "p50") not in told
    [median] = [each for each in summary.figures if (each.metric, each.statistic) == ("ttft_s", "p50")]
    assert median.n == 20
    assert median.low is not None
    assert median.low < median.value < (median.high or 0)


def test_two_measurements_of_one_kind_are_summed_up_together() -> None:
    """Several tests may each measure the same: the run has one number of it."""
    run = report_runs.passed_run()
    again = dataclasses.replace(run.measurements[0], id="again", key="another owner")
    [summary] = summaries(dataclasses.replace(run, measurements=(*run.measurements, again)))
    assert {each.n for each in summary.figures if each.metric == "ttft_s"} == {40}


def test_a_use_case_is_summed_up_by_rate_score_cost_and_speed() -> None:
    """A cost that nobody told is absent, never 0."""
    told = {each.model: figures(each) for each in summaries(report_use_cases.triage_run())}
    paid, unpriced = (told[model] for model in report_use_cases.MODELS[::2][:2])
    assert 0.8 < paid["pass_rate", "mean"] <= 1
    assert paid["cost_usd", "mean"] == pytest.approx(0.0009, rel=0.5)
    assert paid["e2e_s", "p50"] > 0
    assert not {name for name, _ in unpriced} & {"cost_usd", "total_cost_usd"}


def test_other_samples_are_another_way_to_ask() -> None:
    """A rate over 20 samples does not stand beside one over 40."""
    keys = [summaries(report_use_cases.triage_run(samples))[0].key for samples in (20, 40, 40)]
    assert keys[0] != keys[1] == keys[2]


def test_a_run_that_judged_old_replies_anew_is_no_observation() -> None:
    """Its replies are another run's."""
    run = report_use_cases.triage_run()
    assert summaries(dataclasses.replace(run, settings={**run.settings, "rejudge": "run-1"})) == []


def test_runs_of_one_kind_of_machine_and_one_way_to_measure_make_a_series() -> None:
    """In order of time, with interval, n, machine class and revision."""
    [series] = histories(past([a_summary({"ttft_s": 0.1}), a_summary({"ttft_s": 0.2})]), "ttft_s")
    assert [point.value for point in series.points] == [0.1, 0.2]
    assert [point.run_id for point in series.points] == ["run-000", "run-001"]
    assert (series.unit, series.statistic, series.points[0].n) == ("s", "p50", 20)
    assert series.points[1].low == pytest.approx(0.19)
    assert series.machine == series.points[0].machine != ""
    assert series.points[1].revision == f"{1:040x}"


def test_another_machine_or_setting_begins_a_series_that_says_what_differs() -> None:
    """Never mixed, though model and profile are the same."""
    four = a_summary({"ttft_s": 0.05}, key="k2", settings={"threads": "4"})
    runs = [
        *past([a_summary({"ttft_s": 0.1})] * 2),
        *past([a_summary({"ttft_s": 0.3})] * 2, OTHER, start=2),
        *past([four] * 2, start=4),
    ]
    first, second, third = histories(runs, "ttft_s")
    assert [[point.value for point in each.points] for each in (first, second, third)] == [
        [0.1] * 2,
        [0.3] * 2,
        [0.05] * 2,
    ]
    assert first.differs == {}
    assert second.differs == {"machine": (first.machine, second.machine)}
    assert third.differs["threads"] == ("1", "4")


def test_a_pass_rate_does_not_depend_on_the_machine() -> None:
    """Quality and cost of two machines stand in one series; the speed of the same calls does not."""
    asked = a_summary({"pass_rate": 0.9, "e2e_s": 1.0}, kind="use_case", name="triage")
    runs = [*past([asked] * 2), *past([asked] * 2, OTHER, start=2)]
    assert [len(each.points) for each in histories(runs, "pass_rate")] == [4]
    assert [len(each.points) for each in histories(runs, "e2e_s")] == [2, 2]


def test_a_clock_rate_in_the_name_of_a_processor_splits_no_series() -> None:
    """A kernel that spells the model otherwise is the same machine."""
    faster = dataclasses.replace(report_runs.HOST, cpu_model=f"{report_runs.HOST.cpu_model} CPU @ 2.45GHz")
    assert (
        len(histories([*past([a_summary({"ttft_s": 1})]), *past([a_summary({"ttft_s": 1})], faster, 1)], "ttft_s")) == 1
    )


def noisy(*levels: tuple[float, int], spread: float = 0.02) -> list[float]:
    chance = random.Random(8)
    return [level * chance.lognormvariate(0, spread) for level, count in levels for _ in range(count)]


def changes(values: list[float], metric: str = "ttft_s") -> list[int]:
    [series] = histories(past([a_summary({metric: value}) for value in values]), metric)
    return [change.index for change in with_changes(series).changes]


def test_a_step_is_found_with_the_commits_that_it_lies_between() -> None:
    """Ten days at one level, ten at another: worse, by so much, after this commit and with that one at the latest."""
    values = noisy((0.1, 10), (0.13, 10))
    [series] = histories(past([a_summary({"ttft_s": value}) for value in values]), "ttft_s")
    [change] = with_changes(series).changes
    assert change.index == 10
    assert change.change == pytest.approx(0.3, abs=0.05)
    assert change.worse
    assert (change.after_revision, change.until_revision) == (f"{9:040x}", f"{10:040x}")


def test_a_higher_speed_is_better_and_a_lower_rate_worse() -> None:
    """Which way is better, the metrics table knows; a rate changes by points."""
    for metric, worse in (("decode_tps", False), ("ttft_s", True)):
        [series] = histories(past([a_summary({metric: each}) for each in noisy((1, 8), (2, 8))]), metric)
        assert [change.worse for change in with_changes(series).changes] == [worse]
    values = [0.9] * 8 + [0.8] * 8
    runs = past([a_summary({"pass_rate": value}, kind="use_case") for value in values])
    [change] = with_changes(histories(runs, "pass_rate")[0]).changes
    assert (change.worse, change.change) == (True, pytest.approx(-0.1))


def test_the_last_two_runs_are_no_change_and_nothing_is_a_change_in_noise() -> None:
    """A level has at least three runs; a hundred series of noise have at most a few changes."""
    assert changes([*noisy((0.1, 12)), 0.2, 0.2]) == []
    chance = random.Random(1)
    found = [changes([chance.lognormvariate(0, 0.1) for _ in range(20)]) for _ in range(100)]
    assert sum(bool(each) for each in found) <= 5


def test_a_metric_that_is_always_zero_or_the_same_has_no_change() -> None:
    """No logarithm of 0, no division by it."""
    assert changes([0.0] * 10) == []
    assert changes([0.5] * 10) == []
    [series] = histories(past([a_summary({"cost_usd": value}) for value in [0.0] * 8 + [0.1] * 8]), "cost_usd")
    [change] = with_changes(series).changes
    assert (change.index, change.change) == (8, None)


def test_p95_is_a_series_of_its_own() -> None:
    """By the statistic that is asked for."""
    [series] = histories(past([a_summary({"ttft_s": 0.1})]), "ttft_s", "p95")
    assert (series.points[0].value, series.points[0].low) == (0.2, None)


def test_machines_that_tell_nothing_of_themselves_are_one_class() -> None:
    """An empty host breaks nothing."""
    empty = Host("", "", "", "")
    [series] = histories(past([a_summary({"ttft_s": 0.1})] * 3, empty), "ttft_s")
    assert len(series.points) == 3


def test_no_number_that_is_none_is_kept() -> None:
    """NaN and infinity are not measured."""
    run: Run = report_runs.passed_run()
    broken = dataclasses.replace(
        run.measurements[0],
        repetitions=tuple(
            dataclasses.replace(each, metrics={**each.metrics, "ttft_s": math.nan})
            for each in run.measurements[0].repetitions
        ),
    )
    [summary] = summaries(dataclasses.replace(run, measurements=(broken,)))
    assert summary.model == MODEL
    assert "ttft_s" not in {figure.metric for figure in summary.figures}
