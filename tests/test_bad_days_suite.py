"""The example suite of a bad day comes through, and tells what it came through."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from suite_runs import stored_run

SUITE = Path(__file__).parents[1] / "example_suites" / "bad_days"


@pytest.mark.slow
def test_the_example_suite_of_a_bad_day_passes_and_no_question_is_answered_twice(pytester: pytest.Pytester) -> None:
    """Its judge's first choice is overloaded all day, which takes ten seconds to find out."""
    shutil.copytree(SUITE, pytester.path, dirs_exist_ok=True)
    ran = pytester.runpytest_subprocess()
    ran.assert_outcomes(passed=28)
    run = stored_run(pytester)
    assert set(Counter((each.model, each.request_hash) for each in run.replies).values()) == {1}
    failed = Counter(str(each.category) for each in run.failed_attempts)
    assert (failed["rate_limited"], failed["server"], failed["stream.truncated"]) == (6, 12, 6)
    assert failed["stream.malformed"] == 6
    assert {each.model for each in run.replies if each.role == "judge"} == {"demo/judge"}
    ran.stdout.fnmatch_lines(["*4 of 4 verdicts by the fall-back demo/judge*", "*(demo/judge+overloaded: overloaded)*"])
