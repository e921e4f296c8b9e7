"""The charts of a matrix as Vega-Lite specifications with their data inside.

Every number in them also stands in a table of the report. Names that have a chart here are titled in `CHARTS`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmbench.records import Run
from pytest_llmbench.reports.chart_style import ACCENT, FAINT, INK, SOFT, Spec
from pytest_llmbench.reports.figures import scaled
from pytest_llmbench.reports.figures import size as size_words
from pytest_llmbench.reports.matrix_marks import (
    MOST_LABELS,
    from_zero_or_log,
    lane,
    plain,
    point,
    scatter,
    sized,
    x_axis,
    y_axis,
)
from pytest_llmbench.reports.matrix_time_charts import context_charts, machine_charts
from pytest_llmbench.reports.matrix_view import ConfigurationRow, Figure, MatrixView, Prediction

SPEED_PROFILES = ("interactive", "load", "long_context", "batch", "stress", "quality")
"""Whose decode speed is the configuration's: the first that was measured."""
_FEW_POINTS = 8
_MOST_LANES = 40
_LANE_PX = 47
_NAME_PX = 2
"""By so much a lane's marks are lower than its middle, for the name above them."""
_FAR_RIGHT = 0.7
"""Share of the axis."""
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class ChartText:
    """What stands over a chart."""

    title: str
    how_to_read: str
    is_wide: bool = True
    """Whether it needs the whole width of a page; others stand in pairs."""


CHARTS: dict[str, ChartText] = {
    "matrix/quality-speed": ChartText(
        "Quality against speed",
        "Further up answers more questions right, further right writes faster. The lines are 95 % intervals: where two "
        "overlap widely, the difference may be chance.",
    ),
    "matrix/speed-size": ChartText(
        "Speed against size",
        "How fast a configuration writes, against the size of its file. About 5 tokens per second is reading speed.",
    ),
    "matrix/quality-quant": ChartText(
        "Quality against quantization",
        "How many questions were answered right, against how finely the weights are stored: fewer bits are smaller and "
        "faster, and may answer worse. The lines are 95 % intervals.",
    ),
    "matrix/memory": ChartText(
        "Memory",
        "Dot: the most memory that was used. Bar: what was predicted before (95 % interval). Dashed lines: what the "
        "machine has, and what was free.",
    ),
    "matrix/context-wait": ChartText(
        "Waiting for long texts",
        "How long it takes until an answer begins, against the length of what has to be read.",
        is_wide=False,
    ),
    "matrix/context-speed": ChartText(
        "Reading speed",
        "Tokens of a prompt that are read per second, against the length of the prompt.",
        is_wide=False,
    ),
    "matrix/temperature": ChartText(
        "Temperature over the run",
        "The processor's temperature, measurement by measurement.",
        is_wide=False,
    ),
    "matrix/frequency": ChartText(
        "Clock frequency over the run",
        "The processor's clock, measurement by measurement. Where it falls under load, the machine slows itself down.",
        is_wide=False,
    ),
}
"""Chart name → its title and how it is read, in the order in which they are shown."""


def matrix_charts(run: Run, shown: MatrixView) -> dict[str, Spec]:
    """Chart name (a key of `CHARTS`) → specification; a chart of what was not measured is absent."""
    made = {
        "matrix/quality-speed": _quality_speed(shown),
        "matrix/speed-size": _speed_size(shown.rows),
        "matrix/quality-quant": _quality_quant(shown.rows),
        "matrix/memory": _memory(shown),
        **context_charts(run, shown),
        **machine_charts(run, shown),
    }
    return {name: made[name] for name in CHARTS if made.get(name)}


def speed_of(row: ConfigurationRow) -> Figure | None:
    """How fast a configuration writes, with its 95 % interval."""
    return row.figure("decode_tps", *SPEED_PROFILES)


def _speed_size(rows: Sequence[ConfigurationRow]) -> Spec:
    found = [(row, speed) for row in rows if row.size_bytes and (speed := speed_of(row))]
    if len(found) < 2:
        return {}
    factor, unit = scaled("B", max(row.size_bytes or 0 for row, _ in found))
    values = [
        point(row.short, row.model, (row.size_bytes or 0) * factor, speed.value, y0=speed.low, y1=speed.high)
        for row, speed in found
    ]
    _name_some(values, [row for row, _ in found])
    x = x_axis(f"size of the model file, {unit}", from_zero_or_log([value["x"] for value in values]))
    return scatter(values, x, y_axis("tokens per second", from_zero_or_log([value["y"] for value in values])))


def _quality_quant(rows: Sequence[ConfigurationRow]) -> Spec:
    found = [(row, right) for row in rows if row.bits_per_weight and (right := row.figure("accuracy", "quality"))]
    if len(found) < 2:
        return {}
    values = [_right(row.quant or row.short, row.model, row.bits_per_weight or 0, right) for row, right in found]
    _name_some(values, [row for row, _ in found])
    low, high = min(value["x"] for value in values), max(value["x"] for value in values)
    x = x_axis("bits per weight", {"zero": False, "nice": False, "domain": [low - 0.8, high + 0.4]})
    return scatter(values, x, _right_axis(), joined="group")


def _quality_speed(shown: MatrixView) -> Spec:
    found = [(r, right, tps) for r in shown.rows if (right := r.figure("accuracy", "quality")) and (tps := speed_of(r))]
    if len(found) < 2:
        return {}
    values = [
        _right(row.short, row.model, speed.value, right, x0=speed.low, x1=speed.high) for row, right, speed in found
    ]
    _name_some(values, [row for row, _, _ in found])
    x = x_axis("tokens per second", from_zero_or_log([value["x"] for value in values]))
    return scatter(values, x, _right_axis())


