"""Charts as a page carries them: what is shared once, values in columns, and nothing of them lost."""

from __future__ import annotations

import json
import math
from typing import Any

import report_matrix

from pytest_llmbench.reports.chart_style import Spec
from pytest_llmbench.reports.html_report import _specs
from pytest_llmbench.reports.page_charts import packed
from pytest_llmbench.reports.view import view


def unpacked(page: dict[str, Any], name: str) -> Spec:
    """As `report.js` puts a chart together."""
    place, values = page["charts"][name]
    form = dict(page["forms"][place])
    if isinstance(values, dict):
        rows = [
            {key: column[0 if len(column) == 1 else row] for key, column in values["of"].items()}
            for row in range(values["n"])
        ]
        return {**form, "data": {"values": rows}}
    return form if values is None else {**form, "data": {"values": values}}


def test_every_chart_of_a_matrix_comes_back_as_it_was() -> None:
    """But for the eighth digit of what is drawn; and in less than half of the room."""
    run = report_matrix.matrix_run()
    specs = _specs(run, view(run))
    page = json.loads(json.dumps(packed(specs)))
    assert page["charts"].keys() == specs.keys()
    for name, spec in specs.items():
        told = {key: value for key, value in json.loads(json.dumps(spec)).items() if key != "config"}
        assert _is_near(unpacked(page, name), told), name
    assert len(json.dumps(page)) < len(json.dumps(specs)) / 2
    assert len(page["forms"]) < len(specs) / 4


def test_unlike_rows_stay_rows_and_charts_without_rows_keep_their_data() -> None:
    """A row that has a field more, a chart of another source, a chart of nothing."""
    unlike = [{"x": 1.0}, {"x": 2.0, "y": 3.0}]
    specs: dict[str, Spec] = {
        "unlike": {"mark": "bar", "data": {"values": unlike}},
        "named": {"mark": "bar", "data": {"name": "other"}},
        "empty": {"mark": "bar", "data": {"values": []}},
        "layers": {"layer": [{"data": {"values": unlike}}]},
    }
    page = packed(specs)
    assert {name: unpacked(page, name) for name in specs} == specs


def test_moments_keep_their_digits() -> None:
    """Seconds since 1970 have ten digits before the point."""
    rows = [{"x": 1_763_700_000.25, "y": 0.123456789}, {"x": 1_763_700_001.25, "y": 5}]
    [first, second] = unpacked(packed({"a": {"data": {"values": rows}}}), "a")["data"]["values"]
    assert first == {"x": 1_763_700_000.25, "y": 0.1234568}
    assert second == {"x": 1_763_700_001.25, "y": 5}


def _is_near(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_near(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_near, one, other))
    is_number = isinstance(one, float) and isinstance(other, int | float)
    return math.isclose(one, other, rel_tol=1e-6) if is_number else one == other
