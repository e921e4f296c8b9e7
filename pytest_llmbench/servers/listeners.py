"""Which process listens on which port of the loopback interface, as the kernel knows it. Standard library only.

A server's log is no witness: it repeats texts of the model file, which anybody may have written.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_LISTENS = "0A"
_LOOPBACK, _ANY = "0100007F", "00000000"
"""Addresses as /proc/net/tcp writes them on a little-endian machine."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports on which a process or one of its descendants listens."""

    own: frozenset[int] = frozenset()
    """On 127.0.0.1, and nobody else does."""
    contested: frozenset[int] = frozenset()
    """Somebody else does too: the kernel would share out the requests."""


def ports_of(pid: int) -> Ports | None:
    """Where the tree of a process listens; None where the system does not tell (not Linux)."""
    table = _table()
    if table is None:
        return None
    sockets = {inode for process in _tree(pid) for inode in _sockets(process)}
    foreign = {port for _, port, inode in table if inode not in sockets}
    own = {port for _, port, inode in table if inode in sockets}
    private = {port for address, port, inode in table if inode in sockets and address == _LOOPBACK}
    return Ports(frozenset(private - foreign), frozenset(own & foreign))


def _table() -> list[tuple[str, int, str]] | None:
    """(address, port, inode) of every socket that listens on the loopback interface or on all interfaces."""
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = [(*row[1].split(":"), row[9]) for row in rows if row[3] == _LISTENS]
        return [(address, int(port, 16), inode) for address, port, inode in listening if address in {_LOOPBACK, _ANY}]
    except (OSError, IndexError, ValueError):
        return None


def _tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for process in found:  # grows while it is walked
        try:
            with os.scandir(f"/proc/{process}/task") as threads:
                for thread in threads:
                    found += map(int, Path(thread.path, "children").read_text().split())
        except OSError:  # it has ended meanwhile
            continue
    return found


def _sockets(pid: int) -> set[str]:
    """The inodes of the sockets a process has open."""
    try:
        with os.scandir(f"/proc/{pid}/fd") as entries:
            links = [str(Path(entry.path).readlink()) for entry in entries]
    except OSError:
        return set()
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}
