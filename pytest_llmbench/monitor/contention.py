"""Threads that wait for each other: a server with as many threads as cores beside other work can be 40 times slower.

llama.cpp's threads meet at a barrier many times a token and spin there. While each has a core that takes microseconds;
when one of them has lost its core to another program, the others burn theirs until the scheduler gives it back,
milliseconds later, every time. One thread alone only becomes slower by the share that others take.
"""

from __future__ import annotations

import os

from pytest_llmbench.monitor.foreign import SHORTEST_WINDOW_S, Foreign

BUSY_SHARE = 0.05
"""Of all cores, used by others: from there on threads on every core are advised against."""
COMPUTED_SHARE = 0.7
"""Threads that have their cores compute nearly all the time (measured: 0.98); collapsed ones 0.1 to 0.3."""
WAITED_SHARE = 0.3
"""Collapsed threads are ready and without a core for 0.7 to 0.85 of the time; those that wait for a GPU are not."""


def usable_cores(quota: float | None = None) -> int:
    """The cores that a server of ours can compute on: those this process may run on, a container's quota counted in.

    Args:
        quota: CPU time a container may use, in cores; None where it is not limited.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if quota is None else max(min(cores, int(quota)), 1)


def advise(threads: int, cores: int, seen: Foreign) -> str:
    """What to change before anything is measured.

    Args:
        threads: of the server.
        cores: `usable_cores()`.
        seen: what others do meanwhile.

    Returns:
        Advice in words; empty where the number of threads is no risk now.
    """
    if threads < 2 or threads < cores:
        return ""
    fewer = f"set threads: {max(cores - 1, 1)}, or stop what else runs"
    if threads > cores:
        return f"the server has {threads} threads on {cores} usable cores: they wait for each other; {fewer}"
    if seen.cpu_share is None or seen.cpu_share < BUSY_SHARE:
        return ""
    return (
        f"the server has {threads} threads on {cores} usable cores while other programs use {seen.cpu_share:.0%} of "
        f"the machine: its threads wait for each other, which was measured to cost up to 40 times the speed; {fewer}"
    )


def collapsed(
    *,
    threads: int,
    wall_s: float,
    server_cpu_s: float,
    server_waited_s: float | None = None,
    seen: Foreign | None = None,
) -> str:
    """Whether a server's threads spent one request waiting for each other; a warm-up's request is enough to tell.

    Threads that have their cores compute nearly all of the time, because even their waiting is spinning. So threads
    that computed little *and* were ready without a core had lost them to others.

    Args:
        threads: of the server.
        wall_s: from the request to its last token, with nothing else in flight.
        server_cpu_s: CPU seconds of the server's tree in that time.
        server_waited_s: seconds its threads were ready and had no core, summed over them (`ProcessMeter.waited_s`).
        seen: what others did meanwhile; asked where the former is not known.

    Returns:
        What happened and what to do, in words; empty where it did not, or cannot be told.
    """
    if threads < 2 or wall_s < SHORTEST_WINDOW_S:
        return ""
    computed = server_cpu_s / (threads * wall_s)
    if computed > COMPUTED_SHARE or not _had_no_core(threads * wall_s, server_waited_s, seen):
        return ""
    return (
        f"the server's {threads} threads computed only {computed:.0%} of the time, because others had their cores: "
        "each loss of a core stops all of them, so that this is a small part of the speed this machine can do; "
        f"set threads: {threads - 1} or fewer, or stop what else runs"
    )


def _had_no_core(threads_s: float, server_waited_s: float | None, seen: Foreign | None) -> bool:
    if server_waited_s is not None:
        return server_waited_s / threads_s > WAITED_SHARE
    if seen is None:
        return False
    told = seen.cpu_share if seen.psi_cpu_some is None else seen.psi_cpu_some
    return told is not None and told > WAITED_SHARE
