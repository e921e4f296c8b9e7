"""Who else uses the machine: counters read before and after, and what is made of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from children import BUSY, child

from pytest_llmbench import clock
from pytest_llmbench.monitor import Foreign, ForeignMeter, Reading, foreign
from pytest_llmbench.monitor.kernel import cpu_times, waited_s

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")


def reading(
    at_s: float, *, busy_s: float, own: dict[int, float], waited: float | None = None, steal_s: float = 0.0
) -> Reading:
    """Of a machine with two cores that was started at 0."""
    return Reading(at_s, busy_s, steal_s, 2 * at_s, waited, own)


def machine(folder: Path, stat: str, pressure: str | None) -> Path:
    """A /proc with these counters."""
    (folder / "stat").write_text(stat)
    if pressure is not None:
        (folder / "pressure").mkdir()
        for resource in ("cpu", "memory", "io"):
            (folder / "pressure" / resource).write_text(pressure)
    return folder


def test_what_ours_used_is_taken_off_and_the_rest_is_others() -> None:
    """Two cores for 10 s, 14 s of them busy, 9 s of that ours: others had 5 of 20 s."""
    before = reading(100, busy_s=50, own={7: 3.0, 8: 1.0}, waited=10)
    after = reading(110, busy_s=64, own={7: 11.0, 8: 1.5, 9: 0.5}, waited=14, steal_s=0.2)
    seen = foreign(before, after)
    assert seen.cpu_share == pytest.approx(0.25)
    assert seen.psi_cpu_some == pytest.approx(0.4)
    assert seen.steal_share == pytest.approx(0.01)
    assert seen.dirty == "other programs used 25% of all cores"


@pytest.mark.parametrize(
    ("cpu", "waited", "steal", "word"),
    [
        (0.02, 0.01, 0.0, ""),
        (0.14, None, 0.0, ""),
        (0.16, None, 0.0, "other programs used 16%"),
        (0.16, 0.0, 0.0, "other programs used 16%"),
        (0.06, 0.2, 0.0, "waited for a core 20%"),
        (0.03, 0.9, 0.0, ""),
        (0.0, 0.0, 0.06, "host of this virtual machine took 6%"),
        (None, None, None, ""),
    ],
)
def test_a_time_is_doubted_for_cpu_waiting_or_steal_and_not_for_our_own_waiting(
    cpu: float | None, waited: float | None, steal: float | None, word: str
) -> None:
    """Tasks that wait while nobody else computes are our own threads: that is no foreign load."""
    seen = Foreign(1.0, cpu, waited, steal)
    assert (word in seen.dirty) if word else seen.dirty == ""


def test_a_window_too_short_for_the_kernels_ticks_is_not_judged() -> None:
    """One tick of 10 ms in 50 ms would be a fifth of a core."""
    seen = foreign(reading(100, busy_s=50, own={}), reading(100.19, busy_s=50.38, own={}))
    assert (seen.cpu_share, seen.dirty) == (None, "")
    assert foreign(reading(100, busy_s=50, own={}), reading(100.21, busy_s=50.42, own={})).dirty


def test_ticks_that_lag_behind_clocks_give_no_negative_load() -> None:
    """Ours used a little more than the ticks say was used at all."""
    seen = foreign(reading(100, busy_s=50, own={1: 0.0}), reading(101, busy_s=50.99, own={1: 1.0}))
    assert seen.cpu_share == 0


def test_a_process_number_that_was_given_again_takes_nothing_off_twice() -> None:
    """The new process has used less than the old one had: that is no negative use."""
    seen = foreign(reading(100, busy_s=50, own={1: 900.0}), reading(101, busy_s=51, own={1: 0.5}))
    assert seen.cpu_share == pytest.approx(0.5)


def test_the_kernels_counters_are_read_as_it_writes_them(tmp_path: Path) -> None:
    """user nice system idle iowait irq softirq steal guest guest_nice, in ticks; "some" of a pressure file."""
    tick = 1 / os.sysconf("SC_CLK_TCK")
    pressure = "some avg10=1.00 avg60=2.00 avg300=3.00 total=7500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n"
    proc = machine(tmp_path, "cpu  100 20 30 400 50 6 7 8 90 10\ncpu0 1 2 3\nintr 1 2 3\n", pressure)
    times = cpu_times(proc)
    assert times.busy_s == pytest.approx(163 * tick)
    assert times.steal_s == pytest.approx(8 * tick)
    assert times.all_s == pytest.approx(621 * tick)
    assert waited_s("cpu", proc) == 7.5


def test_a_kernel_without_pressure_information_is_judged_by_what_there_is(tmp_path: Path) -> None:
    """No /proc/pressure before Linux 4.20, or where it is switched off."""
    meter = ForeignMeter(list, proc=machine(tmp_path, "cpu  0 0 0 1000 0 0 0 0\n", None))
    before = meter.read()
    clock.sleep(0.25)
    (tmp_path / "stat").write_text("cpu  900 0 0 1100 0 0 0 0\n")
    seen = foreign(before, meter.read())
    assert seen.psi_cpu_some is None
    assert "other programs used" in seen.dirty


def test_a_system_without_proc_is_read_by_psutil(tmp_path: Path) -> None:
    """As on macOS: the same kinds of time from the library's numbers."""
    here, there = cpu_times(), cpu_times(tmp_path / "missing")
    assert there.busy_s == pytest.approx(here.busy_s, rel=0.05)
    assert there.all_s == pytest.approx(here.all_s, rel=0.05)
    assert waited_s("cpu", tmp_path / "missing") is None


@linux
def test_a_busy_program_is_foreign_until_it_is_said_to_be_ours() -> None:
    """Two meters over the same second differ by exactly what the program used."""
    with child(BUSY) as (pid, _):
        strangers, ours = ForeignMeter(list), ForeignMeter(lambda: [pid])
        before = strangers.read(), ours.read()
        clock.sleep(1)
        after = strangers.read(), ours.read()
    counted, left_out = foreign(before[1], after[1]), foreign(before[0], after[0])
    used_s = after[1].own_s[pid] - before[1].own_s[pid]
    had_s = after[0].all_s - before[0].all_s
    assert used_s > 0.1
    assert left_out.cpu_share is not None
    assert counted.cpu_share is not None
    assert left_out.cpu_share - counted.cpu_share == pytest.approx(used_s / had_s, abs=0.06)


@linux
def test_our_own_computing_is_not_foreign_and_our_childrens_is() -> None:
    """A program that a test starts beside a measurement disturbs it as a stranger's does."""
    with child(BUSY) as (pid, _):
        own = ForeignMeter(list).read().own_s
    assert os.getpid() in own
    assert pid not in own


@linux
def test_a_server_that_comes_back_as_another_process_is_ours_at_once() -> None:
    """The pids are asked at each reading."""
    with child(BUSY) as (first, _), child(BUSY) as (second, _):
        pids = [first]
        meter = ForeignMeter(lambda: pids)
        assert first in meter.read().own_s
        pids[:] = [second]
        own = meter.read().own_s
    assert second in own
    assert first not in own
