"""What is told of requests that were refused for money: the dearest of them."""

from __future__ import annotations

import pytest

from pytest_llmbench.records import TestResult
from pytest_llmbench.reports.over_budget import over_budget

TOLD = (
    "a/x was not asked: the request may cost up to {} USD, and of the 0.5 USD for the run 0.2 USD are left\n  hint: pay"
)


def results(*messages: str) -> list[TestResult]:
    right = TestResult("t", "t", outcome="right", message="may cost up to 9 USD")
    return [right, *(TestResult("t", "t", outcome="over_budget", message=message) for message in messages)]


def test_the_dearest_refusal_is_the_example() -> None:
    """Without its hint; by its amount, not by how that is written."""
    found = over_budget(results(TOLD.format("0.3"), TOLD.format("10"), TOLD.format("9")))
    assert found is not None
    assert found.count == 3
    assert found.example.endswith("may cost up to 10 USD, and of the 0.5 USD for the run 0.2 USD are left")


@pytest.mark.parametrize("other", [TOLD.format("0..5"), TOLD.format("."), TOLD.format("1.2.3"), "all is reserved", ""])
def test_a_refusal_that_tells_no_amount_counts_and_is_no_example(other: str) -> None:
    """A stored message may say anything."""
    found = over_budget(results(other, TOLD.format("0.001")))
    assert found is not None
    assert found.count == 2
    assert "up to 0.001 USD" in found.example
    assert over_budget(results(other)) is not None


def test_a_run_within_its_budget_says_nothing_of_it() -> None:
    """The words of a right answer are not read."""
    assert over_budget(results()) is None
