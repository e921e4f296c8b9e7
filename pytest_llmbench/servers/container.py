"""The limits that a container (a control group, version 1 or 2) sets this process, and what is left of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

PROC = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")

_Number = TypeVar("_Number", int, float)
_UNLIMITED_BYTES = 1 << 60
"""Version 1 says "no limit" by a number near 2^63."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What this process may use; None: not limited, or no control groups here."""

    cpus: float | None = None
    """CPU quota in cores."""
    memory_bytes: int | None = None
    memory_available_bytes: int | None = None
    """The limit less what is used and cannot be dropped (the page cache can)."""
    processes: int | None = None
    """How many processes and threads all of the group may have."""


def limits(proc: Path = PROC, mount: Path = MOUNT) -> Limits:
    """The tightest limits on the way from this process's group up to the root.

    Args:
        proc: the process's own list of groups.
        mount: where the control groups are mounted.
    """
    groups = _groups(proc)
    unified = [mount, mount / "unified"]
    cpu = [*_folders(unified, groups.get("")), *_folders(_mounts(mount, "cpu"), groups.get("cpu"))]
    memory = [*_folders(unified, groups.get("")), *_folders([mount / "memory"], groups.get("memory"))]
    pids = [*_folders(unified, groups.get("")), *_folders([mount / "pids"], groups.get("pids"))]
    return Limits(
        cpus=_least(_quota(folder) for folder in cpu),
        memory_bytes=_least(_memory_limit(folder) for folder in memory),
        memory_available_bytes=_least(_memory_left(folder) for folder in memory),
        processes=_least(_number(word) for folder in pids for word in _words(folder / "pids.max")),
    )


def _groups(proc: Path) -> dict[str, str]:
    """Controller → group, the unified hierarchy under ""."""
    groups: dict[str, str] = {}
    for line in _lines(proc):
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        groups.update(dict.fromkeys(controllers.split(","), group))
    return groups


def _mounts(mount: Path, controller: str) -> list[Path]:
    return [mount / controller, mount / "cpu,cpuacct"]


def _folders(mounts: list[Path], group: str | None) -> Iterator[Path]:
    """The group's folder and those above it; in a container only the mount's root may be visible."""
    if group is None:
        return
    inner = PurePosixPath(group).relative_to("/") if group.startswith("/") else PurePosixPath(group)
    for mount in mounts:
        yield from (mount / part for part in (inner, *inner.parents))


def _quota(folder: Path) -> float | None:
    """Cores: time allowed in a period over the period."""
    words = _words(folder / "cpu.max") or [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
    quota, period = (_number(word) for word in words) if len(words) == 2 else (None, None)
    return quota / period if quota is not None and period and quota > 0 else None


def _memory_limit(folder: Path) -> int | None:
    words = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
    limit = _number(words[0]) if words else None
    return limit if limit is not None and limit < _UNLIMITED_BYTES else None


def _memory_left(folder: Path) -> int | None:
    limit = _memory_limit(folder)
    words = _words(folder / "memory.current") or _words(folder / "memory.usage_in_bytes")
    used = _number(words[0]) if words else None
    if limit is None or used is None:
        return None
    stats = dict(line.split() for line in _lines(folder / "memory.stat") if len(line.split()) == 2)
    droppable = _number(stats.get("inactive_file", "0")) or 0
    return max(limit - max(used - droppable, 0), 0)


def _least(values: Iterable[_Number | None]) -> _Number | None:
    return min((value for value in values if value is not None), default=None)


def _number(word: str) -> int | None:
    """None for "max" and whatever else is no number."""
    try:
        return int(word)
    except ValueError:
        return None


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    """Empty where the file is not there or not for us: then there is no limit that we can see."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
