"""Connections that outlive an exchange, for asking many questions of the same server.

Never used while speed is measured: there each exchange connects anew, so that one does not change the next.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from pytest_llmbench import clock
from pytest_llmbench.http.address import Address
from pytest_llmbench.http.connection import Connection
from pytest_llmbench.http.loop import before_closing

IDLE_S = 30.0
"""How long a connection that nobody uses is kept; a server that closes sooner is noticed when it does."""
MAX_IDLE = 256
"""Of all servers together; those in use do not count."""

_ENDS_WITHIN_S = 0.02
"""How long the last bytes of a stream's response are waited for where no other connection is kept: connecting to a
provider takes longer."""

_Place = tuple[str, str, int]
"""Scheme, host (or the path of a Unix socket), port."""


class Pool:
    """Kept connections of the running event loop.

    A connection is kept when the response that it carried was complete and both sides keep it. The last one kept is
    the first one taken, so that those which are too many grow old and are closed. On the process's background loop
    the pool closes with the loop; on any other `close` is the caller's.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: dict[_Place, list[_Kept]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> int:
        """How many connections are kept that nobody uses."""
        return sum(map(len, self._idle.values()))

    async def take(self, address: Address, shown: str) -> Connection | None:
        """A kept connection to `address`, made ready for the next request; None where there is none.

        Args:
            address: where the request goes.
            shown: the request as messages name it.
        """
        self._settle()
        idle = self._idle.get(_place(address), [])
        index = next((index for index in reversed(range(len(idle))) if idle[index].connection.reusable), -1)
        if not idle:
            return None
        connection = idle.pop(index).connection
        try:
            ready = connection.reusable or await connection.becomes_reusable(_ENDS_WITHIN_S)
        except BaseException:
            connection.drop()
            raise
        if not ready:
            connection.drop()
            return None
        connection.renew(shown)
        return connection

    async def give_back(self, connection: Connection, address: Address) -> None:
        """Keep `connection` for the next request, or close it where none can follow."""
        if not connection.keepable or self.idle >= MAX_IDLE:
            await connection.close()
            return
        self._settle()
        self._idle.setdefault(_place(address), []).append(_Kept(clock.monotonic(), connection))
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(IDLE_S, self._sweep)

    async def close(self) -> None:
        """Close all kept connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        kept, self._idle = [each for idle in self._idle.values() for each in idle], {}
        for each in kept:
            await each.connection.close()

    def _settle(self) -> None:
        """Begin anew on another loop than before: connections belong to theirs."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._idle, self._sweeping = loop, {}, None
            before_closing(loop, self.close)

    def _sweep(self) -> None:
        """Close what nobody has used for long, and look again while anything is left."""
        now = clock.monotonic()
        for place, idle in list(self._idle.items()):
            old = [each for each in idle if now - each.since >= IDLE_S]
            for each in old:
                each.connection.drop()
            self._idle[place] = idle[len(old) :]
            if len(old) == len(idle):
                del self._idle[place]
        left_s = [IDLE_S - (now - idle[0].since) for idle in self._idle.values()]
        self._sweeping = asyncio.get_running_loop().call_later(min(left_s), self._sweep) if left_s else None


class _Kept(NamedTuple):
    since: float
    """On `clock.monotonic`."""
    connection: Connection


def _place(address: Address) -> _Place:
    return address.scheme, address.host, address.port
