"""The OpenAI-compatible chat format: what is sent, how the answer is read, when it is complete."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from pytest_llmbench import clock, sse
from pytest_llmbench.clients.openai_decode import DONE, Decoded, decode_body, decode_events, may_tell_error
from pytest_llmbench.clients.openai_errors import classify, refusal, shorten
from pytest_llmbench.clients.request import ChatRequest, Endpoint
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.http import Deadlines, Exchange, Request, Stamps, open_exchange, read_body
from pytest_llmbench.records import Reply, Timing

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
    outgoing = _outgoing(endpoint, request)
    received, failure = _Received(), None
    try:
        async with open_exchange(outgoing, deadlines, streamed=request.stream) as exchange:
            await received.read(exchange, endpoint.api_key)
    except WireError as error:
        failure = error
    decoded = decode_events(received.events) if received.whole is None else decode_body(received.whole)
    if failure is None or (decoded.ended and failure.category in _BROKEN_OFF):
        failure = _failure(outgoing.shown, received, decoded, endpoint.api_key)
    if failure is not None:
        failure.partial_text = decoded.text
        raise failure
    return _reply(endpoint, request, received, decoded, keep_events=keep_events)


@dataclass(slots=True)
class _Received:
    """What has come of a response, undecoded."""

    status: int = 0
    stamps: Stamps | None = None
    events: list[sse.Event] = field(default_factory=list)
    whole: bytes | None = None
    """The body, where it was not streamed."""
    ended_at: float | None = None

    async def read(self, exchange: Exchange, secret: str) -> None:
        self.status, self.stamps = exchange.status, exchange.stamps
        if not 200 <= exchange.status < 300:
            body = await read_body(exchange, _MAX_ERROR_BYTES)
            raise refusal(exchange.shown, exchange.status, exchange.headers, body, secret)
        if exchange.headers.get("content-type", "").startswith("text/event-stream"):
            await self._read_stream(exchange)
        else:
            self.whole = await read_body(exchange)
            self.ended_at = clock.monotonic()

    async def _read_stream(self, exchange: Exchange) -> None:
        parser, begun = sse.Parser(exchange.shown), False
        async with aclosing(exchange.chunks()) as chunks:
            async for arrived_at, data in chunks:
                for event in parser.feed(arrived_at, data):
                    self.events.append(event)
                    self.ended_at = arrived_at
                    over = event.data == DONE
                    if not begun or may_tell_error(event):
                        seen = decode_events([event])
                        begun = begun or bool(seen.token_times)
                        over = over or bool(seen.error or seen.malformed)
                    if over:
                        return
                    if begun:
                        exchange.answer_moved()


def _outgoing(endpoint: Endpoint, request: ChatRequest) -> Request:
    asked = {"max_tokens": request.max_tokens, "temperature": request.temperature, "seed": request.seed}
    body: dict[str, Any] = {"model": endpoint.model_id, "messages": list(request.messages), "stream": request.stream}
    body |= {name: value for name, value in asked.items() if value is not None}
    if request.stream:
        body["stream_options"] = {"include_usage": True}
    headers = {"content-type": "application/json"}
    if endpoint.api_key:
        headers["authorization"] = f"Bearer {endpoint.api_key}"
    return Request("POST", endpoint.url(PATH), headers, json.dumps({**body, **request.extra}).encode())


def _failure(shown: str, received: _Received, decoded: Decoded, secret: str) -> WireError | None:
    """What is wrong with a response that came without a broken connection; None where it is a reply."""
    status, streamed = received.status, received.whole is None
    if decoded.error is not None:
        told = shorten(str(decoded.error.get("message") or "an error without a message"), secret)
        category = Category.STREAM_ERROR_EVENT if streamed else classify(status, decoded.error)
        return WireError(f"{shown}: the provider reports: {told}", category=category, status=status)
    if decoded.malformed:
        told = f"{shown}: the server sent {shorten(decoded.malformed, secret)}"
        hint = "" if streamed else "is this the address of an OpenAI-compatible server?"
        return WireError(told, category=Category.STREAM_MALFORMED, status=status, hint=hint)
    if not decoded.ended:
        told = f"{shown}: the stream ended after {len(received.events)} events without a finish reason or [DONE]"
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
        streamed=received.whole is None,
        events=tuple(event.data.decode("utf-8", "replace") for event in received.events) if keep_events else (),
    )


def _timing(received: _Received, decoded: Decoded) -> Timing:
    stamps, times = received.stamps, decoded.token_times
    assert stamps is not None, "a reply has come, so an exchange was opened"
    return Timing(
        connect_s=_since(stamps.started_at, stamps.connected_at),
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
