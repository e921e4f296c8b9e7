"""The charts as Vega-Lite specifications with their data inside; drawn in the page, where CSS gives the colours.

Every number in them also stands in a table of the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pytest_llmbench.display import display_safe
from pytest_llmbench.records import Series
from pytest_llmbench.reports.chart_style import ACCENT, CONFIG, FAINT, INK, NUMBERS, Spec, one_two_five
from pytest_llmbench.reports.figures import speed
from pytest_llmbench.reports.plots import over_time, table_charts
from pytest_llmbench.reports.view import ChartSeries

_LANE_PX = 66
_LOG_SPREAD = 12
"""Above this ratio of largest to smallest value a linear axis squeezes the fast models into its first millimetre."""

_LANES: Spec = {"field": "model", "type": "nominal", "axis": None, "sort": None}


def charts(series: Sequence[ChartSeries]) -> dict[str, Spec]:
    """Chart name → specification; a chart of what was not measured is absent.

    Those of one measurement begin with its place: `0/table/1/0` is the first chart of the second table of the first.

    Args:
        series: the raw values, a row each, their names distinct.
    """
    found = {
        "ttft": _strip([(row.name, [value * 1000 for value in row.ttft_s]) for row in series if row.ttft_s]),
        "decode": _bars([(row.name, row.decode_tps) for row in series if row.decode_tps]),
        "prompt": _bars([(row.name, row.prompt_tps) for row in series if row.prompt_tps]),
    }
    return {name: spec for name, spec in found.items() if spec} | dict(_of_measurements(series))


def _of_measurements(series: Sequence[ChartSeries]) -> Iterator[tuple[str, Spec]]:
    for place, row in enumerate(series):
        for number, table in enumerate(row.tables):
            for part, spec in enumerate(table_charts(table)):
                yield f"{place}/table/{number}/{part}", spec
        for number, picture in enumerate(row.pictures):
            yield f"{place}/time/{number}", over_time(picture)


def _strip(rows: Sequence[tuple[str, Sequence[float]]]) -> Spec:
    """Every value a dot, in a lane per model; the median and p95 as ticks."""
    if not rows:
        return {}
    values = [
        {"model": _name(name), "ms": value, "jitter": number * 0.618034 % 1}
        for name, measured in rows
        for number, value in enumerate(measured)
    ]
    marks = [{"model": _name(name), **_percentiles(measured)} for name, measured in rows]
    x = _time_axis([value for _, measured in rows for value in measured])
    dots = {
        "mark": {"type": "circle", "size": 42, "opacity": 0.5, "color": ACCENT},
        "data": {"values": values},
        "encoding": {
            "x": {"field": "ms", **x},
            "y": _LANES,
            "yOffset": {
                "field": "jitter",
                "type": "quantitative",
                "axis": None,
                "scale": {"domain": [0, 1], "range": [28, _LANE_PX - 14]},
            },
        },
    }
    return _chart(marks, [dots, _tick("p50", x, 3, INK), _tick("p95", x, 1.5, FAINT)])


def _tick(field: str, x: Spec, thickness: float, color: str) -> Spec:
    return {
        "mark": {
            "type": "tick",
            "orient": "vertical",
            "size": 34,
            "thickness": thickness,
            "color": color,
            "yOffset": 10,
        },
        "encoding": {"x": {"field": field, **x}, "y": _LANES},
    }


def _bars(rows: Sequence[tuple[str, Sequence[float]]]) -> Spec:
    """The median as a bar, the range as a line over it."""
    if not rows:
        return {}
    marks = [
        {"model": _name(name), "low": min(measured), "high": max(measured), **_percentiles(measured)}
        for name, measured in rows
    ]
    for mark in marks:
        mark["label"] = speed(mark["p50"])
    top = max(mark["high"] for mark in marks) * 1.2
    x = {
        "type": "quantitative",
        "title": "tokens per second",
        "axis": {"tickCount": 4, "format": NUMBERS},
        "scale": {"domain": [0, top or 1]},
    }
    lane = {"y": {**_LANES}}
    return _chart(
        marks,
        [
            {
                "mark": {
                    "type": "bar",
                    "height": 16,
                    "color": ACCENT,
                    "opacity": 0.75,
                    "yOffset": 10,
                    "cornerRadiusEnd": 2,
                },
                "encoding": {"x": {"field": "p50", **x}, **lane},
            },
            {
                "mark": {"type": "rule", "color": INK, "strokeWidth": 1.5, "yOffset": 10, "y2Offset": 10},
                "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}, **lane},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 8, "yOffset": 10, "color": INK, "fontSize": 12},
                "encoding": {"x": {"field": "high", **x}, "text": {"field": "label"}, **lane},
            },
        ],
    )


def _chart(marks: Sequence[Spec], layers: Sequence[Spec]) -> Spec:
    """Layers over one lane per model, the model's name above its lane, so that a phone has the whole width."""
    names = {
        "mark": {
            "type": "text",
            "align": "left",
            "baseline": "top",
            "color": INK,
            "fontSize": 12.5,
            "limit": {"expr": "width"},
        },
        "encoding": {"x": {"value": 0}, "y": {**_LANES, "bandPosition": 0}, "text": {"field": "model"}},
    }
    return {
        "width": "container",
        "height": _LANE_PX * len(marks),
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": 2,
        "data": {"values": list(marks)},
        "config": CONFIG,
        "layer": [*layers, names],
    }


def _percentiles(values: Sequence[float]) -> dict[str, Any]:
    series = Series("", "", tuple(values))
    return {"p50": series.p50, "p95": series.p95}


def _time_axis(milliseconds: Sequence[float]) -> Spec:
    low, high = min(milliseconds), max(milliseconds)
    if low > 0 and high / low > _LOG_SPREAD:
        steps = one_two_five(low, high)
        return {
            "type": "quantitative",
            "title": "milliseconds, logarithmic",
            "axis": {"values": steps, "format": NUMBERS},
            "scale": {"type": "log", "domain": [steps[0], steps[-1]], "nice": False},
        }
    return {
        "type": "quantitative",
        "title": "milliseconds",
        "axis": {"tickCount": 5, "format": NUMBERS},
        "scale": {"zero": True},
    }


def _name(name: str) -> str:
    return display_safe(name, keep="")
