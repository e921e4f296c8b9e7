"""What a killed supervisor leaves: processes that its servers had put out of its reach. Standard library only.

The kernel kills a server with its supervisor, but not what the server started and detached. All of it inherits a mark,
the supervisor's identity, so that whoever comes next (the next supervisor, or pytest at its end) can find and end it.
Nothing of a supervisor that may still live is touched, nor anything of another container, whose pids mean nothing here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

MARK = "LLMBENCH_SUPERVISOR"
"""The environment variable that every server and its children inherit."""


def identity(pid: int) -> str:
    """`PID.BIRTH.NAMESPACE`: names this process and no later one with the same pid."""
    return f"{pid}.{birth(pid)}.{_namespace()}"


def birth(pid: int) -> str:
    """The start time of a live process, which a later one with the same pid does not share; "" where not told."""
    return "".join(_state(pid)[1:])


def is_over(name: str) -> bool:
    """Whether the process of this identity has ended for sure."""
    pid, _, rest = name.partition(".")
    born, _, namespace = rest.partition(".")
    if not pid.isdigit() or namespace != _namespace():
        return False
    if sys.platform != "linux":
        return not _exists(int(pid))
    state = _state(int(pid))
    return not state or state[0] in "ZX" or state[1] != born


def end_orphans() -> list[int]:
    """Kill this user's processes whose supervisor has ended; their pids."""
    ended = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if place.stat().st_uid == os.getuid() and _end_orphan(int(place.name)):
                ended.append(int(place.name))
    return ended


def _end_orphan(pid: int) -> bool:
    process = os.pidfd_open(pid)  # holds on to this process: a later one with its pid is not hit
    try:
        mark = _mark(pid)
        if not mark or not is_over(mark):
            return False
        signal.pidfd_send_signal(process, signal.SIGKILL)
        return True
    finally:
        os.close(process)


def _mark(pid: int) -> str:
    sign = f"{MARK}=".encode()
    found = [entry for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if entry.startswith(sign)]
    return found[0][len(sign) :].decode(errors="replace") if found else ""


def _state(pid: int) -> list[str]:
    """State letter and start time; empty where there is no such process, or no /proc."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
    return [told[0], told[19]]


def _namespace() -> str:
    """Within which pids are unique."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
