"""The OpenAI-compatible chat format: what is sent, how the answer is read, when it is complete."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.clients.openai_decode import Decoded, decode_body
from pytest_llmbench.clients.openai_errors import classify, refusal, shorten
from pytest_llmbench.clients.openai_stream import StreamRecord
from pytest_llmbench.clients.request import ChatRequest, Endpoint
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.http import Deadlines, Exchange, Request, Stamps, open_exchange, read_body
from pytest_llmbench.records import Reply, Timing
from pytest_llmbench.secret import Secret

PATH = "/v1/chat/completions"

_MAX_ERROR_BYTES = 1024 * 1024
_BROKEN_OFF = frozenset(
    {Category.STREAM_TRUNCATED, Category.NETWORK_RESET, Category.TIMEOUT_IDLE, Category.TIMEOUT_TOTAL}
)


async def chat(endpoint: Endpoint, request: ChatRequest, deadlines: Deadlines, *, keep_events: bool = False) -> Reply:
    """Ask once; no retries.

    A reply is complete only when a terminal frame was seen: a finish reason or `[DONE]`.

    Args:
        endpoint: where to ask.
        request: what to ask.
        deadlines: of the exchange.
        keep_events: keep the raw events in `Reply.events`.

    Raises:
        WireError: no complete reply; what had come of a stream is in `partial_text`.
        UsageError: the URL or the key cannot be used.
    """
    called_at = clock.monotonic()
    outgoing = _outgoing(endpoint, request)
    received, failure = _Received(called_at), None
    try:
        async with open_exchange(outgoing, deadlines, streamed=request.stream) as exchange:
            await received.read(exchange, endpoint.api_key)
    except WireError as error:
        failure = error
    decoded = await received.decoded()
    if failure is None or (decoded.ended and failure.category in _BROKEN_OFF):
        failure = _failure(outgoing.shown, received, decoded, endpoint.api_key)
    if failure is not None:
        failure.partial_text = decoded.text
        raise failure
    return _reply(endpoint, request, received, decoded, keep_events=keep_events)


@dataclass(slots=True)
class _Received:
    """What has come of a response, undecoded."""

    called_at: float
    status: int = 0
    stamps: Stamps | None = None
    stream: StreamRecord | None = None
    """None where the body was not streamed."""
    whole: bytes = b""
    whole_at: float | None = None

    async def read(self, exchange: Exchange, secret: Secret) -> None:
        self.status, self.stamps = exchange.status, exchange.stamps
        if not 200 <= exchange.status < 300:
            raise refusal(exchange.shown, exchange.status, exchange.headers, await _error_body(exchange), secret)
        media_type = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type == "text/event-stream":
            self.stream = StreamRecord(exchange)
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
        return decode_body(self.whole) if self.whole_at is not None else Decoded()

    @property
    def ended_at(self) -> float | None:
        return self.whole_at if self.stream is None else self.stream.ended_at


async def _error_body(exchange: Exchange) -> bytes:
    """The body of an error, as far as it came: the status tells the category, however the body breaks off."""
    body = bytearray()
    with suppress(WireError):
        async for arrived_at, data in exchange.chunks(_MAX_ERROR_BYTES):
            exchange.answer_moved(arrived_at)
            body += data
    return bytes(body)


def _outgoing(endpoint: Endpoint, request: ChatRequest) -> Request:
    asked = {"max_tokens": request.max_tokens, "temperature": request.temperature, "seed": request.seed}
    body: dict[str, Any] = {"model": endpoint.model_id, "messages": list(request.messages), "stream": request.stream}
    body |= {name: value for name, value in asked.items() if value is not None}
    if request.stream:
        body["stream_options"] = {"include_usage": True}
    headers = {"content-type": "application/json"}
    if endpoint.api_key:
        headers["authorization"] = f"Bearer {endpoint.api_key.reveal()}"
    return Request("POST", endpoint.url(PATH), headers, json.dumps({**body, **request.extra}).encode())


def _failure(shown: str, received: _Received, decoded: Decoded, secret: Secret) -> WireError | None:
    """What is wrong with a response that came without a broken connection; None where it is a reply."""
    status, streamed = received.status, received.stream is not None
    if decoded.error is not None:
        told = shorten(str(decoded.error.get("message") or "an error without a message"), secret)
        category = Category.STREAM_ERROR_EVENT if streamed else classify(status, decoded.error)
        return WireError(f"{shown}: the provider reports: {told}", category=category, status=status)
    if decoded.malformed:
        told = f"{shown}: the server sent {shorten(decoded.malformed, secret)}"
        hint = "" if streamed else "is this the address of an OpenAI-compatible server?"
        return WireError(told, category=Category.STREAM_MALFORMED, status=status, hint=hint)
    if not decoded.ended:
        told = f"{shown}: the stream ended after {decoded.events} events without a finish reason or [DONE]"
        return WireError(told, category=Category.STREAM_TRUNCATED, status=status)
    return None


def _reply(
    endpoint: Endpoint, request: ChatRequest, received: _Received, decoded: Decoded, *, keep_events: bool
) -> Reply:
    return Reply(
        text=decoded.text,
        model=endpoint.name,
        served_model=decoded.served_model,
        reasoning=decoded.thought,
        finish_reason=decoded.finish_reason,
        usage=decoded.tokens(),
        timing=_timing(received, decoded),
        request_hash=request.hash(),
        streamed=received.stream is not None,
        events=_raw(received.stream) if keep_events and received.stream is not None else (),
    )


def _raw(stream: StreamRecord) -> tuple[str, ...]:
    return tuple(event.data.decode("utf-8", "replace") for event in stream.events())


def _timing(received: _Received, decoded: Decoded) -> Timing:
    stamps, times = received.stamps, decoded.token_times
    assert stamps is not None, "a reply has come, so an exchange was opened"
    return Timing(
        connect_s=_since(stamps.started_at, stamps.connected_at),
        written_s=_since(received.called_at, stamps.written_at),
        headers_s=_since(stamps.written_at, stamps.headers_at),
        ttft_s=_since(stamps.written_at, times[0] if times else None),
        ttft_answer_s=_since(stamps.written_at, decoded.answer_at),
        e2e_s=_since(stamps.written_at, received.ended_at),
        last_token_s=_since(stamps.written_at, times[-1] if times else None),
        gaps_s=tuple(later - earlier for earlier, later in pairwise(times)),
        server=decoded.timings,
    )


def _since(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start
