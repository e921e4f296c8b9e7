"""One request and its response, with stamps and deadlines; by default on a connection of its own."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, UsageError, WireError
from pytest_llmbench.http import address
from pytest_llmbench.http.connection import Connection, Sink, Stamps, connect
from pytest_llmbench.http.deadlines import Deadlines, Watch
from pytest_llmbench.http.pool import Pool

MAX_BODY_BYTES = 64 * 1024 * 1024
"""A response longer than this is refused: no model writes that much, and memory is shared with what is measured."""

_STALE_WITHIN_S = 2.0
"""A server that hangs up later may have been working on the request, and may bill it: that is an attempt."""

_log = logging.getLogger(__name__)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it goes out. Headers and body stay out of its repr: they carry keys and prompts."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def shown(self) -> str:
        """Method, host and path for messages; no query, no user name, no password."""
        return f"{self.method} {address.parse(self.url).shown}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole response, whatever its status."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(repr=False)
    stamps: Stamps
    ended_at: float


class Exchange:
    """A response whose headers have come; made by `open_exchange`."""

    def __init__(self, connection: Connection, watch: Watch, shown: str) -> None:
        self.status = connection.response.status
        self.headers: Mapping[str, str] = connection.response.headers
        """Names in lower case."""
        self.stamps = connection.stamps
        self.shown = shown
        self._watch = watch
        self._connection = connection

    async def chunks(self, max_bytes: int = MAX_BODY_BYTES) -> AsyncGenerator[tuple[float, bytes], None]:
        """The body as it arrives: `(arrived_at, data)`, stamped with `clock.monotonic` before anything else.

        Raises:
            WireError: a deadline passed, the connection broke, or the body grew over `max_bytes`.
        """
        self._refuse_compression()
        received = 0
        while (piece := await self._connection.next_piece()) is not None:
            received += len(piece[1])
            if received > max_bytes:
                raise self.too_large(f"{max_bytes} bytes")
            yield piece

    async def deliver(self, sink: Sink) -> None:
        """Hand the body to `sink(arrived_at, data)` the moment it arrives, until it returns True or the body ends.

        No task is woken and nothing is limited on the way: `sink` runs within the event loop's callback, has to be
        quick, and bounds what it keeps. It may raise a `WireError`.

        Raises:
            WireError: a deadline passed, the connection broke, or `sink` raised it.
        """
        self._refuse_compression()
        await self._connection.deliver(sink)

    def too_large(self, limit: str) -> WireError:
        """The error of a body larger than `limit`, which tells its unit."""
        return WireError(
            f"{self.shown}: the response is larger than {limit}",
            category=Category.STREAM_TOO_LARGE,
            status=self.status,
        )

    def answer_moved(self, at: float | None = None) -> None:
        """Tell the deadlines that the answer has begun or gone on: from there `idle_s` counts.

        Args:
            at: a reading of `clock.monotonic`; None is now.
        """
        self._watch.moved(clock.monotonic() if at is None else at)

    def _refuse_compression(self) -> None:
        encoding = self.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise WireError(
                f"{self.shown}: the response is compressed ({encoding[:40]!r}), which was not asked for",
                category=Category.STREAM_MALFORMED,
                status=self.status,
                hint="a proxy between here and the server compresses; stamps of compressed events would mean nothing",
            )


@asynccontextmanager
async def open_exchange(
    request: Request, deadlines: Deadlines, *, streamed: bool, pool: Pool | None = None
) -> AsyncIterator[Exchange]:
    """Send `request`, by default on a connection of its own; yields once the response's headers have come.

    The connection is closed at the end, also when the block is left early or cancelled; one of a pool goes back to it
    where the response was read to its end.

    Args:
        request: what to send.
        deadlines: `ttft_s` holds until the first `Exchange.answer_moved()`, and only where `streamed`.
        deadlines.total_s: holds over the whole block.
        streamed: whether the answer is expected token by token.
        pool: connections to use again; never while speed is measured. On one that was kept `connected_at` stays None,
            and where the server turns out to have closed it, a fresh one is tried.

    Raises:
        WireError: with the category of what failed; a deadline names the one that passed.
        UsageError: the URL or a header cannot be sent.
    """
    target, shown = address.parse(request.url), request.shown
    outgoing = _head(request, target, shown, keep=pool is not None) + request.body
    watch = Watch(deadlines, streamed=streamed)
    try:
        async with watch.timer:
            watch.enter(Category.TIMEOUT_CONNECT)
            connection, exchange = await _opened(pool, target, outgoing, watch, shown)
            try:
                yield exchange
            finally:
                await (connection.close() if pool is None else pool.give_back(connection, target))
    except TimeoutError:
        if not watch.timer.expired():
            raise
        raise watch.error(shown) from None
    finally:
        watch.stop()


async def fetch(request: Request, deadlines: Deadlines, *, max_bytes: int = MAX_BODY_BYTES) -> Fetched:
    """Send `request` and read the whole response, whatever its status.

    Raises:
        WireError: nothing usable came back.
        UsageError: the URL or a header cannot be sent.
    """
    async with open_exchange(request, deadlines, streamed=False) as exchange:
        body = await read_body(exchange, max_bytes)
        return Fetched(exchange.status, exchange.headers, body, exchange.stamps, clock.monotonic())


async def read_body(exchange: Exchange, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The rest of the body in one piece.

    Raises:
        WireError: see `Exchange.chunks`.
    """
    body = bytearray()
    async for arrived_at, data in exchange.chunks(max_bytes):
        exchange.answer_moved(arrived_at)
        body += data
    return bytes(body)


