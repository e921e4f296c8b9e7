"""One connection, one request out, one response in: the protocol whose callbacks the event loop calls.

The time of arrival is read before anything else is done with what arrived.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from pytest_llmbench import clock
from pytest_llmbench.errors import WireError
from pytest_llmbench.http.address import Address
from pytest_llmbench.http.connecting import connected_socket, start_tls
from pytest_llmbench.http.failures import broken, not_connected
from pytest_llmbench.http.response import Response

Sink = Callable[[float, bytes], bool]
"""Takes `(arrived_at, data)` on the event loop's thread; True says that nothing more is wanted."""

_QUEUE_FULL_BYTES = 1024 * 1024
_QUEUE_LOW_BYTES = 256 * 1024
_LOOK_AGAIN_S = 0.001
_LATE_BYTES = 64 * 1024
"""More than the end of a response, when its stream has told that it is over."""


@dataclass(slots=True)
class Stamps:
    """Readings of `clock.monotonic`; None where that point was not reached."""

    started_at: float
    connected_at: float | None = None
    """TCP connected and, for https, the TLS handshake done."""
    written_at: float | None = None
    """The last byte of the request was handed to the socket; read before the system call that takes all at once."""
    headers_at: float | None = None


class Connection(asyncio.Protocol):
    """Made by `connect`; to be closed with `close`, or made ready for another exchange with `renew`.

    What of the body has come is kept until `next_piece` fetches it, with reading paused while much is waiting, or is
    handed to a sink right where it arrives.
    """

    def __init__(self, shown: str, *, for_pool: bool = False) -> None:
        self._for_pool = for_pool
        self._loop = asyncio.get_running_loop()
        self._socket_transport: asyncio.Transport
        self._transport: asyncio.Transport
        self._lost = self._loop.create_future()
        self._begin(shown)

    def _begin(self, shown: str) -> None:
        self.response = Response(shown)
        self.stamps = Stamps(started_at=clock.monotonic())
        self._shown = shown
        self._on_written: Callable[[], None] | None = None
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._sink: Sink | None = None
        self._changed: asyncio.Future[None] | None = None
        self._over = False
        self._late_bytes = 0
        self._failure: Exception | None = None

    def send(self, data: bytes, on_written: Callable[[], None]) -> None:
        """Hand `data` to the socket; when it has taken the last byte, `stamps` says so and `on_written` is called."""
        self._on_written = on_written
        asked_at = clock.monotonic()
        rest = data[self._taken_at_once(data) :]
        if rest:
            self._transport.write(rest)
            self._look_whether_written()
        else:
            self._written(asked_at)

    async def headers(self) -> None:
        """Wait for the response's headers.

        Raises:
            WireError: they did not come.
        """
        while self.stamps.headers_at is None and not self._over:
            await self._change()
        if self.stamps.headers_at is None and self._failure is not None:
            raise self._failure

    async def next_piece(self) -> tuple[float, bytes] | None:
        """The next `(arrived_at, data)` of the body, None at its end.

        Raises:
            WireError: it broke off.
        """
        while not self._pieces and not self._over:
            await self._change()
        if self._pieces:
            return self._fetched()
        if self._failure is not None:
            raise self._failure
        return None

    async def deliver(self, sink: Sink) -> None:
        """Hand the body to `sink` as it arrives, until it wants no more or the body ends.

        Raises:
            WireError: it broke off; or what `sink` raises.
        """
        while self._pieces:
            if sink(*self._fetched()):
                self._end(None)
                return
        self._sink = sink
        while not self._over:
            await self._change()
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Close the connection at once, whatever is under way."""
        self.drop()
        await self._lost

    def drop(self) -> None:
        """As `close`, without waiting until it has come about."""
        self._over = True
        self._transport.abort()
        self._release()

    @property
    def keepable(self) -> bool:
        """This exchange is over, and another may follow once the last bytes of its response are here."""
        ended = self._over and self._failure is None and self.stamps.written_at is not None and not self._pieces
        return ended and not self._paused and (self.response.keeps_connection or not self.response.over)

    @property
    def reusable(self) -> bool:
        """Another exchange can begin: all of the response is here, nothing behind it, and both sides stand."""
        return self.response.keeps_connection and not (self._lost.done() or self._transport.is_closing())

    @property
    def ending(self) -> bool:
        """Only the end of its response is missing: its stream has told its own."""
        return not (self.response.over or self._lost.done() or self._transport.is_closing())

    async def becomes_reusable(self, within_s: float) -> bool:
        """Wait for the end of the response, where its stream has told its own; whether it came in time."""
        if self.ending and within_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    while self.ending:
                        await self._change()
        return self.reusable

    def renew(self, shown: str) -> None:
        """Make ready for the next exchange; only where `reusable`.

        Its `stamps.connected_at` stays None.
        """
        self._release()
        self._begin(shown)

    @property
    def unanswered(self) -> bool:
        """The server hung up, or the connection broke, before a byte of a response came."""
        return self._over and self.response.untouched

    def _release(self) -> None:
        self.response.release()
        self._sink = self._on_written = None  # no cycles: the garbage collector is off while we measure

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket_transport = self._transport = cast("asyncio.Transport", transport)
        # `resume_writing` then says that the socket has taken everything.
        self._transport.set_write_buffer_limits(high=0)

    async def secure(self, address: Address) -> None:
        """Put TLS between us and the socket.

        Raises:
            OSError: see `start_tls`.
        """
        try:
            self._transport = await start_tls(self._socket_transport, self, address)
        except BaseException:
            self._socket_transport.abort()
            raise

    def resume_writing(self) -> None:
        self._look_whether_written()

    def data_received(self, data: bytes) -> None:
        arrived_at = clock.monotonic()
        response = self.response
        if self._over:
            if self._for_pool:
                self._take_late(data)
            return
        body = response.feed(data)
        if self.stamps.headers_at is None and response.status:
            self.stamps.headers_at = arrived_at
            self._wake()
        if body:
            if self._sink is None:
                self._keep(arrived_at, body)
            else:
                self._pass_on(self._sink, arrived_at, body)
        if response.over:
            self._end(response.failure)

    def _take_late(self, data: bytes) -> None:
        """What comes when the exchange is over: the end of a response whose stream had told its own, or nonsense."""
        self._late_bytes += len(data)
        if self._transport.is_closing():
            return
        if self.response.over or self._late_bytes > _LATE_BYTES:
            self.drop()
        else:
            self.response.feed(data)
            if not self.ending:
                self._wake()

    def eof_received(self) -> None:
        self.response.end_of_input()
        self._end(self.response.failure)

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._end(broken(error, self._shown, self.response.status))
        elif not self._over:
            self.eof_received()
        if not self._lost.done():
            self._lost.set_result(None)
        self._wake()

    def _look_whether_written(self) -> None:
        if self.stamps.written_at is not None or self._over:
            return
        if self._socket_transport.get_write_buffer_size():
            # Without TLS `resume_writing` is sooner; TLS tells only when it has handed on, not when the socket has.
            self._loop.call_later(_LOOK_AGAIN_S, self._look_whether_written)
            return
        self._written(clock.monotonic())

    def _taken_at_once(self, data: bytes) -> int:
        """Bytes of `data` that the socket takes now.

        Not left to the transport: uvloop writes at the end of its turn, and a clock that is read after the system call
        is late by as long as the server, which the call wakes, takes this processor.
        """
        if self._transport is not self._socket_transport:
            return 0  # TLS
        try:
            return os.write(self._socket_transport.get_extra_info("socket").fileno(), data)
        except OSError:  # the transport meets it again, and knows what to do
            return 0

    def _written(self, at: float) -> None:
        self.stamps.written_at = at
        if self._on_written is not None:
            self._on_written()

    def _keep(self, arrived_at: float, body: bytes) -> None:
        self._pieces.append((arrived_at, body))
        self._waiting_bytes += len(body)
        if self._waiting_bytes > _QUEUE_FULL_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def _pass_on(self, sink: Sink, arrived_at: float, body: bytes) -> None:
        try:
            if sink(arrived_at, body):
                self._end(None)
        except WireError as refused:
            self._end(refused)

    def _fetched(self) -> tuple[float, bytes]:
        piece = self._pieces.popleft()
        self._waiting_bytes -= len(piece[1])
        if self._paused and self._waiting_bytes <= _QUEUE_LOW_BYTES:
            self._paused = False
            self._transport.resume_reading()
        return piece

    def _end(self, failure: Exception | None) -> None:
        if not self._over:
            self._over, self._failure = True, failure
            self._wake()

    async def _change(self) -> None:
        self._changed = self._loop.create_future()
        await self._changed

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)


async def connect(address: Address, shown: str, *, for_pool: bool = False) -> Connection:
    """A connection to `address`, TLS included where it is https.

    Args:
        address: where the server is.
        shown: the request as messages name it.
        for_pool: other exchanges may follow on it.

    Raises:
        WireError: none came about.
    """
    connection = Connection(shown, for_pool=for_pool)
    try:
        sock = await connected_socket(address)
        await _attach(connection, sock)
        if address.scheme == "https":
            await connection.secure(address)
        connection.stamps.connected_at = clock.monotonic()
    except OSError as error:
        raise not_connected(error, shown) from error
    return connection


async def _attach(connection: Connection, sock: socket.socket) -> None:
    try:
        await asyncio.get_running_loop().create_connection(lambda: connection, sock=sock)
    except BaseException:
        sock.close()
        raise
