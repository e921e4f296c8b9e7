"""What a server's process tree uses: CPU time and memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psutil

from pytest_llmbench import clock
from pytest_llmbench.monitor.process_tree import descendants
from pytest_llmbench.monitor.source import word_in

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_PRIVATE = re.compile(r"^Private_(?:Clean|Dirty|Hugetlb):\s+(\d+) kB$", re.MULTILINE)
_WALK_EVERY_S = 0.1
"""Children are looked for once for readings that are taken together: it is the dearest part of each."""


class ProcessMeter:
    """Reads the CPU time and memory of a process and all its descendants; never raises when they are gone.

    Args:
        pid: the root of the tree. Its start time is remembered, so that a later process with this number is not read.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._root = _process(pid)
        self._children: dict[int, psutil.Process] = {}
        self._walked_at = float("-inf")
        self._cpu_s: dict[psutil.Process, float] = {}
        self._peak_bytes: dict[psutil.Process, int] = {}

    def cpu_s(self) -> float | None:
        """CPU seconds, user and system, used by the tree since it started; differences are what counts.

        A child that has ended counts with what was last read of it, so the number never falls.

        Returns:
            None where the process is gone or cannot be read.
        """
        tree = self._tree()
        for process in tree:
            used = cpu_s(process.pid)
            if used is not None:
                self._cpu_s[process] = used
        return sum(self._cpu_s.values()) if tree and tree[0] in self._cpu_s else None

    def waited_s(self) -> float | None:
        """Seconds that the tree's threads were ready to compute and had no core, summed over the threads that live.

        Returns:
            None where the process is gone or the kernel does not tell (`schedstat`).
        """
        waited = [_waited_s(process.pid) for process in self._tree()]
        return sum(found for found in waited if found is not None) if waited and waited[0] is not None else None

    def peak_rss_bytes(self) -> int | None:
        """The most physical memory the tree has had: the sum of each process's own peak.

        For a single process that is exact (Linux `VmHWM`); for several it is an upper bound, as their peaks need not
        coincide and shared pages count for each. Elsewhere than on Linux it is the largest size at a call of this.

        Returns:
            None where nothing could ever be read; the last known peak once the process is gone.
        """
        for process in self._tree():
            peak = _peak_bytes(process)
            if peak is not None:
                self._peak_bytes[process] = max(peak, self._peak_bytes.get(process, 0))
        return sum(self._peak_bytes.values()) if self._peak_bytes else None

    def rss_bytes(self) -> int | None:
        """Physical memory of the tree now; pages that its processes share count for each of them.

        Returns:
            None where the process is gone or cannot be read.
        """
        return self._summed(_rss_bytes)

    def uss_bytes(self) -> int | None:
        """Memory that would be free if the tree ended: the pages that each process has for itself.

        The kernel walks every page for it: half a millisecond to some milliseconds for 100 MB. Ask seldom.

        Returns:
            None where the process is gone or its memory map is not ours to read.
        """
        return self._summed(_uss_bytes)

    def _summed(self, size: Callable[[psutil.Process], int | None]) -> int | None:
        sizes = [size(process) for process in self._tree()]
        return sum(found for found in sizes if found is not None) if sizes and sizes[0] is not None else None

    def _tree(self) -> list[psutil.Process]:
        """The root, then its descendants; empty once the root is gone."""
        if self._root is None or not self._root.is_running():
            return []
        if (now := clock.monotonic()) - self._walked_at > _WALK_EVERY_S:
            found = {pid: self._child(pid) for pid in descendants(self._root.pid)}
            self._children = {pid: child for pid, child in found.items() if child is not None}
            self._walked_at = now
        return [self._root, *self._children.values()]

    def _child(self, pid: int) -> psutil.Process | None:
        known = self._children.get(pid)
        return known if known is not None and known.is_running() else _process(pid)


def cpu_s(pid: int) -> float | None:
    """CPU seconds of one process since it started, as finely as the system tells; None where it is gone."""
    used = clock.process_cpu_s(pid)
    if used is not None:
        return used
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


def _waited_s(pid: int) -> float | None:
    """`schedstat` of each thread: nanoseconds on a core, nanoseconds ready and waiting for one, time slices."""
    found = [text.split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat") if (text := word_in(path))]
    return sum(int(words[1]) for words in found) / 1e9 if found else None


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _peak_bytes(process: psutil.Process) -> int | None:
    if found := _PEAK.search(_read(process.pid, "status")):
        return int(found[1]) * 1024
    return _rss_bytes(process)


def _rss_bytes(process: psutil.Process) -> int | None:
    try:
        # A process that has ended and was not waited for has no memory any more: that is not a size of 0.
        return int(process.memory_info().rss) or None
    except psutil.Error:
        return None


def _uss_bytes(process: psutil.Process) -> int | None:
    if sizes := _PRIVATE.findall(_read(process.pid, "smaps_rollup")):
        return sum(map(int, sizes)) * 1024
    try:
        return int(process.memory_full_info().uss) or None
    except psutil.Error:
        return None


def _read(pid: int, name: str) -> str:
    """A file of the process; empty where it is gone, not ours, or the system has no such file."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
