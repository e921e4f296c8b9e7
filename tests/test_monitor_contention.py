"""Threads that wait for each other: advice before, and notice after a warm-up."""

from __future__ import annotations

import os
import sys

import pytest

from pytest_llmbench.monitor import Foreign, advise, collapsed, usable_cores

QUIET = Foreign(1.0, 0.01, 0.0, 0.0)
BUSY = Foreign(1.0, 0.4, 0.6, 0.0)
UNKNOWN = Foreign(0.1, None, None, None)


@pytest.mark.parametrize(
    ("threads", "cores", "seen", "said"),
    [
        (2, 2, BUSY, "2 threads on 2 usable cores while other programs use 40%"),
        (2, 2, QUIET, ""),
        (2, 2, UNKNOWN, ""),
        (1, 2, BUSY, ""),
        (1, 1, BUSY, ""),
        (7, 8, BUSY, ""),
        (3, 2, QUIET, "3 threads on 2 usable cores"),
        (16, 4, UNKNOWN, "set threads: 3"),
    ],
)
def test_threads_on_every_core_are_advised_against_where_others_compute(
    threads: int, cores: int, seen: Foreign, said: str
) -> None:
    """One thread only becomes slower by what others take; more threads than cores are wrong on a quiet machine too."""
    advice = advise(threads, cores, seen)
    assert (said in advice) if said else advice == ""


# Measured: benchmarks/contention.py, 24 tokens of SmolLM2-135M on two cores (threads, wall, CPU, waited).
COLLAPSED = [(2, 4.0, 1.30, 6.5), (2, 24.0, 9.6, 38.9), (2, 80.0, 12.8, 147.0)]
SOUND = [
    (2, 0.24, 0.47, 0.28),  # two threads that had their cores
    (1, 0.7, 0.14, 0.56),  # one thread beside two busy loops
    (8, 4.0, 3.0, 0.2),  # eight threads that wait for a GPU: little computed, and no core missed
    (2, 0.1, 0.02, 0.16),  # too short to tell
]


@pytest.mark.parametrize(("threads", "wall_s", "cpu_s", "waited_s"), COLLAPSED)
def test_collapsed_threads_are_noticed_from_one_request(
    threads: int, wall_s: float, cpu_s: float, waited_s: float
) -> None:
    """They computed little because their cores were others'; the advice names a number of threads."""
    said = collapsed(threads=threads, wall_s=wall_s, server_cpu_s=cpu_s, server_waited_s=waited_s)
    assert "2 threads computed only" in said
    assert "set threads: 1" in said
    assert collapsed(threads=threads, wall_s=wall_s, server_cpu_s=cpu_s, seen=BUSY) == said
    assert collapsed(threads=threads, wall_s=wall_s, server_cpu_s=cpu_s, seen=Foreign(1.0, 0.8, None, 0.0)) == said


@pytest.mark.parametrize(("threads", "wall_s", "cpu_s", "waited_s"), SOUND)
def test_what_is_only_slow_or_waits_for_something_else_is_no_collapse(
    threads: int, wall_s: float, cpu_s: float, waited_s: float
) -> None:
    """Nothing is said where fewer threads would not help."""
    assert collapsed(threads=threads, wall_s=wall_s, server_cpu_s=cpu_s, server_waited_s=waited_s) == ""


@pytest.mark.parametrize("seen", [None, QUIET, UNKNOWN])
def test_without_any_sign_of_waiting_nothing_is_claimed(seen: Foreign | None) -> None:
    """Little CPU time alone may have many reasons."""
    assert collapsed(threads=2, wall_s=4.0, server_cpu_s=1.3, seen=seen) == ""


def test_a_containers_quota_and_a_bound_process_have_fewer_cores() -> None:
    """Whole cores of the quota, at least one."""
    cores = usable_cores()
    assert usable_cores(0.5) == 1
    assert usable_cores(1.9) == 1
    assert usable_cores(1000.0) == cores
    if sys.platform == "linux":
        assert cores == len(os.sched_getaffinity(0))
