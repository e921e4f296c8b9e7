"""Notice that another process ended, or that a session is over. Standard library only: the supervisor uses it."""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path

from pytest_llmbench.servers.orphans import identity, is_over

FOLDER_CHECK_S = 1.0
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


async def end_of_session(over: asyncio.Event, address: Path, controller_pid: int) -> str:
    """Wait for the first reason to end a session's process.

    Args:
        over: set when it is told to end.
        address: the file that says where it can be reached; without it nobody can.
        controller_pid: the process it must not outlive.

    Returns:
        The reason, in words.
    """
    reasons = {
        asyncio.create_task(over.wait()): "told to end",
        asyncio.create_task(wait_until_gone(controller_pid)): f"controller {controller_pid} is gone",
        asyncio.create_task(_wait_until_removed(address)): f"{address.parent} is gone",
    }
    done, waiting = await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    return reasons[done.pop()]


async def _wait_until_removed(address: Path) -> None:
    while await asyncio.sleep(FOLDER_CHECK_S, result=True):
        if not os.access(address, os.F_OK):
            return
