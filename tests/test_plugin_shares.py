"""Which of the questions a process asks ahead, where several processes have the same tests."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_llmbench.ahead import share_of


@pytest.mark.parametrize(
    ("told", "share"),
    [
        ({}, (0, 1)),
        ({"workerid": "gw0", "workercount": 4}, (0, 4)),
        ({"workerid": "gw3", "workercount": 4}, (3, 4)),
        ({"workerid": "gw4", "workercount": 4}, (0, 1)),
        ({"workerid": "remote", "workercount": 4}, (0, 1)),
    ],
    ids=["no-xdist", "first", "last", "in-a-dead-one's-place", "named-by-the-user"],
)
def test_workers_share_the_questions_and_one_that_stands_in_sees_to_all(told, share):
    """All shares together are all tests, none twice; what a dead worker was to ask is asked by its successor."""
    config = SimpleNamespace(workerinput=told) if told else SimpleNamespace()
    assert share_of(config) == share


def test_the_shares_of_all_workers_are_all_tests_once():
    """In the order in which the tests run, so that the first ones are asked first."""
    tests = list(range(10))
    shares = [share_of(SimpleNamespace(workerinput={"workerid": f"gw{n}", "workercount": 4})) for n in range(4)]
    assert sorted(test for number, count in shares for test in tests[number::count]) == tests
