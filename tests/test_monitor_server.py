"""Memory and CPU time of a server's process tree."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from children import BUSY, GRANDCHILD, IDLE, child, holding

from pytest_llmbench import clock
from pytest_llmbench.monitor import ProcessMeter
from pytest_llmbench.monitor.process_tree import descendants
from pytest_llmbench.monitor.server_tree import ServerTree

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
MB = 1_000_000
GONE = 2**22 + 4321


def test_memory_that_is_held_is_seen_as_resident_and_as_unshared() -> None:
    """50 MB of its own are in both numbers; the unshared is the smaller one."""
    with child(IDLE) as (small, _), child(holding(50 * MB)) as (large, _):
        lean, fat = ProcessMeter(small), ProcessMeter(large)
        rss = (fat.rss_bytes() or 0) - (lean.rss_bytes() or 0)
        uss = (fat.uss_bytes() or 0) - (lean.uss_bytes() or 0)
        assert (fat.uss_bytes() or 0) <= (fat.rss_bytes() or 0)
    assert rss == pytest.approx(50 * MB, rel=0.1)
    assert uss == pytest.approx(50 * MB, rel=0.1)


def test_a_child_of_the_server_is_part_of_its_tree() -> None:
    """Found by the kernel's own lists and by psutil alike; its memory counts."""
    with child(GRANDCHILD) as (pid, words):
        below = int(words[0])
        assert descendants(pid) == [below]
        assert descendants(pid, Path("/no/such/proc")) == [below]
        alone = ProcessMeter(below).rss_bytes() or 0
        both = ProcessMeter(pid).rss_bytes() or 0
    assert both > alone > MB


def test_what_is_gone_is_not_measured() -> None:
    """No process of that number: None, never 0."""
    meter = ProcessMeter(GONE)
    assert (meter.rss_bytes(), meter.uss_bytes(), meter.waited_s()) == (None, None, None)
    assert descendants(GONE) == []


@linux
def test_threads_that_were_ready_and_had_no_core_are_seen_to_wait() -> None:
    """Two busy programs bound to one core wait for half of the time each, more where others use it too."""
    core = {min(os.sched_getaffinity(0))}
    with child(BUSY) as (first, _), child(BUSY) as (second, _):
        for pid in (first, second):
            os.sched_setaffinity(pid, core)
        meter = ProcessMeter(first)
        before, begun_at = meter.waited_s(), clock.monotonic()
        clock.sleep(1.5)
        after, window_s = meter.waited_s(), clock.monotonic() - begun_at
    assert before is not None
    assert after is not None
    assert (after - before) / window_s > 0.3


def test_a_server_that_goes_and_comes_back_is_followed_and_its_cpu_time_never_falls() -> None:
    """While there is none its readings are absent, with the reason."""
    now: list[int | None] = [None]
    source = ServerTree(lambda: now[0])
    assert source.read(0.0) == {}
    assert "no process" in source.missing["rss_bytes"]
    with child(BUSY) as (pid, _):
        now[0] = pid
        assert source.read(1.0)["server_cpu_s"] == 0
        clock.sleep(0.5)
        used = source.read(2.0)["server_cpu_s"]
        assert used > 0.02
        assert not source.missing
    assert source.read(3.0) == {}
    with child(IDLE) as (pid, _):
        now[0] = pid
        again = source.read(4.0)
    assert again["server_cpu_s"] == pytest.approx(used)
    assert again["rss_bytes"] > MB


def test_the_costly_reading_becomes_rarer_the_more_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second of CPU time for one look: the next one has to wait for more than half an hour."""
    spent = [0.0]

    def costly(_meter: ProcessMeter) -> int:
        spent[0] += 0.5
        return 7

    monkeypatch.setattr(ProcessMeter, "uss_bytes", costly)
    monkeypatch.setattr(clock, "thread_cpu_s", lambda: spent[0])
    source = ServerTree(os.getpid)
    taken = [at_s for at_s in (0.0, 1.0, 1600.0, 2600.0, 2601.0) if "uss_bytes" in source.read(at_s)]
    assert taken == [0.0, 2600.0]
