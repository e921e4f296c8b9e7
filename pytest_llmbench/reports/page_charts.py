"""The charts of a page as data: what many have in common once, their values in columns; report.js puts them together.

A matrix has thousands of charts of some twenty forms, and of a form they differ in their values alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_llmbench.reports.chart_style import CONFIG, Spec

_DIGITS = 7
"""Of a value that is drawn, more than any screen shows; the tables and the JSON report have all."""
_LARGE = 1e6
"""From here on values keep their digits: they may be moments."""


def packed(specs: Mapping[str, Spec]) -> dict[str, Any]:
    """The charts in a form that `report.js` reads.

    Args:
        specs: name → Vega-Lite's specification.

    Returns:
        `config`, the same for all; `forms`, each once; `charts`: name → its form's place and its values, as columns, or
        as rows where these are unlike, or null where the form has them.
    """
    places: dict[str, int] = {}
    charts: dict[str, tuple[int, Any]] = {}
    forms: list[Spec] = []
    for name, spec in specs.items():
        form = {key: value for key, value in spec.items() if key != "config"}
        values = _values(form)
        if values is not None:
            del form["data"]
        place = places.setdefault(json.dumps(form, sort_keys=True), len(forms))
        if place == len(forms):
            forms.append(form)
        charts[name] = place, None if values is None else _columns(values)
    return {"config": CONFIG, "forms": forms, "charts": charts}


def _values(form: Spec) -> Sequence[Spec] | None:
    """The rows that a chart is drawn of, where it has nothing else."""
    data = form.get("data")
    return data["values"] if isinstance(data, dict) and data.keys() == {"values"} else None


def _columns(rows: Sequence[Spec]) -> Any:
    """`{"n": rows, "of": {name: values}}`; one value stands for a column in which all are alike."""
    names = list(rows[0]) if rows else []
    if not rows or any(row.keys() != rows[0].keys() for row in rows):
        return list(rows)
    return {"n": len(rows), "of": {name: _column([row[name] for row in rows]) for name in names}}


def _column(values: Sequence[Any]) -> list[Any]:
    short = [_short(value) for value in values]
    return short[:1] if all(value == short[0] for value in short) else short


def _short(value: Any) -> Any:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) and abs(value) < _LARGE else value
