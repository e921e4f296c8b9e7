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

ENDS_WITHIN_S = 0.25
"""How long after its stream told its own end the last bytes of a response are waited for, where no other connection is
kept: connecting to a provider takes as long. Once for a server that is slower: from then on only in the background."""
ENDS_AT_LAST_S = 2.0
"""A response that has no end by then has none, and its connection is closed."""

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
        self._slow_to_end: set[_Place] = set()
        """Where the last bytes of a response once came too late to be waited for."""

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
        place = _place(address)
        connection = self._ready(place) or await self._ready_soon(place)
        if connection is not None:
            connection.renew(shown)
        return connection

    def _ready(self, place: _Place) -> Connection | None:
        """The last kept one that can be used now. Those that never can are closed on the way to it."""
        idle, ending = self._idle.get(place, []), []
        ready, now = None, clock.monotonic()
        while ready is None and idle:
            kept = idle.pop()
            if kept.connection.reusable:
                ready = kept.connection
            elif kept.connection.ending and now - kept.since < ENDS_AT_LAST_S:
                ending.append(kept)
            else:
                kept.connection.drop()
        idle.extend(reversed(ending))
        return ready

    async def _ready_soon(self, place: _Place) -> Connection | None:
        """The last kept one, where only the end of its response is missing and comes in time."""
        idle = self._idle.get(place)
        if not idle or place in self._slow_to_end:
            return None
        kept = idle.pop()
        try:
            ready = await kept.connection.becomes_reusable(kept.since + ENDS_WITHIN_S - clock.monotonic())
        except BaseException:
            kept.connection.drop()
            raise
        if ready:
            return kept.connection
        if kept.connection.ending:
            self._slow_to_end.add(place)
            self._idle.setdefault(place, []).append(kept)
        else:
            kept.connection.drop()
        return None

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
            for each in idle:
                if now - each.since >= IDLE_S:
                    each.connection.drop()
            self._idle[place] = [each for each in idle if now - each.since < IDLE_S]
            if not self._idle[place]:
                del self._idle[place]
        left_s = [IDLE_S - (now - each.since) for idle in self._idle.values() for each in idle]
        self._sweeping = asyncio.get_running_loop().call_later(min(left_s), self._sweep) if left_s else None


class _Kept(NamedTuple):
    since: float
    """On `clock.monotonic`."""
    connection: Connection


def _place(address: Address) -> _Place:
    return address.scheme, address.host, address.port
