"""Quality against price and speed: where the names of the models stand in the chart."""

from __future__ import annotations

import dataclasses

import report_use_cases

from pytest_llmbench.records import Outcome, Run
from pytest_llmbench.reports.chart_style import Spec
from pytest_llmbench.reports.pareto import pareto_charts
from pytest_llmbench.results.use_cases import tables


def _charts(run: Run) -> dict[str, Spec]:
    return pareto_charts(tables(run))


def _all_wrong(run: Run) -> Run:
    wrong = tuple(
        dataclasses.replace(
            each,
            outcome=str(Outcome.WRONG),
            evaluation=each.evaluation and dataclasses.replace(each.evaluation, passed=False, value=0.0),
        )
        for each in run.results
    )
    return dataclasses.replace(run, results=wrong)


def test_names_at_the_bottom_of_a_chart_stand_above_its_axis() -> None:
    """Models that get nothing right lie on the axis, where the prices and times are written."""
    charts = _charts(_all_wrong(report_use_cases.triage_run(6)))
    assert set(charts) == {"case/0/price", "case/0/speed"}
    for chart in charts.values():
        assert [value["y"] for value in chart["data"]["values"]] == [0.0] * len(chart["data"]["values"])
        assert all(value["down"] < 0 for value in chart["data"]["values"])


def test_names_of_models_that_are_alike_stand_at_different_heights() -> None:
    """As good and as fast: five points in one place are five names to read, each drawn once."""
    run = report_use_cases.triage_run(8, models=(report_use_cases.MODELS[0],))
    names = tuple(f"lab/model-{number}" for number in range(5))
    alike = dataclasses.replace(
        run,
        results=tuple(dataclasses.replace(each, model=name) for name in names for each in run.results),
    )
    chart = _charts(alike)["case/0/speed"]
    assert len({value["down"] for value in chart["data"]["values"]}) == 5
    drawn = [layer for layer in chart["layer"] if layer["mark"]["type"] == "text"]
    assert len(drawn) == 5
