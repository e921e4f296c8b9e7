"""What the charts of a matrix have in common: points with intervals, axes from zero or logarithmic, colours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from pytest_llmbench.display import display_safe
from pytest_llmbench.reports.chart_style import ACCENT, CONFIG, FAINT, NUMBERS, PALETTE, SOFT, Spec, one_two_five
from pytest_llmbench.reports.point_labels import label_layers, placed_labels

LOG_SPREAD = 12
"""Above this ratio of largest to smallest value a linear axis squeezes the small ones into its first millimetre."""
MOST_LABELS = 14
"""Points that have their names beside them; of more, those that matter."""
_HEIGHT_PX = 290
_GROUPS = 2 * len(PALETTE)


def plain(text: str) -> str:
    """A name of others as one safe line."""
    return display_safe(text, keep="")


def sized(height: int, layers: Sequence[Spec], *, top: int = 20, **more: object) -> Spec:
    """A chart as wide as its place in the page."""
    return {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"top": top, "left": 2, "right": 12, "bottom": 2},
        "config": CONFIG,
        **more,
        "layer": list(layers),
    }


def y_axis(title: str, scale: Spec) -> Spec:
    """A vertical axis whose title lies above it, where it can be read."""
    axis: Spec = {"tickCount": 5, "format": NUMBERS, "titleAngle": 0, "titleAlign": "left", "titleAnchor": "end"}
    axis |= {"titleX": 0, "titleY": -14, "titleBaseline": "bottom"}
    if "values" in scale:
        axis["values"] = scale.pop("values")
    return {"type": "quantitative", "title": f"{title}\u00a0", "axis": axis, "scale": scale}


def x_axis(title: str, scale: Spec) -> Spec:
    """A horizontal axis."""
    axis: Spec = {"tickCount": 5, "format": NUMBERS, "grid": False}
    if "values" in scale:
        axis["values"] = scale.pop("values")
    return {"type": "quantitative", "title": f"{title}\u00a0", "axis": axis, "scale": scale}


def from_zero_or_log(values: Sequence[float]) -> Spec:
    """The scale of values that are never negative; with its steps as `values` where it is logarithmic."""
    low, high = min(values), max(values)
    if low > 0 and high / low > LOG_SPREAD:
        steps = one_two_five(low, high)
        return {"type": "log", "nice": False, "domain": [steps[0], steps[-1]], "values": steps}
    return {"type": "linear", "zero": True, "nice": True}


def colour(groups: Sequence[str], *, symbol: str = "circle") -> Spec:
    """A colour for each group, with a legend where there are several; all alike where there are too many."""
    names = list(dict.fromkeys(groups))
    if len(names) > _GROUPS or len(names) < 2:
        return {"value": ACCENT}
    return {
        "field": "group",
        "type": "nominal",
        "sort": None,
        "scale": {"domain": names, "range": [PALETTE[i % len(PALETTE)] for i in range(len(names))]},
        "legend": _legend(symbol),
    }


def _legend(symbol: str) -> Spec:
    look = {"labelColor": SOFT, "labelFontSize": 12, "labelLimit": 150, "symbolType": symbol, "symbolStrokeWidth": 2}
    return {"orient": "bottom", "title": None, "columns": 2, "rowPadding": 4, **look}


def dashes(groups: Sequence[str]) -> Spec:
    """Solid lines for the first groups, dashed ones for those that have a colour for the second time."""
    names = list(dict.fromkeys(groups))
    dash = [[1, 0] if i < len(PALETTE) else [5, 3] for i in range(len(names))]
    scale = {"domain": names, "range": dash}
    return {"field": "group", "type": "nominal", "sort": None, "scale": scale, "legend": _legend("stroke")}


def point(name: str, group: str, x: float, y: float, **more: object) -> Spec:
    """One point; `x0`, `x1`, `y0`, `y1` are the ends of its intervals where it has any."""
    ends = {"x0": x, "x1": x, "y0": y, "y1": y} | {key: value for key, value in more.items() if value is not None}
    brief = name.removeprefix(f"{group}:")
    return {"name": plain(name), "brief": plain(brief), "group": plain(group), "x": x, "y": y, "named": True, **ends}


def scatter(values: list[Spec], x: Spec, y: Spec, *, joined: str = "") -> Spec:
    """Points with their intervals and names.

    Args:
        values: made by `point`, two or more.
        x: the axis, as `x_axis` makes it.
        y: likewise.
        joined: the field whose points are joined by a line, from left to right.
    """
    named = placed_labels([value for value in values if value["named"]], is_log=x["scale"].get("type") == "log")
    at: Spec = {"x": {"field": "x", **x}, "y": {"field": "y", **y}}
    layers = [*_joins(at, joined), *_intervals(x, y), _dots(at, [value["group"] for value in values])]
    labels = [{**layer, "data": {"values": named}} for layer in label_layers(named, at)]
    return sized(_HEIGHT_PX, [*layers, *labels], data={"values": values})


def _joins(at: Spec, field: str) -> Iterator[Spec]:
    if field:
        mark = {"type": "line", "color": FAINT, "strokeWidth": 1.25, "opacity": 0.7}
        detail: Mapping[str, str] = {"field": field, "type": "nominal"}
        yield {"mark": mark, "encoding": {**at, "detail": detail, "order": {"field": "x", "type": "quantitative"}}}


def _intervals(x: Spec, y: Spec) -> Iterator[Spec]:
    thin = {"type": "rule", "strokeWidth": 1.25, "color": SOFT, "opacity": 0.8}
    across = {"x": {"field": "x", **x}, "y": {"field": "y", **y}}
    upright = {"x": across["x"], "y": {**across["y"], "field": "y0"}, "y2": {"field": "y1"}}
    level = {"x": {**across["x"], "field": "x0"}, "x2": {"field": "x1"}, "y": across["y"]}
    yield {"mark": thin, "encoding": upright}
    yield {"mark": thin, "encoding": level}


def _dots(at: Spec, groups: Sequence[str]) -> Spec:
    return {"mark": {"type": "circle", "size": 95, "opacity": 1}, "encoding": {**at, "color": colour(groups)}}


def lane(names: Sequence[str]) -> Spec:
    """The vertical axis of one lane per name; the name stands in its lane, so that a phone has the whole width."""
    return {"type": "nominal", "sort": list(names), "axis": None}


def thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most so many points, each the highest of its neighbours: a peak is what one looks for."""
    step = max(1, math.ceil(len(points) / most))
    return [max(points[start : start + step], key=lambda each: each[1]) for start in range(0, len(points), step)]
