"""Notice that another process has ended, whatever ended it. Standard library only: the supervisor uses it."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import Callable

from pytest_llmbench.servers.orphans import identity, is_over

_POLL_S = 0.5


async def wait_until_gone(pid: int) -> None:
    """Return when the process has ended (pidfd on Linux, kqueue on macOS, else by looking twice a second)."""
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        descriptor, close = _watch(pid)
    except ProcessLookupError:
        return
    except OSError:  # an old kernel, or a sandbox that forbids it
        await _poll(pid)
        return
    loop.add_reader(descriptor, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        close()


if sys.platform == "linux":

    def _watch(pid: int) -> tuple[int, Callable[[], None]]:
        """A descriptor that becomes readable at the end of the process, and what closes it."""
        descriptor = os.pidfd_open(pid)
        return descriptor, lambda: os.close(descriptor)

else:

    def _watch(pid: int) -> tuple[int, Callable[[], None]]:
        """A descriptor that becomes readable at the end of the process, and what closes it."""
        if not hasattr(select, "kqueue"):
            raise OSError("no way to watch a process")
        queue = select.kqueue()
        event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
        queue.control([event], 0)
        return queue.fileno(), queue.close


async def _poll(pid: int) -> None:
    name = identity(pid)
    while await asyncio.sleep(_POLL_S, result=not is_over(name)):
        pass
