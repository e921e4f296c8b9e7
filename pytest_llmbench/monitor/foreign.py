"""Who else uses the machine: read before and after something is timed, cheaply.

A timing on a machine that others use is not a property of the model. Three things tell: CPU time that none of ours
used, tasks that waited for a core (pressure-stall information), and time that the host of a virtual machine took. The
thresholds and how they were found are in docs/explanation/monitoring.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_llmbench import clock
from pytest_llmbench.monitor.kernel import PROC, cpu_times, waited_s
from pytest_llmbench.monitor.process_meter import cpu_s
from pytest_llmbench.monitor.process_tree import descendants

CPU_SHARE_LIMIT = 0.15
"""Of all cores, used by others."""
WAITING_LIMIT = 0.10
"""Of the time, tasks waited for a core; counts only where others use at least `CPU_SHARE_WITH_WAITING`."""
CPU_SHARE_WITH_WAITING = 0.05
STEAL_LIMIT = 0.05
SHORTEST_WINDOW_S = 0.2
"""In a shorter one the kernel's ticks of 10 ms are too coarse to judge by."""
_TREE_KEPT_S = 2.0
"""Finding a tree's processes costs a file a thread; servers hardly ever start one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment."""

    at_s: float
    busy_s: float
    steal_s: float
    all_s: float
    cpu_waited_s: float | None
    own_s: Mapping[int, float]
    """Process of ours → CPU seconds since it started."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """What others did between two readings; shares are 0 to 1."""

    window_s: float
    cpu_share: float | None
    """Of all cores; None in a window too short to tell."""
    psi_cpu_some: float | None
    """Of the window, in which a task waited for a core, ours included; None where the kernel does not tell."""
    steal_share: float | None
    """Of all cores, taken by the host of this virtual machine."""
    dirty: str = field(init=False)
    """Why what was timed meanwhile is not to be trusted, in words; empty where it is, or cannot be judged."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dirty", _reason(self))


class ForeignMeter:
    """Reads the machine's counters and those of our own processes; takes about a tenth of a millisecond.

    Args:
        pids: the roots of the process trees that are ours: the measured server's. Asked at each reading, so that a
            server that was started again counts. Our own process always counts, without its children: a program
            that a test starts beside a measurement disturbs it as a stranger's does.
        proc: where the kernel's files are.
    """

    def __init__(self, pids: Callable[[], Iterable[int]], *, proc: Path = PROC) -> None:
        self._pids = pids
        self._proc = proc
        self._roots: frozenset[int] = frozenset()
        self._tree: frozenset[int] = frozenset()
        self._tree_at_s = float("-inf")

    def read(self) -> Reading:
        """The counters now."""
        at_s = clock.monotonic()
        ours = self._ours(at_s)
        own = {pid: used for pid in ours if (used := cpu_s(pid)) is not None}
        times = cpu_times(self._proc)
        return Reading(at_s, times.busy_s, times.steal_s, times.all_s, waited_s("cpu", self._proc), own)

    def _ours(self, at_s: float) -> frozenset[int]:
        own = os.getpid()
        roots = frozenset(self._pids()) - {own}
        if roots != self._roots or at_s - self._tree_at_s > _TREE_KEPT_S:
            below = [pid for root in roots for pid in descendants(root)]
            self._roots, self._tree, self._tree_at_s = roots, roots.union(below, {own}), at_s
        return self._tree


def foreign(before: Reading, after: Reading) -> Foreign:
    """What others did between two readings of one meter."""
    window_s = after.at_s - before.at_s
    had_s = after.all_s - before.all_s
    if window_s < SHORTEST_WINDOW_S or had_s <= 0:
        return Foreign(max(window_s, 0.0), None, None, None)
    # A process that began in the window counts with all it used; one that ended has taken its last bit with it.
    own_s = sum(max(used - before.own_s.get(pid, 0.0), 0.0) for pid, used in after.own_s.items())
    share = (after.busy_s - before.busy_s - own_s) / had_s
    waited = None
    if before.cpu_waited_s is not None and after.cpu_waited_s is not None:
        waited = _share((after.cpu_waited_s - before.cpu_waited_s) / window_s)
    return Foreign(window_s, _share(share), waited, _share((after.steal_s - before.steal_s) / had_s))


def _share(value: float) -> float:
    """Ticks are counted at other moments than clocks: a little below 0 and above 1 happens."""
    return min(max(value, 0.0), 1.0)


def _reason(found: Foreign) -> str:
    used, waited, stolen = found.cpu_share or 0.0, found.psi_cpu_some or 0.0, found.steal_share or 0.0
    if stolen > STEAL_LIMIT:
        return f"the host of this virtual machine took {stolen:.0%} of its CPU time"
    if used > CPU_SHARE_LIMIT:
        return f"other programs used {used:.0%} of all cores"
    if waited > WAITING_LIMIT and used > CPU_SHARE_WITH_WAITING:
        return f"tasks waited for a core {waited:.0%} of the time while other programs used {used:.0%} of all cores"
    return ""
