"""One exchange in any wire format: sent, read, judged, and made a reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

from pytest_llmbench import clock
from pytest_llmbench.clients.decoded import Decoded
from pytest_llmbench.clients.refusals import address_hint, refusal, reported, shorten
from pytest_llmbench.clients.request import ChatRequest, Endpoint
from pytest_llmbench.clients.stream import StreamRecord
from pytest_llmbench.clients.wire import OnHeaders, OnText, Wire
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.http import Deadlines, Exchange, Request, Stamps, open_exchange, read_body
from pytest_llmbench.http.pool import Pool
from pytest_llmbench.records import Reply, Timing, Usage
from pytest_llmbench.secret import Secret

_MAX_ERROR_BYTES = 1024 * 1024
_BROKEN_OFF = frozenset(
    {Category.STREAM_TRUNCATED, Category.NETWORK_RESET, Category.TIMEOUT_IDLE, Category.TIMEOUT_TOTAL}
)


async def ask(
    wire: Wire,
    endpoint: Endpoint,
    request: ChatRequest,
    deadlines: Deadlines,
    *,
    keep_events: bool = False,
    pool: Pool | None = None,
    on_headers: OnHeaders | None = None,
    on_text: OnText | None = None,
) -> Reply:
    """Ask once; no retries.

    A reply is complete only when a terminal frame was seen: a finish reason, or the last event of the format.

    Args:
        wire: the format.
        endpoint: where to ask.
        request: what to ask.
        deadlines: of the exchange.
        keep_events: keep the raw events in `Reply.events`.
        pool: where the connection comes from; None is a connection of its own, as measuring has it.
        on_headers: told the status and the headers of the response.
        on_text: given the answer's text as it comes; costs time between two events, so not while speed is measured.

    Raises:
        WireError: no complete reply; what had come of a stream is in `partial_text`, what it used in `usage`.
        UsageError: the request cannot be said in this format, or the URL or the key cannot be used.
    """
    called_at = clock.monotonic()
    outgoing = _outgoing(wire, endpoint, request)
    received, failure = _Received(wire, endpoint.api_key, called_at), None
    try:
        async with open_exchange(outgoing, deadlines, streamed=request.stream, pool=pool) as exchange:
            await received.read(exchange, on_headers, on_text)
    except WireError as error:
        failure = error
    decoded = await received.decoded()
    if failure is None or (decoded.ended and failure.category in _BROKEN_OFF):
        failure = received.failure(outgoing.shown, decoded)
    if failure is not None:
        raise received.told(failure, decoded)
    if on_text is not None and received.stream is None and decoded.text:
        on_text(decoded.text)
    return received.reply(endpoint, request, decoded, keep_events=keep_events)


def read_whole(wire: Wire, endpoint: Endpoint, request: ChatRequest, body: bytes) -> Reply:
    """The reply in a body that came by another way than asking, as from a batch API; it has no times.

    Raises:
        WireError: it is an error of the provider, or no reply.
    """
    received = _Received(wire, endpoint.api_key, status=200)
    decoded = wire.decoder().take_whole(body)
    if (failure := received.failure(endpoint.name, decoded)) is not None:
        raise received.told(failure, decoded)
    return received.reply(endpoint, request, decoded)


@dataclass(slots=True)
class _Received:
    """What has come of a response, undecoded."""

    wire: Wire
    secret: Secret
    called_at: float = 0.0
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    stamps: Stamps | None = None
    stream: StreamRecord | None = None
    """None where the body was not streamed."""
    whole: bytes = b""
    whole_at: float | None = None

    async def read(self, exchange: Exchange, on_headers: OnHeaders | None, on_text: OnText | None) -> None:
        self.status, self.headers, self.stamps = exchange.status, exchange.headers, exchange.stamps
        if on_headers is not None:
            on_headers(exchange.status, exchange.headers)
        if not 200 <= exchange.status < 300:
            body = await _error_body(exchange)
            raise refusal(exchange.shown, exchange.status, exchange.headers, body, self.secret, wanted=self.wire.name)
        media_type = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type == "text/event-stream":
            self.stream = StreamRecord(exchange, self.wire, on_text)
            await exchange.deliver(self.stream)
        else:
            self.whole = await read_body(exchange)
            self.whole_at = clock.monotonic()

    async def decoded(self) -> Decoded:
        """What the response said, as far as it came.

        Raises:
            WireError: `stream.too_large`.
        """
        if self.stream is not None:
            return await self.stream.decoded()
        return self.wire.decoder().take_whole(self.whole) if self.whole_at is not None else self.wire.decoder()

    def failure(self, shown: str, decoded: Decoded) -> WireError | None:
        """What is wrong with a response that came without a broken connection; None where it is a reply."""
        status, streamed = self.status, self.stream is not None
        if decoded.error is not None:
            return reported(shown, status, decoded.error, self.secret, streamed=streamed)
        if decoded.malformed:
            told = f"{shown}: the server sent {shorten(decoded.malformed, self.secret)}"
            hint = "" if streamed else address_hint(self.wire.name)
            return WireError(told, category=Category.STREAM_MALFORMED, status=status, hint=hint)
        if not decoded.ended:
            told = f"{shown}: the stream ended after {decoded.events} events without a finish reason or its last event"
            return WireError(told, category=Category.STREAM_TRUNCATED, status=status)
        return None

    def told(self, failure: WireError, decoded: Decoded) -> WireError:
        """The failure with what had come all the same.

        Until the end of a stream its counts of what was generated are those of a part: then they are not told.
        """
        usage = decoded.tokens()
        if self.stream is not None and not decoded.ended:
            usage = Usage(usage.prompt_tokens, None, usage.cached_tokens, usage.cache_write_tokens)
        failure.partial_text, failure.headers = decoded.text, self.headers
        failure.usage = usage if usage != Usage() else None
        return failure

    def reply(self, endpoint: Endpoint, request: ChatRequest, decoded: Decoded, *, keep_events: bool = False) -> Reply:
        return Reply(
            text=decoded.text,
            model=endpoint.name,
            served_model=decoded.served_model,
            reasoning=decoded.thought,
            tool_calls=tuple(decoded.tool_calls),
            finish_reason=decoded.finish_reason,
            usage=decoded.tokens(),
            timing=self._timing(decoded),
            request_hash=request.hash(),
            streamed=self.stream is not None,
            events=_raw(self.stream) if keep_events and self.stream is not None else (),
        )

    def _timing(self, decoded: Decoded) -> Timing:
        stamps, times = self.stamps, decoded.token_times
        if stamps is None:
            return Timing(server=decoded.timings)
        ended_at = self.whole_at if self.stream is None else self.stream.ended_at
        return Timing(
            connect_s=_since(stamps.started_at, stamps.connected_at),
            written_s=_since(self.called_at, stamps.written_at),
            headers_s=_since(stamps.written_at, stamps.headers_at),
            ttft_s=_since(stamps.written_at, times[0] if times else None),
            ttft_answer_s=_since(stamps.written_at, decoded.answer_at),
            e2e_s=_since(stamps.written_at, ended_at),
            last_token_s=_since(stamps.written_at, times[-1] if times else None),
            gaps_s=tuple(later - earlier for earlier, later in pairwise(times)),
            server=decoded.timings,
        )


def _outgoing(wire: Wire, endpoint: Endpoint, request: ChatRequest) -> Request:
    headers = {**endpoint.headers, "content-type": "application/json", **wire.headers(endpoint)}
    return Request("POST", wire.url(endpoint), headers, json.dumps(wire.body(endpoint, request)).encode())


async def _error_body(exchange: Exchange) -> bytes:
    """The body of an error, as far as it came: the status tells the category, however the body breaks off."""
    body = bytearray()
    with suppress(WireError):
        async for arrived_at, data in exchange.chunks(_MAX_ERROR_BYTES):
            exchange.answer_moved(arrived_at)
            body += data
    return bytes(body)


def _raw(stream: StreamRecord) -> tuple[str, ...]:
    return tuple(event.data.decode("utf-8", "replace") for event in stream.events())


def _since(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start
