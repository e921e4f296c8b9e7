"""Names beside the points of a chart, placed so that they cover neither each other nor a point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pytest_llmbench.reports.chart_style import INK, Spec

_LABEL_PX = 190
_WIDTH_PX, _HEIGHT_PX = 560, 250
"""Of the picture that they are placed for: between a phone's and a desk's."""
_LETTER_PX, _LINE_PX = 6.6, 15
_BESIDE_PX = 7
_DOT_PX = 6
_HEIGHTS = (-9, 16, -24, 31, -39, 46)
"""Where a label may stand, in px below its point."""
_OPACITY = "width < 420 && datum.minor ? 0 : 1"
"""On a phone a point that is `minor` goes without its name."""
_TEXT = "width < 420 ? datum.brief : datum.name"
"""On a phone there is room for the quantization; the colour tells the model."""
_BOTTOM_PX = 18
"""Below a point that is so near to the axis would be the axis."""

Box = tuple[float, float, float, float]
"""(left, top, right, bottom) in px."""


def placed_labels(values: list[Spec], *, is_log: bool) -> list[Spec]:
    """Each with where its name stands: rather towards the middle, and where it covers least.

    Args:
        values: points with `name`, `x`, `y`, `y0` and `y1`; `side` and `down` are set.
        is_log: whether x is drawn on a logarithmic axis.
    """
    points = _points(values, is_log=is_log)
    taken = [(x - _DOT_PX, y - _DOT_PX, x + _DOT_PX, y + _DOT_PX) for x, y in points]
    for (x, y), value in sorted(zip(points, values, strict=True), key=lambda pair: pair[0][1]):
        inward = "left" if x <= _WIDTH_PX / 2 else "right"
        heights = [down for down in _HEIGHTS if down < 0 or y + _BOTTOM_PX < _HEIGHT_PX]
        tried = [(side, down) for down in heights for side in (inward, "right" if inward == "left" else "left")]
        boxes = {place: _box(value["name"], x, y, *place) for place in tried}
        side, down = min(tried, key=lambda place: (_covered(boxes[place], taken), tried.index(place)))
        value["side"], value["down"] = side, down
        taken.append(boxes[side, down])
    return values


def label_layers(values: Sequence[Spec], at: Spec) -> Iterator[Spec]:
    """The layers that write each point's `name`, or what is `brief` of it.

    Args:
        values: placed by `placed_labels`.
        at: the encoding of the points.
    """
    for side, down in sorted({(value["side"], value["down"]) for value in values}):
        beside = _BESIDE_PX if side == "left" else -_BESIDE_PX
        text = {"type": "text", "align": side, "dx": beside, "dy": down, "color": INK}
        yield {
            "transform": [{"filter": f"datum.side === '{side}' && datum.down === {down}"}],
            "mark": {
                **text,
                "text": {"expr": _TEXT},
                "fontSize": 12,
                "limit": _LABEL_PX,
                "opacity": {"expr": _OPACITY},
            },
            "encoding": at,
        }


def _points(values: Sequence[Spec], *, is_log: bool) -> list[tuple[float, float]]:
    """Where they stand, in px from the left and from above."""
    bottom, top = min(value["y0"] for value in values), max(value["y1"] for value in values)
    across = _across([value["x"] for value in values], is_log=is_log)
    high = (top - bottom) or 1
    return [
        (share * _WIDTH_PX, (top - value["y"]) / high * _HEIGHT_PX) for share, value in zip(across, values, strict=True)
    ]


def _box(name: str, x: float, y: float, side: str, down: float) -> Box:
    """What a label covers; its text stands around the height that it is given."""
    width = min(len(name) * _LETTER_PX, _LABEL_PX)
    left = x + _BESIDE_PX if side == "left" else x - _BESIDE_PX - width
    return left, y + down - _LINE_PX / 2, left + width, y + down + _LINE_PX / 2


def _covered(box: Box, taken: Sequence[Box]) -> float:
    """How much of the others it covers, and how much of it lies outside, in square px."""
    left, top, right, bottom = box
    outside = (max(0.0, -left) + max(0.0, right - _WIDTH_PX)) * _LINE_PX
    over = (
        max(0.0, min(right, other[2]) - max(left, other[0])) * max(0.0, min(bottom, other[3]) - max(top, other[1]))
        for other in taken
    )
    return outside + sum(over)


def _across(values: Sequence[float], *, is_log: bool) -> list[float]:
    """Where each stands in the picture, from 0 to 1."""
    if not is_log:
        return [value / (max(values) or 1) for value in values]
    low, high = math.log(min(values)), math.log(max(values))
    return [(math.log(value) - low) / ((high - low) or 1) for value in values]
