"""How all charts look: quiet, without axes lines, in the colours of the page's style sheet."""

from __future__ import annotations

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
