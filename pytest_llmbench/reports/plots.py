"""The charts of one measurement: its tables as lines or bars, and the machine over time.

A name of a column or series is data here and never a field's name: Vega reads `a.b[c]` in those as a path.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_llmbench.display import display_safe
from pytest_llmbench.records import Table
from pytest_llmbench.reports.chart_style import CONFIG, NUMBERS, PALETTE, SOFT, Spec
from pytest_llmbench.reports.figures import scaled
from pytest_llmbench.reports.findings import Lines, Point

_HEIGHT_PX = 190
_SMALL_PX = 120
_MOST_POINTS = 240
"""Of one line; more are closer than a pixel."""
_LOG_SPREAD = 12
_MOST_LEVELS = 8
"""Values of x up to which each has its label; they are chosen levels then, such as sizes that double."""
_BAR_PX = 22
_WHOLE = 100
"""Percent."""


def table_charts(table: Table) -> tuple[Spec, ...]:
    """The charts that a table asks for, one for each unit of its y columns; none where nothing can be drawn.

    Args:
        table: its rows as long as its head.
    """
    kind, x = table.chart.get("kind"), table.chart.get("x")
    wanted = table.chart.get("y")
    if kind not in {"line", "bars"} or x not in table.columns or not isinstance(wanted, list | tuple):
        return ()
    by_unit: dict[str, list[str]] = {}
    for column in wanted:
        if column in table.columns:
            by_unit.setdefault(table.units[table.columns.index(column)], []).append(column)
    draw = _table_lines if kind == "line" else _table_bars
    return tuple(spec for unit, columns in by_unit.items() if (spec := draw(table, x, columns, unit)))


def over_time(picture: Lines) -> Spec:
    """Quantities over the seconds of a measurement."""
    values = [
        {"x": at_s, "y": value, "series": _name(title)}
        for title, points in picture.lines.items()
        for at_s, value in _thinned(points)
    ]
    zero = picture.unit not in {"°C", "Hz"}
    return _lines(values, _axis("seconds"), picture.unit, height=_SMALL_PX, zero=zero, dots=False)


def _table_lines(table: Table, x: str, columns: Sequence[str], unit: str) -> Spec:
    numbers = [cells[x] for cells in _rows(table) if _is_number(cells[x])]
    numeric = len(numbers) == len(table.rows)
    factor, x_unit = scaled(table.units[table.columns.index(x)], max(map(abs, numbers), default=0))
    values = [
        {"x": cells[x] * factor if numeric else _name(str(cells[x])), "y": cells[column], "series": _name(column)}
        for column in columns
        for cells in _rows(table)
        if _is_number(cells[column]) and cells[x] is not None
    ]
    axis = _x_axis(x, x_unit, [value["x"] for value in values]) if numeric else _ordinal(x)
    return _lines(values, axis, unit, height=_HEIGHT_PX, zero=True, dots=True)


def _lines(values: list[Spec], x: Spec, unit: str, *, height: int, zero: bool, dots: bool) -> Spec:
    if len(values) < 2:
        return {}
    factor, shown = scaled(unit, max(abs(value["y"]) for value in values))
    for value in values:
        value["y"] *= factor
    y: Spec = {
        "field": "y",
        "type": "quantitative",
        "title": _y_title(values, shown),
        "axis": {"tickCount": 4, "format": NUMBERS, "titleAngle": 0, "titleAlign": "left", "titleAnchor": "end"},
        "scale": _from_zero(values, shown) if zero else {"zero": False},
    }
    y["axis"] |= {"titleX": 0, "titleY": -12, "titleBaseline": "bottom"}
    encoding = {"x": {"field": "x", **x}, "y": y, "color": _colour([value["series"] for value in values])}
    mark = {"type": "line", "strokeWidth": 1.75, "point": {"size": 34} if dots else False, "clip": False}
    return _plot(values, mark, encoding, height)


def _table_bars(table: Table, x: str, columns: Sequence[str], unit: str) -> Spec:
    """Bars lie, so that their names have room."""
    values = [
        {"x": _name(str(cells[x])), "y": cells[column], "series": _name(column)}
        for cells in _rows(table)
        for column in columns
        if _is_number(cells[column]) and cells[x] is not None
    ]
    if not values:
        return {}
    factor, shown = scaled(unit, max(abs(value["y"]) for value in values))
    for value in values:
        value["y"] *= factor
    encoding = {
        "y": {"field": "x", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 130}},
        "yOffset": {"field": "series", "sort": None},
        "x": {
            "field": "y",
            "type": "quantitative",
            "title": _y_title(values, shown),
            "axis": {"tickCount": 4, "format": NUMBERS},
            "scale": _from_zero(values, shown),
        },
        "color": _colour([value["series"] for value in values]),
    }
    mark = {"type": "bar", "opacity": 0.8, "cornerRadiusEnd": 2}
    lanes = len({value["x"] for value in values}) * (1 + 0.6 * (len(columns) - 1))
    return _plot(values, mark, encoding, max(60, round(_BAR_PX * lanes)))


def _plot(values: list[Spec], mark: Spec, encoding: Spec, height: int) -> Spec:
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"top": 16, "left": 2, "right": 8, "bottom": 2},
        "data": {"values": values},
        "config": CONFIG,
        "mark": mark,
        "encoding": encoding,
    }


def _from_zero(values: Sequence[Spec], unit: str) -> Spec:
    """Shares are drawn against the whole, and values that are all 0 against something."""
    highest = max(value["y"] for value in values)
    if min(value["y"] for value in values) < 0 or (highest and unit != "%") or highest > _WHOLE:
        return {"zero": True}
    return {"domain": [0, _WHOLE if unit == "%" else 1]}


def _y_title(values: Sequence[Spec], unit: str) -> str:
    """What is drawn, where it is one thing; of several the legend says it."""
    names = {value["series"] for value in values}
    return _title(", ".join(filter(None, (names.pop() if len(names) == 1 else "", unit))))


def _colour(series: Sequence[str]) -> Spec:
    names = list(dict.fromkeys(series))
    legend = {
        "orient": "top",
        "title": None,
        "labelColor": SOFT,
        "labelFontSize": 12,
        "symbolType": "stroke",
        "labelLimit": 260,
        "offset": 38,
        "columns": 1,
    }
    return {
        "field": "series",
        "type": "nominal",
        "sort": None,
        "scale": {"domain": names, "range": [PALETTE[i % len(PALETTE)] for i in range(len(names))]},
        "legend": legend if len(names) > 1 else None,
    }


def _x_axis(column: str, unit: str, values: Sequence[float]) -> Spec:
    title = column.replace("_", " ")
    axis = _axis(_title(title if not unit or unit in title else f"{title}, {unit}"))
    ticks = sorted(set(values))
    if len(ticks) <= _MOST_LEVELS:
        axis["axis"]["values"] = ticks
    if 1 < len(ticks) <= _MOST_LEVELS and ticks[0] > 0 and ticks[-1] / ticks[0] > _LOG_SPREAD:
        axis["scale"] = {"type": "log", "nice": False}
    return axis


def _axis(title: str) -> Spec:
    return {
        "type": "quantitative",
        "title": title,
        "axis": {"tickCount": 5, "format": ",~f", "grid": False},
        "scale": {"nice": False, "zero": False},
    }


def _ordinal(column: str) -> Spec:
    return {"type": "ordinal", "sort": None, "title": _title(column), "axis": {"labelAngle": 0, "labelLimit": 90}}


def _thinned(points: Sequence[Point]) -> Iterator[Point]:
    """At most so many points, each the highest of its neighbours: a peak is what one looks for."""
    step = math.ceil(len(points) / _MOST_POINTS)
    for start in range(0, len(points), step):
        yield max(points[start : start + step], key=lambda point: point[1])


def _rows(table: Table) -> Iterator[Mapping[str, Any]]:
    return (dict(zip(table.columns, row, strict=True)) for row in table.rows)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _title(text: str) -> str:
    """A text as an axis's title, never what objects have by themselves: Vega looks a title such as `constructor` up."""
    return f"{_name(text)}\u00a0" if text else ""


def _name(text: str) -> str:
    return display_safe(text, keep="")
