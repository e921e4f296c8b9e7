"""The list of slow cases names tests that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
from slow_cases import GONE, LIST, gone, listed


def test_every_slow_case_exists(pytestconfig: pytest.Config) -> None:
    """A test that was renamed would be a quick one again, and nobody would notice; looks at the files of this call."""
    assert pytestconfig.stash[GONE] == [], f"not collected any more: rename or remove them in {LIST.name}"


def test_no_slow_case_is_listed_twice() -> None:
    """And they stand in order, so that two who add one each do not both get in."""
    assert listed() == sorted(set(listed()))


@pytest.mark.parametrize(
    ("case", "is_gone"),
    [
        ("tests/test_slow_cases.py::test_a", False),
        ("tests/test_slow_cases.py::test_b[1]", False),
        ("tests/test_slow_cases.py::test_b[2]", True),
        ("tests/test_slow_cases.py::test_c", True),
        ("tests/test_display.py::test_not_collected_now", False),
        ("tests/test_that_was_split.py::test_a", True),
    ],
)
def test_a_case_is_gone_without_its_file_or_where_its_file_was_collected_without_it(case: str, is_gone: bool) -> None:
    """A file that is not collected in this call says nothing."""
    collected = ["tests/test_slow_cases.py::test_a", "tests/test_slow_cases.py::test_b[1]"]
    assert gone([case], collected, Path(__file__).parents[1]) == [case] * is_gone
