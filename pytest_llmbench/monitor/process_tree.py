"""Which processes descend from one."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

PROC = Path("/proc")


def descendants(pid: int, proc: Path = PROC) -> list[int]:
    """The processes below `pid`, parents before their children; empty where it is gone or has none.

    Linux tells a process's children in a file a thread. psutil has no cheaper way than to read every process of the
    machine, which takes milliseconds where many run: it is asked only where those files are not there.
    """
    if sys.platform != "linux" or not (proc / "self/task").exists() or not _tells_children(proc):
        return _by_psutil(pid)
    found: list[int] = []
    parents = [pid]
    while parents:
        children = [child for child in _children(parents.pop(), proc) if child not in found]
        found += children
        parents += children
    return found


def _tells_children(proc: Path) -> bool:
    """Kernels built without CONFIG_PROC_CHILDREN do not."""
    return (proc / "thread-self/children").exists()


def _children(pid: int, proc: Path) -> list[int]:
    try:
        threads = [entry.name for entry in (proc / str(pid) / "task").iterdir()]
    except OSError:  # it ended
        return []
    return [child for thread in threads for child in _children_of_thread(pid, thread, proc)]


def _children_of_thread(pid: int, thread: str, proc: Path) -> list[int]:
    try:
        return [int(word) for word in (proc / str(pid) / "task" / thread / "children").read_text("ascii").split()]
    except OSError:  # the thread ended
        return []


def _by_psutil(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []
