"""The provider as a process: on the fastest event loop there is here, until it is told to end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from pytest_llmbench.demo.connection import Connection
from pytest_llmbench.demo.provider import BACKLOG, hang_up
from pytest_llmbench.demo.site import Site

_UVLOOP_SLACK_S = 0.001
"""Its timers count in whole milliseconds, and may come one early."""
_LOOK_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Where to listen, and until when: Ctrl-C and SIGTERM end it in any case."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 lets the system choose."""
    for_s: float | None = None
    """End after so many seconds."""
    until_stdin_ends: bool = False
    """End when standard input does, or the process that started this one."""


def run(site: Site, serving: Serving, on_ready: Callable[[str], None]) -> None:
    """Serve until it is time to end; `on_ready` is called with the address.

    Raises:
        OSError: the address cannot be listened at.
    """
    factory, slack_s = _loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(site, serving, slack_s, on_ready))


async def _serve(site: Site, serving: Serving, slack_s: float, on_ready: Callable[[str], None]) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    make = partial(Connection, site, slack_s)
    server = await loop.create_server(make, serving.host, serving.port, backlog=BACKLOG)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if serving.until_stdin_ends:
        loop.add_reader(sys.stdin.fileno(), ended.set)
        _watch_parent(loop, os.getppid(), ended)
    address, bound = server.sockets[0].getsockname()[:2]
    on_ready(f"http://{f'[{address}]' if ':' in address else address}:{bound}")
    with suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), serving.for_s)
    await hang_up(server, site)


def _watch_parent(loop: asyncio.AbstractEventLoop, parent: int, ended: asyncio.Event) -> None:
    """A process that the parent forked may hold the pipe open after the parent's death."""
    if os.getppid() != parent:
        ended.set()
    else:
        loop.call_later(_LOOK_AGAIN_S, _watch_parent, loop, parent, ended)


def _loop_factory() -> tuple[Callable[[], asyncio.AbstractEventLoop] | None, float]:
    """What makes the loop, and by how much its timers may come early."""
    try:
        import uvloop  # noqa: PLC0415  an extra
    except ImportError:
        return None, 0.0
    return uvloop.new_event_loop, _UVLOOP_SLACK_S
