"""The example suite for API models runs as it stands, without a key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from suite_runs import stored_run

SUITE = Path(__file__).parents[1] / "example_suites" / "api"


def test_the_example_suite_for_apis_passes_and_tells_what_it_cost(pytester: pytest.Pytester) -> None:
    shutil.copytree(SUITE, pytester.path, dirs_exist_ok=True)
    pytester.runpytest_subprocess().assert_outcomes(passed=15)
    run = stored_run(pytester)
    assert {reply.model for reply in run.replies} == {"demo/facts", "demo/json", "demo/sentiment", "demo/echo"}
    assert all(reply.cost.source == "billed" for reply in run.replies)