def _right(name: str, group: str, x: float, right: Figure, **more: object) -> Spec:
    ends = {key: None if end is None else end * _PERCENT for key, end in (("y0", right.low), ("y1", right.high))}
    return point(name, group, x, right.value * _PERCENT, **ends, **more)


def _right_axis() -> Spec:
    return y_axis("right answers, %", {"zero": False, "nice": True})


def _name_some(values: Sequence[Spec], rows: Sequence[ConfigurationRow]) -> None:
    """With many points only those have names that are recommended, or as good; on a phone, with more than a few."""
    for value, row in zip(values, rows, strict=True):
        matters = bool(row.recommended_for)
        value["named"] = matters or len(values) <= MOST_LABELS or bool(row.ties_for and len(values) <= 3 * MOST_LABELS)
        value["minor"] = len(values) > _FEW_POINTS and not matters


def _memory(shown: MatrixView) -> Spec:
    """A lane per configuration: the predicted interval, and what was used."""
    predicted = _memory_predicted(shown)
    rows = [row for row in shown.rows if row.memory_bytes or row.configuration in predicted][:_MOST_LANES]
    if len(rows) < 2:
        return {}
    limits = {"free": shown.free_bytes, "in the machine": shown.memory_bytes}
    known = [each for row in rows if (each := row.memory_bytes)]
    known += [end for each in predicted.values() for end in (each.low, each.high)]
    known += [each for each in limits.values() if each]
    factor, unit = scaled("B", max(known))
    scale = from_zero_or_log([each * factor for each in known])
    values = [_lane_value(row, predicted.get(row.configuration), factor) for row in rows]
    for value in values:
        value["side"] = "right" if _is_far_right(value["end"], scale, max(known) * factor) else "left"
    marks = [{"at": each * factor, "label": f"{name}: {size_words(each)}"} for name, each in limits.items() if each]
    x = x_axis(unit, scale)
    layers = [*_limit_layers(marks, x), *_memory_layers(x, lane([value["name"] for value in values]))]
    return sized(_LANE_PX * len(rows), layers, top=40, data={"values": values})


def _memory_predicted(shown: MatrixView) -> dict[str, Prediction]:
    """Configuration → its prediction for the kind of work that takes most; rather for one that was measured."""
    told = [each for each in shown.predictions if each.quantity == "memory_bytes"]
    ordered = sorted(told, key=lambda each: (each.measured is not None, each.measured or 0.0, each.mid))
    return {each.configuration: each for each in ordered}


def _lane_value(row: ConfigurationRow, told: Prediction | None, factor: float) -> Spec:
    used = row.memory_bytes
    words = size_words(used) if used else f"predicted: {size_words(told.mid)}" if told else ""
    return {
        "name": plain(row.short),
        "used": used and used * factor,
        "low": told and told.low * factor,
        "high": told and told.high * factor,
        "begin": min(each * factor for each in (used, told and told.low) if each),
        "end": max(each * factor for each in (used, told and told.high) if each),
        "label": words,
    }


def _memory_layers(x: Spec, y: Spec) -> Iterator[Spec]:
    at = {"field": "name", **y}
    low = {"yOffset": _NAME_PX}
    bar = {"type": "bar", "height": 11, "color": FAINT, "opacity": 0.35, "cornerRadius": 3, **low}
    dot = {"type": "circle", "size": 90, "color": ACCENT, "opacity": 1, **low}
    text = {"type": "text", "color": INK, "fontSize": 12, **low}
    name = {"type": "text", "color": INK, "fontSize": 12, "align": "left", "baseline": "top"}
    above = {"x": {"value": 0}, "y": {**at, "bandPosition": 0}, "text": {"field": "name"}}
    yield {"mark": name, "encoding": above}
    yield {"mark": bar, "encoding": {"y": at, "x": {"field": "low", **x}, "x2": {"field": "high"}}}
    yield {"mark": dot, "encoding": {"y": at, "x": {"field": "used", **x}}}
    for side, end, beside in (("left", "end", 10), ("right", "begin", -10)):
        yield {
            "transform": [{"filter": f"datum.side === '{side}'"}],
            "mark": {**text, "align": side, "dx": beside},
            "encoding": {"y": at, "x": {"field": end, **x}, "text": {"field": "label"}},
        }


def _is_far_right(value: float, scale: Spec, highest: float) -> bool:
    """Whether a text to the right of it would leave the picture."""
    if scale["type"] == "log":
        low, high = (math.log(end) for end in scale["domain"])
        return (math.log(value) - low) / (high - low) > _FAR_RIGHT
    return value / highest > _FAR_RIGHT


def _limit_layers(marks: Sequence[Spec], x: Spec) -> Iterator[Spec]:
    """Lines from top to bottom, their names above each other: they may be close."""
    for place, mark in enumerate(marks):
        at, data = {"field": "at", **x}, {"values": [mark]}
        rule = {"type": "rule", "color": SOFT, "strokeDash": [4, 3]}
        text = {"type": "text", "align": "right", "color": SOFT, "fontSize": 12, "baseline": "bottom"}
        yield {"data": data, "mark": rule, "encoding": {"x": at}}
        label = {"x": at, "y": {"value": -3 - 15 * place}, "text": {"field": "label"}}
        yield {"data": data, "mark": {**text, "dx": 4}, "encoding": label}
