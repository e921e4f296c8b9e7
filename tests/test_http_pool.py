"""Connections that are used again: when they are, when they must not be, and what a stale one costs."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from asking import PATIENT
from pool_servers import OK, PATIENCE_S, Served, answering, failed, fetched, serving, until
from raw_servers import raw_server, read_request, unix_server

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint, chat
from pytest_llmbench.demo import DemoProvider
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.http import exchange, pool
from pytest_llmbench.http.response import Response

pytestmark = pytest.mark.usefixtures("on_both_loops")


def test_requests_one_after_another_go_over_one_connection():
    """The server sees one connection with all requests on it."""

    async def ask(kept: http.Pool) -> list[bytes]:
        return [await fetched(served.url, kept) for _ in range(5)]

    with serving(answering(OK)) as served:
        assert http.run(ask(http.Pool())) == [b"ok"] * 5
    assert served.seen == [5]


def test_a_kept_connection_has_no_time_of_connecting():
    """The first exchange connected and says when; the second did not."""

    async def ask(kept: http.Pool) -> list[http.Stamps]:
        stamps = []
        for _ in range(2):
            async with http.open_exchange(http.Request("GET", served.url), PATIENT, streamed=False, pool=kept) as one:
                await http.read_body(one)
                stamps.append(one.stamps)
        return stamps

    with serving(answering(OK)) as served:
        first, second = http.run(ask(http.Pool()))
    assert first.started_at < first.connected_at < first.written_at < first.headers_at
    assert second.connected_at is None
    assert second.started_at < second.written_at < second.headers_at


def test_without_a_pool_each_exchange_connects_anew_and_says_that_it_closes():
    """The measuring path: one request a connection, and `connection: close` in its head."""
    heads: list[bytes] = []

    def play(connection: socket.socket) -> None:
        heads.append(read_request(connection)[0])
        connection.sendall(OK)

    with raw_server(play) as where:
        for _ in range(3):
            http.run(http.fetch(http.Request("GET", f"http://{where}/"), PATIENT))
    assert len(heads) == 3
    assert all(b"\r\nconnection: close\r\n" in head for head in heads)


def test_many_at_once_each_have_a_connection_and_the_next_round_uses_them_again():
    """Twenty under way at once need twenty connections; another twenty need no more."""

    async def ask(kept: http.Pool) -> None:
        for _ in range(2):
            assert await asyncio.gather(*[fetched(served.url, kept) for _ in range(20)]) == [b"ok"] * 20

    together = threading.Barrier(20)

    def say(connection: socket.socket, _number: int, _request: int) -> bool:
        together.wait(PATIENCE_S)
        connection.sendall(OK)
        return True

    with serving(say, backlog=64) as served:
        http.run(ask(http.Pool()))
    assert served.seen == [2] * 20


def test_servers_do_not_share_connections():
    """What was kept for one address is not used for another."""

    async def ask(kept: http.Pool) -> None:
        for url in (one.url, other.url, one.url, other.url):
            await fetched(url, kept)

    with serving(answering(OK)) as one, serving(answering(OK)) as other:
        http.run(ask(http.Pool()))
    assert one.seen == other.seen == [2]


def test_a_unix_socket_is_kept_too(tmp_path):
    """The pool knows it by its path."""
    served = Served(answering(OK))

    async def ask(kept: http.Pool) -> None:
        for _ in range(3):
            await fetched("http+unix://" + str(tmp_path / "s").replace("/", "%2F"), kept)

    with unix_server(str(tmp_path / "s"), served.play):
        http.run(ask(http.Pool()))
        http.close()
    assert served.seen == [3]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), id="says-close"),
        pytest.param(OK.replace(b"1.1", b"1.0"), id="http-1.0"),
        pytest.param(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", id="answers-twice"),
        pytest.param(OK + b"surplus", id="more-than-its-length"),
    ],
)
def test_a_connection_that_cannot_be_trusted_is_not_used_again(answer):
    """The next request goes over a fresh one and gets its own answer."""

    async def ask(kept: http.Pool) -> None:
        for _ in range(3):
            assert await fetched(served.url, kept) == b"ok"

    with serving(answering(answer)) as served:
        http.run(ask(http.Pool()))
    assert served.seen == [1, 1, 1]


def test_bytes_that_come_late_behind_an_answer_are_not_taken_for_the_next_one():
    """A server that answers twice with a pause between: the second answer belongs to nobody."""
    late = threading.Event()

    def say(connection: socket.socket, number: int, _request: int) -> bool:
        connection.sendall(OK)
        if number == 0:
            late.wait(PATIENCE_S)
            connection.sendall(OK.replace(b"ok", b"no"))
        return True

    async def ask(kept: http.Pool) -> None:
        assert await fetched(served.url, kept) == b"ok"
        assert kept.idle == 1
        late.set()
        await asyncio.to_thread(served.ended.acquire, timeout=PATIENCE_S)  # ours has hung up on it
        assert await fetched(served.url, kept) == b"ok"

    with serving(say) as served:
        http.run(ask(http.Pool()))
    assert served.seen == [1, 1]


def test_an_exchange_that_was_left_early_takes_its_connection_with_it():
    """A body read halfway, or never, would stand before the next answer."""

    async def ask(kept: http.Pool) -> None:
        async with http.open_exchange(http.Request("GET", served.url), PATIENT, streamed=False, pool=kept) as opened:
            assert opened.status == 200
        error = await failed(served.url, kept, max_bytes=100)
        assert error.category is Category.STREAM_TOO_LARGE
        assert kept.idle == 0

    with serving(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(90_000))) as served:
        http.run(ask(http.Pool()))
    assert served.seen == [1, 1]


def test_a_cancelled_exchange_takes_its_connection_with_it():
    """The answer that is still to come would be taken for the next request's."""
    asked = threading.Event()

    def say(_connection: socket.socket, _number: int, _request: int) -> bool:
        asked.set()
        return True

    async def ask(kept: http.Pool) -> None:
        asking = asyncio.create_task(fetched(served.url, kept))
        await until(asked.is_set)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert kept.idle == 0
        assert await asyncio.to_thread(served.ended.acquire, timeout=PATIENCE_S)

    with serving(say) as served:
        http.run(ask(http.Pool()))


