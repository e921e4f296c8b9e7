"""What Linux tells of the whole machine under /proc: CPU time, and how long tasks had to wait (pressure)."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds since boot, summed over all cores."""

    busy_s: float
    """Computing for anybody: user, nice, system, interrupts. Not idle, not waiting for a disk, not stolen."""
    steal_s: float
    """Time this virtual machine wanted to compute and the host gave to others."""
    all_s: float
    """Every kind of time: what the cores had in total."""


def cpu_times(proc: Path = PROC) -> CpuTimes:
    """CPU times of the machine, in steps of the kernel's ticks (mostly 10 ms) a core."""
    try:
        with (proc / "stat").open("rb", buffering=0) as file:
            line = file.read(256).split(b"\n", 1)[0]
    except OSError:
        return _by_psutil()
    # user nice system idle iowait irq softirq steal; guest times follow and are part of user and nice
    ticks = [int(word) for word in line.split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = ticks
    second = _ticks_a_second()
    return CpuTimes((user + nice + system + irq + softirq) / second, steal / second, sum(ticks) / second)


def waited_s(resource: str, proc: Path = PROC) -> float | None:
    """Seconds since boot in which at least one task waited for `resource` (pressure-stall information, "some").

    Args:
        resource: `cpu`, `memory` or `io`.
        proc: where the kernel's files are.

    Returns:
        None where the kernel does not tell: Linux before 4.20, `psi=0` at boot, not Linux.
    """
    try:
        with (proc / "pressure" / resource).open("rb", buffering=0) as file:
            text = file.read(256)
    except OSError:
        return None
    _, found, total = text.split(b"\n", 1)[0].rpartition(b"total=")
    return int(total) / 1e6 if found else None


def _by_psutil() -> CpuTimes:
    times = psutil.cpu_times()
    steal = getattr(times, "steal", 0.0)
    return CpuTimes(sum(times) - times.idle - getattr(times, "iowait", 0.0) - steal, steal, sum(times))


@functools.cache
def _ticks_a_second() -> int:
    return os.sysconf("SC_CLK_TCK")
