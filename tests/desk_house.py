"""A desk in this process, behind a real Unix socket, whose servers are ready at once and only say that they run."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

from pytest_llmbench.servers import connection, supervisor
from pytest_llmbench.servers.connection import Connection
from pytest_llmbench.servers.desk import Desk
from pytest_llmbench.servers.process import Order, StartFailedError

TOKEN = "known"
BROKEN = "broken"


class House:
    """Desk, event loop and the servers that run in it.

    Args:
        capacity_bytes: what the desk may give away.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.running: dict[str, int] = {}
        self.most_bytes = 0
        self.starts = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._folder = tempfile.TemporaryDirectory(prefix="desk-")
        self.told: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._loop.set_exception_handler(lambda _, context: self.told.append(context))
        self._thread.start()
        self._listener = self._await(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._await(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    def connect(self) -> Connection:
        line = connection.connect(Path(self._folder.name))
        assert line is not None
        line.peer_pid = 0  # it is this process
        return line

    def stand(self) -> tuple[dict[str, set[int]], int]:
        """Which clients hold which server, and how many claims wait."""
        return self._await(self._stand())

    def _await(self, wanted: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(wanted, self._loop).result(30)

    async def _open(self) -> asyncio.Server:
        self.desk = Desk(self.capacity_bytes, TOKEN, lambda order: InstantServer(order, self))  # type: ignore[arg-type]
        folder = Path(self._folder.name)
        listener, address, _ = await supervisor._listen(self.desk, folder)
        supervisor._write_address(folder, {"address": address, "token": TOKEN, "pid": 0})
        return listener

    async def _close(self) -> None:
        self._listener.close()
        await self.desk.stop()
        await self.desk.hang_up()

    async def _stand(self) -> tuple[dict[str, set[int]], int]:
        seats = self.desk._ledger._seats
        return {key: set(seat.holders) for key, seat in seats.items() if seat.holders}, len(self.desk._queue)


class InstantServer:
    """What the desk knows of a server process."""

    def __init__(self, order: Order, house: House) -> None:
        self.order = order
        self.pid: int | None = None
        self._house = house
        self._lock = asyncio.Lock()
        self._ending: asyncio.Task[None] | None = None

    async def ensure(self) -> dict[str, Any]:
        async with self._lock:
            if self._ending is not None:
                await asyncio.shield(self._ending)
            if self.pid is None:
                await asyncio.sleep(0.001)
                if self.order.key.startswith(BROKEN):
                    raise StartFailedError("exited", "it is broken", {"key": self.order.key})
                self._house.starts += 1
                self.pid = self._house.starts
                self._house.running[self.order.key] = self.order.need_bytes
                self._house.most_bytes = max(self._house.most_bytes, sum(self._house.running.values()))
            return {"key": self.order.key, "pid": self.pid}

    def leave(self) -> asyncio.Task[None]:
        if self._ending is None or self._ending.done():
            self._ending = asyncio.create_task(self._end())
        return self._ending

    async def stop(self) -> None:
        await asyncio.shield(self.leave())

    def reap(self) -> None:
        """Nothing to notice."""

    def status(self, _pid: int | None = None) -> dict[str, Any]:
        return {"state": "running" if self.pid else "stopped", "starts": 0, "crash": None}

    async def _end(self) -> None:
        await asyncio.sleep(0.002)
        with contextlib.suppress(KeyError):
            del self._house.running[self.order.key]
        self.pid = None


def order(key: str, need_bytes: int) -> dict[str, Any]:
    return {
        "key": key,
        "argv": [key],
        "need_bytes": need_bytes,
        "log": key,
        "load_timeout_s": 1.0,
        "context": 1,
        "slots": 1,
    }
