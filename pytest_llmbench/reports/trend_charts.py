"""A metric over the last runs as a chart: a point a run with its interval, the levels between changes, this run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from pytest_llmbench.reports.chart_style import ACCENT, CONFIG, FAINT, INK, NUMBERS, Spec
from pytest_llmbench.reports.figures import scaled
from pytest_llmbench.reports.history_words import step_words
from pytest_llmbench.results.history import History

_HEIGHT_PX = 150
_CHANGED = "var(--second)"
_PER = 1_000
"""Samples whose price is drawn: that of one is a number with many zeros."""


def trend_charts(histories: Sequence[History], run_id: str) -> dict[str, Spec]:
    """Chart name (`trend/0`) → specification, one of each history."""
    return {f"trend/{place}": _chart(history, run_id) for place, history in enumerate(histories)}


def _chart(history: History, run_id: str) -> Spec:
    largest = max(abs(point.value) for point in history.points)
    factor, unit = (_PER, f"$ for {_PER:,} samples") if history.unit == "USD" else scaled(history.unit, largest)
    values = [
        {
            "at": place,
            "value": point.value * factor,
            "low": (point.value if point.low is None else point.low) * factor,
            "high": (point.value if point.high is None else point.high) * factor,
            "this": point.run_id == run_id,
        }
        for place, point in enumerate(history.points)
    ]
    x: Spec = {"field": "at", "type": "quantitative", **_runs_axis(history)}
    y: Spec = {"field": "value", "type": "quantitative", **_value_axis(unit)}
    layers = [
        _layer("rule", {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}, color=FAINT, opacity=0.55),
        _layer("line", {"x": x, "y": y}, color=ACCENT, strokeWidth=1.25, opacity=0.6),
        _layer("circle", {"x": x, "y": y}, color=ACCENT, size=26, opacity=1),
        {**_layer("circle", {"x": x, "y": y}, color=INK, size=80, opacity=1), "transform": [{"filter": "datum.this"}]},
        *_changes(history, factor, x, y),
    ]
    return {
        "width": "container",
        "height": _HEIGHT_PX,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"top": 18, "left": 2, "right": 8, "bottom": 2},
        "data": {"values": values},
        "config": CONFIG,
        "layer": layers,
    }


def _changes(history: History, factor: float, x: Spec, y: Spec) -> Iterator[Spec]:
    """Where the level changed, and the levels between."""
    if not history.changes:
        return
    ends = [-0.5, *(change.index - 0.5 for change in history.changes), len(history.points) - 0.5]
    levels = [history.changes[0].before, *(change.after for change in history.changes)]
    drawn = [
        {"at": start, "until": end, "value": level * factor}
        for (start, end), level in zip(pairwise(ends), levels, strict=True)
    ]
    level = {"x": x, "x2": {"field": "until"}, "y": y}
    yield {**_layer("rule", level, color=_CHANGED, strokeWidth=2), "data": {"values": drawn}}
    cuts = [{"at": change.index - 0.5, "label": step_words(history, change)} for change in history.changes]
    yield {**_layer("rule", {"x": x}, color=_CHANGED, strokeDash=[3, 3]), "data": {"values": cuts}}
    text = {"x": x, "y": {"value": -8}, "text": {"field": "label"}}
    yield {**_layer("text", text, color=_CHANGED, fontSize=12, align="center"), "data": {"values": cuts}}


def _layer(mark: str, encoding: Spec, **style: object) -> Spec:
    return {"mark": {"type": mark, **style}, "encoding": encoding}


def _runs_axis(history: History) -> Spec:
    """Runs stand side by side, however far apart in time; the days of the first and the last are told."""
    last = len(history.points) - 1
    first_day, last_day = (_day(history.points[place].started_at) for place in (0, last))
    return {
        "title": None,
        "axis": {
            "values": [0, last],
            "labelExpr": f"datum.value == 0 ? '{first_day}' : '{last_day}'",
            "labelBound": False,
            "labelFlush": True,
            "grid": False,
        },
        "scale": {"domain": [-0.5, last + 0.5], "nice": False, "zero": False},
    }


def _value_axis(unit: str) -> Spec:
    axis: Spec = {"tickCount": 4, "format": NUMBERS, "titleAngle": 0, "titleAlign": "left", "titleAnchor": "end"}
    return {
        "title": f"{unit}\u00a0" if unit else None,
        "axis": {**axis, "titleX": 0, "titleY": -10, "titleBaseline": "bottom"},
        "scale": {"zero": False, "nice": True},
    }


def _day(moment: str) -> str:
    """`21 Nov`; nothing of a text that is no time, which may be anybody's."""
    try:
        at = datetime.fromisoformat(moment).astimezone(UTC)
    except ValueError:
        return ""
    return f"{at.day} {at:%b}"
