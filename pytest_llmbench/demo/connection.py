"""One connection of a client: requests in, pages out, one after the other. Timers instead of tasks, for speed."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import struct
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol, cast

import httptools

from pytest_llmbench import clock
from pytest_llmbench.demo.calls import Call, Sent
from pytest_llmbench.demo.steps import Event, Page, Raw, Reset, Step, Wait


class House(Protocol):
    """Who answers the calls of all connections."""

    def joined(self, connection: Connection) -> int:
        """A connection came; returns its number."""

    def left(self, connection: Connection) -> None:
        """It is gone."""

    def delay_s(self, call: Call) -> float:
        """How long the call waits for its turn."""

    def react(self, call: Call) -> Page:
        """What is played in answer."""

    def over(self, call: Call) -> None:
        """The response has ended, whole or broken off."""


class Connection(asyncio.Protocol):
    """Reads requests and plays pages. `timer_slack_s` is added to each wait, where the loop's timers come early."""

    def __init__(self, house: House, timer_slack_s: float = 0.0) -> None:
        self._house = house
        self._slack_s = timer_slack_s
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._number = 0
        self._waiting: deque[tuple[Call, bool]] = deque()
        self._now: Call | None = None
        self._keeps = False
        """Whether the connection stays open after the response under way."""
        self._page: Page
        self._steps: Iterator[Step] = iter(())
        self._out: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._held = False
        """The client does not read."""
        self._resumes = False
        """The page goes on as soon as the client reads."""
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._number = self._house.joined(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the signature is asyncio's
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()
        self._resumes = False
        self._end_call(complete=False)
        self._house.left(self)
        del self._parser  # it refers back to us

    def abort(self) -> None:
        """Break the connection off."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()
            return
        self._begin_next()

    def pause_writing(self) -> None:
        self._held = True

    def resume_writing(self) -> None:
        self._held = False
        if self._resumes:
            # Not from within: a write that fails here makes asyncio report the loss of the connection twice.
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._resumes:
            self._resumes = False
            self._go_on()

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body = b"", {}, []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        method, path = self._parser.get_method().decode("latin-1"), self._target.decode("latin-1")
        received_at = clock.monotonic()
        body = _body(b"".join(self._body), self._headers.get("content-type", ""))
        call = Call(method, path, self._headers, body, received_at, self._number)
        self._waiting.append((call, self._parser.should_keep_alive()))

    def _begin_next(self) -> None:
        if self._now is not None or not self._waiting or self._transport.is_closing():
            return
        self._now, self._keeps = self._waiting.popleft()
        if delay_s := self._house.delay_s(self._now):
            self._timer = self._loop.call_later(delay_s + self._slack_s, self._react)
        else:
            self._react()

    def _react(self) -> None:
        self._timer = None
        assert self._now is not None, "a call has begun"
        try:
            self._page = self._house.react(self._now)
        except BaseException:  # the loop hands it on to the script's author; the client is not left waiting
            self._transport.abort()
            raise
        self._now.status = self._page.status
        if self._page.headers_after_s:
            self._later(self._page.headers_after_s, self._open)
        else:
            self._open()

    def _open(self) -> None:
        self._timer = None
        self._steps = iter(self._page.steps)
        self._put(_head(self._page))
        self._go_on()

    def _go_on(self) -> None:
        """Play until something has to be waited for, or the page is over."""
        self._timer = None
        for step in self._steps:
            if not self._play(step):
                return
        if self._page.chunked and self._page.content_length is None:
            self._put(b"0\r\n\r\n")
        self._flush()
        self._end_page()

    def _play(self, step: Step) -> bool:
        """Play one step; returns whether the next one may follow at once."""
        match step:
            case Wait(0.0):
                return True
            case Wait(seconds):
                self._flush()
                self._later(seconds, self._go_on)
                return False
            case Event() | Raw():
                data = step.data
                chunked = data and self._page.chunked and self._page.content_length is None
                self._put(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                if self._now is not None:
                    self._now.sent.append(Sent(clock.monotonic(), step.kind, len(data)))
                # Each for itself, as servers send what they generate; uvloop joins what belongs to one turn.
                self._resumes = not self._flush()
                return not self._resumes
            case _:
                self._flush()
                self._break_off(reset=isinstance(step, Reset))
                return False

    def _later(self, seconds: float, then: Any) -> None:
        if math.isfinite(seconds):
            self._timer = self._loop.call_later(seconds + self._slack_s, then)

    def _put(self, data: bytes) -> None:
        self._out.append(data)

    def _flush(self) -> bool:
        """Hand what is ready to the socket; returns whether it takes more."""
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()
        return not (self._held or self._transport.is_closing())

    def _break_off(self, *, reset: bool) -> None:
        self._end_call(complete=False)
        if not reset:
            self._transport.close()
            return
        linger = struct.pack("ii", 1, 0)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()

    def _end_page(self) -> None:
        self._end_call(complete=True)
        ends_itself = self._page.chunked or self._page.content_length is not None
        if not (self._keeps and ends_itself and "Connection" not in self._page.headers):
            self._transport.close()
        elif self._waiting:
            self._loop.call_soon(self._begin_next)

    def _end_call(self, *, complete: bool) -> None:
        if self._now is not None:
            self._now.complete = complete
            call, self._now = self._now, None
            self._house.over(call)


def _body(raw: bytes, content_type: str) -> Any:
    if content_type.startswith("multipart/"):
        return raw
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _head(page: Page) -> bytes:
    extra = "".join(f"{name}: {text}\r\n" for name, text in page.headers.items()).encode("latin-1")
    length = page.content_length
    if length is not None:
        extra += b"Content-Length: %d\r\n" % length
    elif page.chunked:
        # llama-server advertises keep-alive and closes after a stream all the same.
        extra += b"Transfer-Encoding: chunked\r\nKeep-Alive: timeout=5, max=100\r\n"
    return _start(page.status, page.content_type) + extra + b"\r\n"


@lru_cache(maxsize=256)
def _start(status: int, content_type: str) -> bytes:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Scripted"
    return f"HTTP/1.1 {status} {phrase}\r\nContent-Type: {content_type}\r\n".encode("latin-1")
