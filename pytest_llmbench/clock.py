"""The one clock and the one sleeper.

Nothing else in the package imports `time`. Durations come from `monotonic()`, never from the wall clock, so that a
clock step (NTP, daylight saving) cannot bend a measurement. Tests replace the functions here with `monkeypatch`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime


def monotonic() -> float:
    """Seconds on a clock that never goes backwards; only differences mean anything."""
    return time.perf_counter()


def now() -> datetime:
    """The wall-clock time, aware, in UTC: for labels, never for durations."""
    return datetime.now(UTC)


def sleep(seconds: float) -> None:
    """Block the calling thread for `seconds`."""
    time.sleep(seconds)


async def sleep_async(seconds: float) -> None:
    """Suspend the running task for `seconds`."""
    await asyncio.sleep(seconds)


def thread_cpu_s() -> float:
    """CPU seconds, user and system, that the calling thread has used."""
    return time.thread_time()


def process_cpu_s(pid: int) -> float | None:
    """CPU seconds (user and system, all threads, nanosecond steps) that a process has used since its start.

    Linux keeps a CPU clock for each process; `/proc/PID/stat` counts in ticks of 10 ms, too coarse for one reply.

    Returns:
        None where the process is gone or the system has no such clock.
    """
    if sys.platform != "linux":
        return None
    # clock_getcpuclockid(3): the clock's id is the inverted pid and CPUCLOCK_SCHED (2).
    try:
        return time.clock_gettime_ns((~pid) << 3 | 2) / 1e9
    except (OSError, OverflowError):
        return None
