"""One request and its response, on a connection of its own, with stamps and deadlines."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, UsageError, WireError
from pytest_llmbench.http.failures import wire_error

MAX_BODY_BYTES = 64 * 1024 * 1024
"""A response longer than this is refused: no model writes that much, and memory is shared with what is measured."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each part of an exchange may take, in seconds."""

    connect_s: float
    ttft_s: float
    """Request written → first generated token (streams only)."""
    idle_s: float
    """The longest silence once the answer has begun."""
    total_s: float
    """The whole exchange, connecting included."""


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
        url = httpx.URL(self.url)
        return f"{self.method} {url.copy_with(userinfo=b'', query=None, fragment=None)}"


@dataclass(slots=True)
class Stamps:
    """Readings of `clock.monotonic`; None where that point was not reached."""

    started_at: float
    connected_at: float | None = None
    """TCP connected and, for https, the TLS handshake done."""
    written_at: float | None = None
    """The last byte of the request was handed to the socket."""
    headers_at: float | None = None


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

    def __init__(self, response: httpx.Response, stamps: Stamps, watch: _Watch, shown: str) -> None:
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.stamps = stamps
        self.shown = shown
        self._response = response
        self._watch = watch

    async def chunks(self, max_bytes: int = MAX_BODY_BYTES) -> AsyncGenerator[tuple[float, bytes], None]:
        """The body as it arrives: `(arrived_at, data)`, stamped with `clock.monotonic` before anything else.

        Raises:
            WireError: a deadline passed, the connection broke, or the body grew over `max_bytes`.
        """
        self._refuse_compression()
        received = 0
        async for data in self._response.aiter_raw():
            arrived_at = clock.monotonic()
            received += len(data)
            if received > max_bytes:
                raise WireError(
                    f"{self.shown}: the response is larger than {max_bytes} bytes",
                    category=Category.STREAM_TOO_LARGE,
                    status=self.status,
                )
            yield arrived_at, data

    def answer_moved(self) -> None:
        """Tell the deadlines that the answer has begun or gone on: from now on `idle_s` counts, from this moment."""
        self._watch.enter(Category.TIMEOUT_IDLE)

    def _refuse_compression(self) -> None:
        encoding = self.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise WireError(
                f"{self.shown}: the response is compressed ({encoding[:40]!r}), which was not asked for",
                category=Category.STREAM_MALFORMED,
                status=self.status,
                hint="a proxy between here and the server compresses; stamps of compressed events would mean nothing",
            )


@asynccontextmanager
async def open_exchange(request: Request, deadlines: Deadlines, *, streamed: bool) -> AsyncIterator[Exchange]:
    """Send `request` on a connection of its own; yields once the response's headers have come.

    The connection is closed at the end, also when the block is left early or cancelled.

    Args:
        request: what to send.
        deadlines: `ttft_s` holds until the first `Exchange.answer_moved()`, and only where `streamed`.
        deadlines.total_s: holds over the whole block.
        streamed: whether the answer is expected token by token.

    Raises:
        WireError: with the category of what failed; a deadline names the one that passed.
    """
    client = _client(request)
    stamps = Stamps(started_at=clock.monotonic())
    watch = _Watch(deadlines, streamed=streamed)
    try:
        async with watch.timer, client:
            watch.enter(Category.TIMEOUT_CONNECT)
            response = await _send(client, request, stamps, watch)
            try:
                yield Exchange(response, stamps, watch, request.shown)
            finally:
                await response.aclose()
    except TimeoutError:
        if not watch.timer.expired():
            raise
        raise watch.error(request.shown) from None
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise wire_error(error, request.shown, headers_came=stamps.headers_at is not None) from error


async def fetch(request: Request, deadlines: Deadlines, *, max_bytes: int = MAX_BODY_BYTES) -> Fetched:
    """Send `request` and read the whole response, whatever its status.

    Raises:
        WireError: nothing usable came back.
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
    async for _, data in exchange.chunks(max_bytes):
        exchange.answer_moved()
        body += data
    return bytes(body)


class _Watch:
    """The deadline in force: that of the present phase, or the total where it is nearer."""

    def __init__(self, deadlines: Deadlines, *, streamed: bool) -> None:
        self._now = asyncio.get_running_loop().time
        self._ends_at = self._now() + deadlines.total_s
        self._limits_s = {
            Category.TIMEOUT_CONNECT: deadlines.connect_s,
            Category.TIMEOUT_TTFT: deadlines.ttft_s if streamed else deadlines.total_s,
            Category.TIMEOUT_IDLE: deadlines.idle_s,
            Category.TIMEOUT_TOTAL: deadlines.total_s,
        }
        self._in_force = Category.TIMEOUT_TOTAL
        self.timer = asyncio.timeout_at(self._ends_at)

    def enter(self, phase: Category) -> None:
        phase_ends_at = self._now() + self._limits_s[phase]
        self._in_force = phase if phase_ends_at < self._ends_at else Category.TIMEOUT_TOTAL
        self.timer.reschedule(min(phase_ends_at, self._ends_at))

    def error(self, shown: str) -> WireError:
        phase = self._in_force
        late_for = {
            Category.TIMEOUT_CONNECT: "no connection",
            Category.TIMEOUT_TTFT: "no generated token",
            Category.TIMEOUT_IDLE: "nothing more of the answer",
            Category.TIMEOUT_TOTAL: "not finished",
        }[phase]
        option = phase.value.removeprefix("timeout.")
        return WireError(
            f"{shown}: {late_for} within {self._limits_s[phase]:g} s",
            category=phase,
            hint=f"raise it with --llmbench-{option}-timeout-s if the model is only slow",
        )


def _client(request: Request) -> httpx.AsyncClient:
    """A client for one exchange: servers close after a stream, whatever they advertise, so none is used again."""
    try:
        scheme = httpx.URL(request.url).scheme
    except httpx.InvalidURL as error:
        raise UsageError(f"{request.url!r} is not a URL: {error}") from error
    for name, value in request.headers.items():
        if not (value.isascii() and value.isprintable()):
            raise UsageError(  # the value may be a key: it is not shown
                f"{request.shown}: the header {name} holds a character that HTTP headers cannot carry",
                hint="a line break or a typographic quote may have been copied with the key",
            )
    timeout = httpx.Timeout(None)  # our own deadlines hold, each with its category
    return httpx.AsyncClient(verify=_tls(scheme), trust_env=False, timeout=timeout, follow_redirects=False)


@functools.cache
def _tls(scheme: str) -> ssl.SSLContext:
    """Reading the CA certificates takes tens of ms, so only https pays for it; the bare context trusts nobody."""
    return httpx.create_ssl_context() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _send(client: httpx.AsyncClient, request: Request, stamps: Stamps, watch: _Watch) -> httpx.Response:
    async def trace(event: str, _info: Mapping[str, Any]) -> None:
        now = clock.monotonic()
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            stamps.connected_at = now
        elif event.endswith("send_request_headers.started"):
            watch.enter(Category.TIMEOUT_TTFT)
        elif event.endswith("send_request_body.complete"):
            stamps.written_at = now
            watch.enter(Category.TIMEOUT_TTFT)
        elif event.endswith("receive_response_headers.complete"):
            stamps.headers_at = now

    headers = {"accept-encoding": "identity", **request.headers}
    extensions = {"trace": trace}
    outgoing = client.build_request(
        request.method, request.url, headers=headers, content=request.body or None, extensions=extensions
    )
    return await client.send(outgoing, stream=True)