async def _opened(
    pool: Pool | None, target: address.Address, outgoing: bytes, watch: Watch, shown: str
) -> tuple[Connection, Exchange]:
    kept = None if pool is None else await pool.take(target, shown)
    if kept is not None:
        try:
            return kept, await _sent(kept, outgoing, watch, shown)
        except WireError:
            if not _stale(kept):
                raise
        watch.enter(Category.TIMEOUT_CONNECT)
    fresh = await connect(target, shown, for_pool=pool is not None)
    return fresh, await _sent(fresh, outgoing, watch, shown)


async def _sent(connection: Connection, outgoing: bytes, watch: Watch, shown: str) -> Exchange:
    """The exchange, once the request is on its way and the response's headers are here."""
    try:
        watch.enter(Category.TIMEOUT_TTFT)
        connection.send(outgoing, lambda: watch.enter(Category.TIMEOUT_TTFT))
        await connection.headers()
    except BaseException:
        await connection.close()
        raise
    _log.debug("%s: HTTP %d", shown, connection.response.status)
    return Exchange(connection, watch, shown)


def _stale(kept: Connection) -> bool:
    """Whether the server had closed a kept connection by the time we sent: then it has not worked on the request."""
    return kept.unanswered and clock.monotonic() - kept.stamps.started_at < _STALE_WITHIN_S


def _head(request: Request, target: address.Address, shown: str, *, keep: bool) -> bytes:
    """The request's head; outside a pool a connection serves one exchange, and the server is told so."""
    headers = {"host": target.host_header, "connection": "keep-alive" if keep else "close", "accept": "*/*"}
    headers |= {"accept-encoding": "identity", "user-agent": "pytest-llmbench"}
    if target.basic_auth:
        headers["authorization"] = target.basic_auth
    headers |= {name.lower(): value for name, value in request.headers.items()}
    if request.body or request.method not in {"GET", "HEAD"}:
        headers["content-length"] = str(len(request.body))
    for name, value in headers.items():
        _check_header(shown, name, value)
    lines = [f"{request.method} {target.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


@lru_cache(maxsize=256)
def _is_token(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None


def _check_header(shown: str, name: str, value: str) -> None:
    if not (_is_token(name) and value.isascii() and value.isprintable()):
        raise UsageError(  # the value may be a key: it is not shown
            f"{shown}: the header {name!r} holds a character that HTTP headers cannot carry",
            hint="a line break or a typographic quote may have been copied with the key",
        )