def test_a_connection_that_the_server_closed_meanwhile_is_not_even_tried():
    """Its end was seen when it came."""

    async def ask(kept: http.Pool) -> None:
        await fetched(served.url, kept)
        await asyncio.to_thread(served.ended.acquire, timeout=PATIENCE_S)
        await until(lambda: not any(one.connection.reusable for idle in kept._idle.values() for one in idle))
        await fetched(served.url, kept)

    def say(connection: socket.socket, _number: int, _request: int) -> bool:
        connection.sendall(OK)
        return False

    with serving(say) as served:
        http.run(ask(http.Pool()))
    assert served.seen == [1, 1]


def closing_at_the_second(connection: socket.socket, number: int, request: int) -> bool:
    """Hangs up on the second request of the first connection, as a server does that closes idle ones right then."""
    if number == 0 and request == 2:
        return False
    connection.sendall(OK)
    return True


def test_a_kept_connection_that_turns_out_closed_is_replaced_by_a_fresh_one():
    """No attempt is lost: the caller gets the answer, and is told headers once."""

    async def ask(kept: http.Pool) -> None:
        assert [await fetched(served.url, kept) for _ in range(3)] == [b"ok"] * 3

    with serving(closing_at_the_second) as served:
        http.run(ask(http.Pool()))
    assert served.seen == [2, 2]


def test_a_fresh_connection_that_is_hung_up_on_is_not_tried_again():
    """Once: then it is the server, not the connection."""

    def say(connection: socket.socket, number: int, request: int) -> bool:
        if number == 0 and request == 1:
            connection.sendall(OK)
            return True
        return False

    async def ask(kept: http.Pool) -> WireError:
        await fetched(served.url, kept)
        return await failed(served.url, kept)

    with serving(say) as served:
        assert http.run(ask(http.Pool())).category is Category.NETWORK_RESET
    assert served.seen == [2, 1]


def test_a_server_that_worked_on_a_request_and_hung_up_is_not_asked_twice(monkeypatch):
    """What it worked on may be billed: that is an attempt, which the caller decides about."""
    monkeypatch.setattr(exchange, "_STALE_WITHIN_S", 0.0)

    async def ask(kept: http.Pool) -> WireError:
        await fetched(served.url, kept)
        return await failed(served.url, kept)

    with serving(closing_at_the_second) as served:
        assert http.run(ask(http.Pool())).category is Category.NETWORK_RESET
    assert served.seen == [2]


