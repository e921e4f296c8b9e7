"""Which of the questions a process asks ahead, where several processes have the same tests."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from judge_suites import court, judged_usecase

from pytest_llmbench.ahead import share_of

TELLS = """
import os, pathlib, sys

def pytest_sessionfinish():
    who = os.environ.get("PYTEST_XDIST_WORKER", "controller")
    pathlib.Path(f"{who}.loaded").write_text(" ".join(name for name in ("sqlalchemy", "scipy") if name in sys.modules))
"""


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


@pytest.mark.slow
def test_a_worker_whose_models_and_judges_are_behind_apis_loads_no_database(pytester: pytest.Pytester) -> None:
    """The asker and the controller keep what comes; each worker would only start later for it."""
    judged_usecase(pytester.path, 4)
    pytester.makeconftest(TELLS)
    with court(pytester.path):
        result = pytester.runpytest_subprocess("shout", "-n", "2")
    assert result.ret == 0, result.stdout.str()
    loaded = {path.stem: path.read_text() for path in pytester.path.glob("*.loaded")}
    assert (loaded["gw0"], loaded["gw1"]) == ("", "")
    assert "sqlalchemy" in loaded["controller"]
