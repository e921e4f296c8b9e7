"""The fixed work that tells a slower machine from slower code."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from served_sessions import session_in
from stands import measured, of_provider

from pytest_llmbench.anchor import anchor, anchor_shift
from pytest_llmbench.demo import Answer, DemoProvider


def test_the_fixed_work_takes_cpu_time_and_comes_to_the_same_each_time() -> None:
    """Of the same size at once again, whatever else runs; how fast it is depends on the machine alone."""
    first, second = anchor(), anchor()
    assert 0 < first < 10
    assert abs(math.log(second / first)) < math.log(4)


def test_a_shift_is_how_much_longer_it_takes_than_it_did() -> None:
    """12 % slower is 0.12; against nothing it is unknown."""
    assert anchor_shift(0.0112, 0.01) == pytest.approx(0.12)
    assert math.isnan(anchor_shift(0.01, 0.0))


def test_each_measurement_carries_it_once_a_session(tmp_path: Path) -> None:
    """Two measurements of a session share the one value; where no calibration is wanted there is none."""
    with DemoProvider(Answer("one two three")) as provider:
        name = of_provider(tmp_path, provider.url)
        with session_in(tmp_path, calibrate="true") as session:
            both = [measured(session, name, "interactive", rounds=rounds) for rounds in (1, 2)]
        with session_in(tmp_path, calibrate="false") as session:
            without = measured(session, name, "interactive", rounds=1)
    assert both[0].scalars["anchor_s"] == both[1].scalars["anchor_s"] > 0
    assert "anchor_s" not in without.scalars