def test_an_answer_that_breaks_off_on_a_kept_connection_is_not_asked_for_again():
    """One byte of it is enough: the server has worked on the request."""

    def say(connection: socket.socket, number: int, request: int) -> bool:
        connection.sendall(OK if request == 1 else b"H")
        return number == 0 and request == 1

    async def ask(kept: http.Pool) -> WireError:
        await fetched(served.url, kept)
        return await failed(served.url, kept)

    with serving(say) as served:
        assert http.run(ask(http.Pool())).category is Category.NETWORK_RESET
    assert served.seen == [2]


def test_a_connection_that_nobody_uses_is_closed_after_a_while(monkeypatch):
    """The server sees its end; the pool is empty and its timer stands still."""
    monkeypatch.setattr(pool, "IDLE_S", 0.05)

    async def ask(kept: http.Pool) -> None:
        await fetched(served.url, kept)
        assert kept.idle == 1
        assert await asyncio.to_thread(served.ended.acquire, timeout=PATIENCE_S)
        assert kept.idle == 0
        await fetched(served.url, kept)

    with serving(answering(OK)) as served:
        http.run(ask(http.Pool()))
    assert served.seen == [1, 1]


def test_the_pool_keeps_no_more_than_its_limit(monkeypatch):
    """What is too much is closed at once."""
    monkeypatch.setattr(pool, "MAX_IDLE", 3)
    together = threading.Barrier(8)

    def say(connection: socket.socket, _number: int, _request: int) -> bool:
        together.wait(PATIENCE_S)
        connection.sendall(OK)
        return True

    async def ask(kept: http.Pool) -> int:
        await asyncio.gather(*[fetched(served.url, kept) for _ in range(8)])
        return kept.idle

    with serving(say) as served:
        assert http.run(ask(http.Pool())) == 3


def test_closing_the_background_loop_closes_what_was_kept():
    """The server sees the end of the connection, and the next loop begins with none."""
    kept = http.Pool()
    with serving(answering(OK)) as served:
        http.run(fetched(served.url, kept))
        http.close()
        assert served.ended.acquire(timeout=PATIENCE_S)
        assert http.run(fetched(served.url, kept)) == b"ok"
    assert served.seen == [1, 1]


def test_on_a_loop_of_the_callers_own_the_pool_is_closed_by_the_caller():
    """No connection is left open, and nothing of one loop is used on another."""
    kept = http.Pool()

    async def ask() -> None:
        assert await fetched(served.url, kept) == b"ok"
        await kept.close()
        assert kept.idle == 0

    with serving(answering(OK)) as served:
        asyncio.run(ask())
        asyncio.run(ask())
    assert served.seen == [1, 1]


def test_the_demo_provider_keeps_connections_too():
    """Streamed and whole replies of a hundred questions come over one connection."""

    async def ask(kept: http.Pool, where: Endpoint) -> None:
        for number in range(100):
            request = ChatRequest("demo/m", ({"role": "user", "content": "hello"},), stream=number % 2 == 0)
            await chat(where, request, PATIENT, pool=kept)
        assert kept.idle == 1

    with DemoProvider() as provider:
        http.run(ask(http.Pool(), Endpoint(base_url=provider.url, model_id="m", name="demo/m")))


WHOLE = {
    "length": (OK, True),
    "chunked": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
    "interim": (b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n" + OK, True),
    "trailer": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", True),
    "close": (OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), False),
    "twice": (OK + OK, False),
    "garbage": (OK + b"\x00garbage", False),
    "no-length": (b"HTTP/1.1 200 OK\r\n\r\nok", False),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_wherever_the_bytes_are_cut_the_connection_is_kept_or_not_alike(kind):
    """A response in two pieces, cut at each byte, decides as the whole one does."""
    answer, keeps = WHOLE[kind]
    for cut in range(len(answer) + 1):
        response = Response("GET x")
        body = response.feed(answer[:cut]) + response.feed(answer[cut:])
        assert body == b"ok"
        assert (response.keeps_connection, cut) == (keeps, cut)
        response.release()
