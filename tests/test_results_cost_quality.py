"""What quality costs."""

from __future__ import annotations

import dataclasses

import pytest
import report_use_cases
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.reports.case_words import best_words
from pytest_llmbench.results.calls import CallsOf
from pytest_llmbench.results.cost_quality import cost_quality
from pytest_llmbench.results.fronts import front, shortfalls
from pytest_llmbench.results.use_cases import CaseRow, CaseTable, tables
from pytest_llmbench.stats import Estimate

unknown_or = st.one_of(st.none(), st.integers(0, 6).map(float))


def priced(*models: tuple[str, float, float | None]) -> CaseTable:
    """Models with a pass rate and a price of a sample."""
    [table] = tables(report_use_cases.triage_run(4))
    return dataclasses.replace(table, rows=tuple(_row(table.rows[0], *model) for model in models))


def _row(row: CaseRow, name: str, quality: float, price: float | None) -> CaseRow:
    rate = Estimate(quality, None, None, 10)
    cost = None if price is None else Estimate(price, None, None, 10)
    calls: CallsOf = dataclasses.replace(row.calls, cost_per_sample_usd=cost)
    return dataclasses.replace(row, model=name, prompt="base", pass_rate=rate, calls=calls, on_cost_front=False)


def test_ten_times_the_price_buys_so_many_points():
    """Four models, each ten times as dear and about ten points better than the last."""
    table = priced(("a", 0.51, 0.0001), ("b", 0.6, 0.001), ("c", 0.7, 0.01), ("d", 0.79, 0.1))
    found = cost_quality(table)
    assert found.line.slope == pytest.approx(0.094)
    assert found.below == {}
    [(label, words)] = best_words(table)
    assert label == "ten times the price"
    assert words.startswith("9.4 points more (95 %: 8.")
    assert words.endswith("; 4 models)")


def test_who_lies_below_the_front_is_told_by_how_much():
    """A dear model that a cheap one beats; where dearer ones are worse, that is said."""
    found = cost_quality(priced(("a", 0.9, 0.001), ("b", 0.7, 0.002), ("c", 0.6, 0.02), ("d", 0.95, 0.2)))
    assert found.below == {"b": pytest.approx(0.2), "c": pytest.approx(0.3)}
    worse = priced(("a", 0.9, 0.001), ("b", 0.7, 0.01), ("c", 0.65, 0.1), ("d", 0.4, 1.0))
    [(_, words)] = best_words(worse)
    assert words.startswith("15.5 points less (95 %: ")
    assert words.endswith("below the front: b by 20.0 points, c by 25.0 points, d by 50.0 points")


def test_three_models_or_unknown_prices_have_no_line():
    """Nothing is guessed of what nobody told the price of; free ones are on no scale of factors; all at one price."""
    models = (("a", 0.5, 0.001), ("b", 0.6, 0.01), ("c", 0.7, 0.1))
    for more in ((), (("d", 0.9, None),), (("d", 0.9, 0.0),)):
        assert cost_quality(priced(*models, *more)) is None
    assert cost_quality(priced(*((name, 0.5, 0.01) for name in "abcd"))) is None
    assert best_words(priced(*models)) == ()


@given(points=st.lists(st.tuples(unknown_or, unknown_or), max_size=8))
def test_nobody_on_the_front_falls_short(points):
    """And everybody else is beaten at their price, or as good for less."""
    for point, is_on, short in zip(points, front(points), shortfalls(points), strict=True):
        assert (short is None) == (None in point)
        if is_on:
            assert short == 0
