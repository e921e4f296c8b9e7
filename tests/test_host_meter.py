"""What a process tree uses, read from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from pytest_llmbench import clock
from pytest_llmbench.monitor import ProcessMeter

SPIN = """
import time
def spin():
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
"""

CHILD = """
import subprocess, sys
{before}
print("ready", flush=True)
for line in sys.stdin:
    {work}
    print("done", flush=True)
"""


class Process:
    """A process that works once for each line it is sent."""

    def __init__(self, before: str = "", work: str = "pass") -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(before=before, work=work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._wait_for("ready")

    def work(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write("go\n")
        self.popen.stdin.flush()
        self._wait_for("done")

    def _wait_for(self, word: str) -> None:
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline().strip() == word


@pytest.fixture
def spawn() -> Iterator[type[Process]]:
    """`Process`, ended with the test."""
    made: list[Process] = []

    class Tracked(Process):
        def __init__(self, before: str = "", work: str = "pass") -> None:
            super().__init__(before, work)
            made.append(self)

    yield Tracked
    for process in made:
        process.popen.kill()
        process.popen.communicate()


def test_cpu_time_grows_by_what_was_computed(spawn: type[Process]) -> None:
    """Work of 0.2 CPU seconds is read as that much, waiting as none."""
    process = spawn(SPIN, "spin()")
    meter = ProcessMeter(process.popen.pid)
    before = meter.cpu_s()
    process.work()
    after = meter.cpu_s()
    assert before is not None
    assert after is not None
    assert 0.2 <= after - before < 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has CPU clocks of other processes")
def test_cpu_time_is_read_in_steps_finer_than_the_kernels_ticks(spawn: type[Process]) -> None:
    """/proc/PID/stat counts in 10 ms; one token takes less."""
    process = spawn()
    used = clock.process_cpu_s(process.popen.pid)
    assert used is not None
    assert used * 100 != pytest.approx(round(used * 100), abs=1e-6)


def test_cpu_time_is_read_where_there_is_no_such_clock(spawn: type[Process], monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil's coarser numbers are better than none."""
    monkeypatch.setattr(clock, "process_cpu_s", lambda _pid: None)
    process = spawn(SPIN, "spin()")
    meter = ProcessMeter(process.popen.pid)
    before = meter.cpu_s()
    process.work()
    after = meter.cpu_s()
    assert before is not None
    assert after is not None
    assert after - before >= 0.15


def test_children_count_and_stay_counted_when_they_end(spawn: type[Process]) -> None:
    """A server's helper processes are part of what it uses; the total never falls."""
    helper = f"child = subprocess.Popen([sys.executable, '-c', {SPIN + 'spin(); input()'!r}], stdin=subprocess.PIPE)"
    process = spawn(helper, "child.communicate(b'go')")
    meter = ProcessMeter(process.popen.pid)
    (child,) = psutil.Process(process.popen.pid).children()
    while sum(child.cpu_times()[:2]) < 0.17:  # of 0.2 s, told in ticks of 10 ms that are rounded down
        assert child.status() != psutil.STATUS_ZOMBIE
        clock.sleep(0.02)
    with_child = meter.cpu_s()
    process.work()
    assert not child.is_running()
    after = meter.cpu_s()
    assert with_child is not None
    assert after is not None
    assert after >= with_child >= 0.17


def test_peak_memory_remembers_what_was_freed(spawn: type[Process]) -> None:
    """The peak is told, not the size at the moment of asking."""
    process = spawn(work="x = bytearray(80_000_000); del x")
    meter = ProcessMeter(process.popen.pid)
    before = meter.peak_rss_bytes()
    process.work()
    after = meter.peak_rss_bytes()
    assert before is not None
    assert after is not None
    assert 70_000_000 < after - before < 100_000_000
    assert after == pytest.approx(before + 80_000_000, rel=0.2)


def test_a_process_that_is_gone_reads_as_not_measured(spawn: type[Process]) -> None:
    """CPU time can no longer be read; the peak that was seen stays true. Nothing is raised."""
    process = spawn()
    meter, late = ProcessMeter(process.popen.pid), process.popen.pid
    peak = meter.peak_rss_bytes()
    assert peak
    os.kill(late, signal.SIGKILL)
    process.popen.communicate()
    assert meter.cpu_s() is None
    assert meter.peak_rss_bytes() == peak
    assert ProcessMeter(late).cpu_s() is None
    assert ProcessMeter(late).peak_rss_bytes() is None


def test_a_process_that_ended_and_was_not_waited_for_does_not_raise(spawn: type[Process]) -> None:
    """A zombie has no memory; that is not a peak of 0."""
    process = spawn()
    os.kill(process.popen.pid, signal.SIGKILL)
    while psutil.Process(process.popen.pid).status() != psutil.STATUS_ZOMBIE:
        clock.sleep(0.01)
    meter = ProcessMeter(process.popen.pid)
    assert meter.peak_rss_bytes() is None
    meter.cpu_s()


@pytest.mark.parametrize("pid", [2**22 + 12345, 2**31 - 1])
def test_a_number_that_is_no_process_reads_as_not_measured(pid: int) -> None:
    """Nothing is raised either."""
    assert clock.process_cpu_s(pid) is None
    assert ProcessMeter(pid).cpu_s() is None
