"""Slow headers, slow bodies, stalls: each meets its own deadline, within a tenth of it."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import time

import pytest
from asking import PATIENT
from raw_servers import raw_server, read_request

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint, chat
from pytest_llmbench.errors import Category, WireError

LIMIT_S = 1.0
TRIES = 3
"""A busy machine may stop us for a tenth of the limit."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TOKEN = b'data: {"choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def dripping(start: bytes, drop: bytes, every_s: float = 0.05, count: int = 400):
    """Says `start`, then `drop` again and again; with no drop it falls silent."""

    def play(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(start)
        for _ in range(count):
            time.sleep(every_s)
            connection.sendall(drop)

    return play


def silent(connection: socket.socket) -> None:
    connection.recv(100_000_000)
    connection.recv(1)


STREAMS = {
    "no headers": (silent, "ttft_s", Category.TIMEOUT_TTFT),
    "headers byte by byte": (dripping(HEAD[:-2], b"X"), "ttft_s", Category.TIMEOUT_TTFT),
    "headers and no first token": (dripping(HEAD, b""), "ttft_s", Category.TIMEOUT_TTFT),
    "a first token byte by byte": (dripping(HEAD, b"1\r\nd\r\n"), "ttft_s", Category.TIMEOUT_TTFT),
    "pings instead of a first token": (dripping(HEAD, chunk(b": ping\n\n")), "ttft_s", Category.TIMEOUT_TTFT),
    "a stall after the first token": (dripping(HEAD + chunk(TOKEN), b""), "idle_s", Category.TIMEOUT_IDLE),
    "pings after the first token": (
        dripping(HEAD + chunk(TOKEN), chunk(b": ping\n\n")),
        "idle_s",
        Category.TIMEOUT_IDLE,
    ),
    "a second token byte by byte": (dripping(HEAD + chunk(TOKEN), b"1\r\nd\r\n"), "idle_s", Category.TIMEOUT_IDLE),
    "chunk framing after the first token": (
        dripping(HEAD + chunk(TOKEN) + b"1;", b"x"),
        "idle_s",
        Category.TIMEOUT_IDLE,
    ),
    "tokens without end": (dripping(HEAD, chunk(TOKEN)), "total_s", Category.TIMEOUT_TOTAL),
}
PLAIN = {
    "no headers": (silent, "total_s", Category.TIMEOUT_TOTAL),
    "headers byte by byte": (dripping(HEAD[:-2], b"X"), "total_s", Category.TIMEOUT_TOTAL),
    "a body that stalls": (dripping(HEAD + chunk(b"x"), b""), "idle_s", Category.TIMEOUT_IDLE),
    "a body byte by byte": (dripping(HEAD, chunk(b"x")), "total_s", Category.TIMEOUT_TOTAL),
}


def asked(address: str, deadlines: http.Deadlines, *, streamed: bool):
    if streamed:
        endpoint = Endpoint(base_url=f"http://{address}", model_id="m", name="m")
        return chat(endpoint, ChatRequest("m", ({"role": "user", "content": "hi"},)), deadlines)
    return http.fetch(http.Request("GET", f"http://{address}/"), deadlines)


async def late(coroutine) -> tuple[WireError, bool]:
    """The failure, and whether it came within a tenth of the limit, by the event loop's own clock."""
    loop = asyncio.get_running_loop()
    begun_at = loop.time()
    with pytest.raises(WireError) as caught:
        await coroutine
    return caught.value, abs(loop.time() - begun_at - LIMIT_S) <= LIMIT_S / 10


def check(play, deadline: str, category: Category, *, streamed: bool) -> None:
    deadlines = dataclasses.replace(PATIENT, **{deadline: LIMIT_S})
    for _ in range(TRIES):
        with raw_server(play) as address:
            failure, in_time = http.run(late(asked(address, deadlines, streamed=streamed)))
        assert failure.category is category
        if in_time:
            return
    pytest.fail(f"{category} came more than a tenth early or late, {TRIES} times")


@pytest.mark.parametrize("case", STREAMS.values(), ids=STREAMS)
def test_a_slow_stream_meets_its_deadline(case):
    """Neither bytes that are no event nor events that are no answer keep it away."""
    check(*case, streamed=True)


@pytest.mark.parametrize("case", PLAIN.values(), ids=PLAIN)
def test_a_slow_whole_answer_meets_its_deadline(case):
    """It has no first token: the total counts until the body has begun, then its silences too."""
    check(*case, streamed=False)


def test_a_request_nobody_reads_meets_the_deadline_of_the_first_token():
    """The socket takes a few megabytes and no more."""
    deadlines = dataclasses.replace(PATIENT, ttft_s=0.5)

    async def send(address):
        request = http.Request("POST", f"http://{address}/", {}, b"x" * 30_000_000)
        async with http.open_exchange(request, deadlines, streamed=True):
            pass

    with raw_server(lambda _: time.sleep(1.5)) as address, pytest.raises(WireError) as caught:
        http.run(send(address))
    assert caught.value.category is Category.TIMEOUT_TTFT


def test_a_tls_handshake_that_never_ends_meets_the_connect_deadline():
    """The port is open, and nobody speaks TLS there."""
    deadlines = dataclasses.replace(PATIENT, connect_s=0.5)
    with raw_server(silent) as address, pytest.raises(WireError) as caught:
        http.run(http.fetch(http.Request("GET", f"https://{address}/"), deadlines))
    assert caught.value.category is Category.TIMEOUT_CONNECT
