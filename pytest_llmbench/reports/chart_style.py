"""How all charts look: quiet, without axes lines, in the colours of the page's style sheet."""

from __future__ import annotations

import math
from typing import Any

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one."""

INK, SOFT, FAINT, ACCENT = "var(--ink)", "var(--soft)", "var(--faint)", "var(--accent)"
PALETTE = (ACCENT, "var(--second)", "var(--third)", "var(--fourth)")
"""Colours of several series in one chart."""
NUMBERS = ",~r"
"""d3 format of axis labels."""

CONFIG: Spec = {
    "background": None,
    "view": {"stroke": None},
    "font": "system-ui, sans-serif",
    "aria": False,
    "axis": {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "gridColor": "var(--line)",
        "domain": False,
        "ticks": False,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelPadding": 6,
        "labelSeparation": 8,
        "titlePadding": 8,
        "titleLimit": 250,
    },
}


def one_two_five(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, 20 ...: from the last step that is not above `low` to the first that is not below `high`."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in (1, 2, 5)]
    start = max(index for index, step in enumerate(steps) if step <= low)
    end = min(index for index, step in enumerate(steps) if step >= high)
    return steps[start : end + 1]
