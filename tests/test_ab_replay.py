"""The rule on recorded noise: the trace that is committed beside benchmarks/gates.py."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def recorded() -> Iterator[dict[str, list[object]]]:
    """Part → its blocks; parts that are not recorded are left out."""
    sys.path.insert(0, str(BENCHMARKS))
    from load.gate_trace import blocks, read

    rows = read()
    yield {part: found for part in ("quiet", "noisy") if (found := blocks(rows, part))}
    sys.path.remove(str(BENCHMARKS))


def called_slower(recorded: list[object], count: int, slower: float) -> int:
    from load.gate_replay import match, most_blocks, windows

    source = random.Random(11)
    drawn = windows(recorded, count, most_blocks(), source)
    return sum(match(window, slower, source).verdict == "fail" for window in drawn)


def test_the_recording_has_its_noisy_part_and_stays_small(recorded: dict[str, list[object]]) -> None:
    """At least a hundred servers with six requests each, in a file that a repository can carry."""
    assert len(recorded["noisy"]) >= 100
    assert (BENCHMARKS / "gates_trace.csv").stat().st_size < 300_000


@pytest.mark.slow
def test_identical_code_is_called_slower_in_at_most_one_window_of_a_hundred(recorded: dict[str, list[object]]) -> None:
    """Four gates at once over 500 windows of each part of the recording."""
    for part, found in recorded.items():
        assert called_slower(found, 500, 0.0) <= 5, part


@pytest.mark.slow
def test_ten_percent_slower_is_found_within_five_minutes_nineteen_times_out_of_twenty(
    recorded: dict[str, list[object]],
) -> None:
    """By the time that the recorded servers took, quiet or not."""
    for part, found in recorded.items():
        assert called_slower(found, 200, 0.1) >= 190, part
