"""Connections that are used again after a stream: whether, and how long its end is waited for."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable

import pytest
from asking import PATIENT
from pool_servers import PATIENCE_S, Served, answering, serving, until

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint, chat
from pytest_llmbench.errors import WireError
from pytest_llmbench.http import pool

pytestmark = pytest.mark.usefixtures("on_both_loops")


EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"ok"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"%x\r\n%s\r\n" % (len(EVENTS), EVENTS)
)


def asked_twice(served: Served, *, between: Callable[[http.Pool], bool]) -> list[str]:
    """The texts of two streamed chats, the second asked when `between` holds."""
    where = Endpoint(base_url=served.url, model_id="m", name="demo/m")
    request = ChatRequest("demo/m", ({"role": "user", "content": "hello"},))

    async def ask(kept: http.Pool) -> list[str]:
        first = await chat(where, request, PATIENT, pool=kept)
        await until(lambda: between(kept))
        return [first.text, (await chat(where, request, PATIENT, pool=kept)).text]

    return http.run(ask(http.Pool()))


def usable(kept: http.Pool) -> bool:
    return any(one.connection.reusable for idle in kept._idle.values() for one in idle)


def test_a_stream_whose_last_chunk_comes_after_its_last_event_keeps_its_connection():
    """`[DONE]` ends the stream for us; the end of the response comes later, as most servers send it."""

    def say(connection: socket.socket, _number: int, _request: int) -> bool:
        connection.sendall(STREAM)
        time.sleep(0.05)
        connection.sendall(b"0\r\n\r\n")
        return True

    with serving(say) as served:
        assert asked_twice(served, between=usable) == ["ok", "ok"]
    assert served.seen == [2]


def test_the_next_request_waits_a_moment_for_the_end_of_a_stream(monkeypatch):
    """Rather than connect anew, which takes longer: the last bytes are on their way."""
    monkeypatch.setattr(pool, "ENDS_WITHIN_S", PATIENCE_S)

    def say(connection: socket.socket, _number: int, _request: int) -> bool:
        connection.sendall(STREAM)
        time.sleep(0.05)
        connection.sendall(b"0\r\n\r\n")
        return True

    with serving(say) as served:
        assert asked_twice(served, between=lambda _: True) == ["ok", "ok"]
    assert served.seen == [2]


def test_a_connection_that_is_lost_while_its_end_is_waited_for_is_replaced(monkeypatch):
    """At once: the waiting is over with it."""
    monkeypatch.setattr(pool, "ENDS_WITHIN_S", 3600.0)

    def say(connection: socket.socket, _number: int, _request: int) -> bool:
        connection.sendall(STREAM)
        time.sleep(0.05)
        return False

    with serving(say) as served:
        assert asked_twice(served, between=lambda _: True) == ["ok", "ok"]
    assert served.seen == [1, 1]


def test_an_end_that_comes_too_late_for_one_request_serves_those_after_it(monkeypatch):
    """It is waited for in the background: the connection is no lost one."""
    monkeypatch.setattr(pool, "ENDS_WITHIN_S", 0.01)
    monkeypatch.setattr(pool, "ENDS_AT_LAST_S", PATIENCE_S)
    late = threading.Event()

    def say(connection: socket.socket, number: int, request: int) -> bool:
        connection.sendall(STREAM)
        if number == 0 and request == 1:
            late.wait(PATIENCE_S)
        connection.sendall(b"0\r\n\r\n")
        return True

    async def ask(kept: http.Pool) -> None:
        where = Endpoint(base_url=served.url, model_id="m", name="demo/m")
        request = ChatRequest("demo/m", ({"role": "user", "content": "hello"},))
        for _ in range(2):
            await chat(where, request, PATIENT, pool=kept)
        late.set()
        await until(lambda: [one.connection.reusable for idle in kept._idle.values() for one in idle] == [True, True])
        await asyncio.gather(*(chat(where, request, PATIENT, pool=kept) for _ in range(2)))

    with serving(say) as served:
        http.run(ask(http.Pool()))
    assert served.seen == [2, 2]


def test_a_server_that_is_slow_to_end_its_streams_is_not_waited_for_again(monkeypatch):
    """Else each request would come late by as much."""

    async def ask(kept: http.Pool) -> None:
        where = Endpoint(base_url=served.url, model_id="m", name="demo/m")
        request = ChatRequest("demo/m", ({"role": "user", "content": "hello"},))
        for within_s in (0.01, 0.01, 3600.0):
            monkeypatch.setattr(pool, "ENDS_WITHIN_S", within_s)
            await chat(where, request, PATIENT, pool=kept)

    with serving(answering(STREAM)) as served:
        http.run(ask(http.Pool()))
    assert served.seen == [1, 1, 1]


def test_a_stream_whose_end_says_that_the_connection_closes_is_not_waited_for_any_longer(monkeypatch):
    """Also where the server forgets to hang up."""
    monkeypatch.setattr(pool, "ENDS_WITHIN_S", 3600.0)
    closing = STREAM.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)

    def say(connection: socket.socket, _number: int, _request: int) -> bool:
        connection.sendall(closing)
        time.sleep(0.05)
        connection.sendall(b"0\r\n\r\n")
        return True

    with serving(say) as served:
        assert asked_twice(served, between=lambda _: True) == ["ok", "ok"]
    assert served.seen == [1, 1]


def test_a_connection_whose_response_never_ends_is_closed_at_last(monkeypatch):
    """It would stay open for as long as there are newer ones to be used."""
    monkeypatch.setattr(pool, "ENDS_AT_LAST_S", 0.0)
    with serving(answering(STREAM)) as served:
        assert asked_twice(served, between=lambda kept: kept.idle == 1) == ["ok", "ok"]
        assert served.ended.acquire(timeout=PATIENCE_S)
    assert served.seen == [1, 1]


def test_a_stream_whose_end_never_comes_does_not_hold_up_the_next_one():
    """The next request goes over a fresh connection at once."""
    with serving(answering(STREAM)) as served:
        assert asked_twice(served, between=lambda kept: not usable(kept)) == ["ok", "ok"]
    assert served.seen == [1, 1]


def test_a_stream_that_goes_on_after_its_end_is_hung_up_on():
    """What comes behind `[DONE]` is bounded."""
    more = b"%x\r\n%s\r\n" % (200_000, bytes(200_000))
    hung_up = threading.Event()

    def say(connection: socket.socket, _number: int, _request: int) -> bool:
        connection.sendall(STREAM)
        try:
            while True:
                connection.sendall(more)
        except OSError:
            hung_up.set()
        return False

    with serving(say) as served:
        assert asked_twice(served, between=lambda _: hung_up.is_set()) == ["ok", "ok"]


def test_the_status_and_headers_are_told_once_for_success_and_refusal():
    """Limits are read from the headers of every response."""
    told: list[tuple[int, str]] = []
    answers = (
        b"HTTP/1.1 429 Slow down\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}",
        STREAM.replace(b"\r\n\r\n", b"\r\nX-RateLimit-Remaining-Requests: 3\r\n\r\n", 1) + b"0\r\n\r\n",
    )

    async def ask(kept: http.Pool) -> None:
        where = Endpoint(base_url=served.url, model_id="m", name="demo/m")
        request = ChatRequest("demo/m", ({"role": "user", "content": "hello"},))

        def on_headers(status: int, headers) -> None:
            told.append((status, headers.get("retry-after") or headers["x-ratelimit-remaining-requests"]))

        with pytest.raises(WireError):
            await chat(where, request, PATIENT, pool=kept, on_headers=on_headers)
        assert (await chat(where, request, PATIENT, pool=kept, on_headers=on_headers)).text == "ok"

    with serving(answering(*answers)) as served:
        http.run(ask(http.Pool()))
    assert told == [(429, "7"), (200, "3")]
    assert served.seen == [2]
