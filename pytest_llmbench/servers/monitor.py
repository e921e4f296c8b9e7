"""What a server's process tree uses: CPU time and memory."""

from __future__ import annotations

import re
from pathlib import Path

import psutil

from pytest_llmbench import clock

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class ProcessMeter:
    """Reads the CPU time and peak memory of a process and all its descendants; never raises when they are gone.

    Args:
        pid: the root of the tree. Its start time is remembered, so that a later process with this number is not read.
    """

    def __init__(self, pid: int) -> None:
        try:
            self._root: psutil.Process | None = psutil.Process(pid)
        except psutil.Error:
            self._root = None
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
            used = _cpu_s(process)
            if used is not None:
                self._cpu_s[process] = used
        return sum(self._cpu_s.values()) if tree and tree[0] in self._cpu_s else None

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

    def _tree(self) -> list[psutil.Process]:
        """The root, then its descendants; empty once the root is gone."""
        if self._root is None or not self._root.is_running():
            return []
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return []


def _cpu_s(process: psutil.Process) -> float | None:
    used = clock.process_cpu_s(process.pid)
    if used is not None:
        return used
    try:
        times = process.cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


def _peak_bytes(process: psutil.Process) -> int | None:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        status = ""
    if found := _PEAK.search(status):
        return int(found[1]) * 1024
    try:
        # A process that has ended and was not waited for has no memory any more: that says nothing about its peak.
        return int(process.memory_info().rss) or None
    except psutil.Error:
        return None
