"""The one clock and the one sleeper.

Nothing else in the package imports `time`. Durations come from `monotonic()`, never from the wall clock, so that a
clock step (NTP, daylight saving) cannot bend a measurement. Tests replace the functions here with `monkeypatch`.
"""

from __future__ import annotations

import asyncio
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
