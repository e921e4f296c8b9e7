"""Bytes that servers send: cut anywhere, odd but allowed, broken, hostile."""

from __future__ import annotations

import socket
from itertools import pairwise

import pytest
from asking import PATIENT
from hypothesis import given
from hypothesis import strategies as st
from raw_servers import Play, raw_server, read_request, saying

from pytest_llmbench import http
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.http.response import MAX_HEAD_BYTES, MAX_HEADERS, Response

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Twice: a\r\nx-twice: b\r\nX-Empty:\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    "content-length": HEAD + b"Content-Length: 11\r\n\r\nhello world",
    "chunked": CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    "chunk extensions and trailers": CHUNKED
    + b'5;a=b;c="d"\r\nhello\r\n6;x\r\n world\r\n0;last\r\nX-Trailer: t\r\n\r\n',
    "after interim responses": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    + HEAD
    + b"Content-Length: 11\r\n\r\nhello world",
    "no reason phrase": HEAD.replace(b"200 OK", b"200") + b"Content-Length: 11\r\n\r\nhello world",
}
UNTIL_CLOSE = HEAD + b"\r\nhello world"
HEADERS = {"content-type": "text/plain", "x-twice": "a, b", "x-empty": ""}


def fed(pieces: list[bytes]) -> tuple[Response, bytes]:
    response = Response("GET /")
    return response, b"".join(response.feed(piece) for piece in pieces)


def fetched(play: Play, **options) -> http.Fetched:
    with raw_server(play) as address:
        return http.run(http.fetch(http.Request("POST", f"http://{address}/", {}, b"{}"), PATIENT, **options))


def failure_of(play: Play, **options) -> WireError:
    with pytest.raises(WireError) as caught:
        fetched(play, **options)
    return caught.value


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
def test_a_response_is_the_same_wherever_it_is_cut(whole):
    """In two at every byte, and into single bytes."""
    cuts = [[whole[:at], whole[at:]] for at in range(len(whole) + 1)]
    for pieces in [*cuts, [bytes([byte]) for byte in whole]]:
        response, body = fed(pieces)
        assert (response.status, response.over, response.failure, body) == (200, True, None, b"hello world")
        assert HEADERS.items() <= response.headers.items()
        assert "x-trailer" not in response.headers


@given(st.data())
def test_a_response_is_the_same_however_it_is_cut(data):
    """Into any number of pieces."""
    whole = WHOLE["chunk extensions and trailers"]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    response, body = fed([whole[a:b] for a, b in pairwise([0, *cuts, len(whole)])])
    assert (response.over, response.failure, body) == (True, None, b"hello world")


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_upset_the_parser(noise, after_head):
    """Hostile bytes give a failure of a known kind, or an answer; never an exception of another kind."""
    response, _ = fed([CHUNKED + noise if after_head else noise])
    response.end_of_input()
    assert response.over
    assert response.failure is None or isinstance(response.failure, WireError)


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
def test_a_response_that_ends_early_is_never_complete(whole):
    """Closed after any byte but the last: before the headers were whole no answer had begun."""
    head_ends_at = whole.index(b"\r\n\r\n", whole.index(b"X-Twice")) + 4
    for cut in range(len(whole)):
        response, _ = fed([whole[:cut]])
        response.end_of_input()
        expected = Category.NETWORK_RESET if cut < head_ends_at else Category.STREAM_TRUNCATED
        assert response.failure.category is expected, whole[:cut]


def test_a_body_without_length_ends_with_the_connection():
    """At whatever byte that is: HTTP has no other end for it, so a stream needs a last frame of its own."""
    for cut in range(len(UNTIL_CLOSE) - 11, len(UNTIL_CLOSE) + 1):
        response, body = fed([UNTIL_CLOSE[:cut]])
        response.end_of_input()
        assert (response.failure, b"hello world".startswith(body)) == (None, True)


@pytest.mark.parametrize("whole", [*WHOLE.values(), UNTIL_CLOSE], ids=[*WHOLE, "until close"])
def test_responses_are_read_over_a_real_socket(whole):
    """Byte by byte, each in a packet of its own."""

    def play(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read_request(connection)
        for byte in whole:
            connection.sendall(bytes([byte]))

    answer = fetched(play)
    assert (answer.status, answer.body) == (200, b"hello world")
    assert answer.stamps.written_at < answer.stamps.headers_at < answer.ended_at


def test_what_comes_after_the_end_is_not_read():
    """Neither as body nor as a fault."""
    assert fetched(saying(WHOLE["content-length"] + b"garbage\0" * 100)).body == b"hello world"


def test_a_half_closed_connection_is_the_end():
    """The server shuts its side down and keeps the socket."""

    def play(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(UNTIL_CLOSE)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)

    assert fetched(play).body == b"hello world"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"X-Nul: a\0b\r\n\r\n",
        HEAD + b"X-\0Nul: a\r\n\r\n",
        HEAD + b"X-Folded: a\r\n b\r\n\r\n",
        HEAD + b"No colon\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
    ],
    ids=lambda answer: repr(answer.removeprefix(HEAD)[:30])[2:-1],
)
def test_nonsense_instead_of_a_response_is_malformed(answer):
    """Two lengths, NULs, folded lines, other protocols: nothing is guessed."""
    assert failure_of(saying(answer)).category is Category.STREAM_MALFORMED


@pytest.mark.parametrize("framing", [b"zz\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"5\nhello\n", b"2\r\nhello\r\n"])
def test_nonsense_between_chunks_ends_the_body_there(framing):
    """What came before is given to the reader first."""
    with raw_server(saying(CHUNKED + b"5\r\nfirst\r\n" + framing)) as address:
        got: list[bytes] = []

        async def read() -> None:
            request = http.Request("GET", f"http://{address}/")
            async with http.open_exchange(request, PATIENT, streamed=False) as exchange:
                async for _, data in exchange.chunks():
                    got.append(data)

        with pytest.raises(WireError) as caught:
            http.run(read())
    assert caught.value.category is Category.STREAM_MALFORMED
    assert caught.value.status == 200
    assert b"".join(got).startswith(b"first")


def test_a_long_header_passes_where_it_is_not_absurd():
    """Some gateways send cookies and policies of many kilobytes."""
    assert (
        fetched(saying(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n")).body == b""
    )


def endless(start: bytes, again: bytes) -> Play:
    def play(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(start)
        while True:
            connection.sendall(again)

    return play


@pytest.mark.parametrize(
    "play",
    [
        saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (MAX_HEADERS + 1) + b"\r\n"),
        saying(b"HTTP/1.1 200 OK\r\nX: " + b"y" * MAX_HEAD_BYTES + b"\r\n\r\n"),
        endless(b"HTTP/1.1 200 ", b"x" * 1000),
        endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000),
        endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 100),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        endless(CHUNKED + b"1;", b"extension;" * 100),
        endless(CHUNKED + b"1\r\nx\r\n0\r\n", b"X-Trailer: y\r\n" * 100),
        endless(CHUNKED + b"1\r\nx\r\n0\r\nX-Trailer: ", b"y" * 1000),
    ],
    ids=[
        "too many headers",
        "a header too long",
        "a status line without end",
        "a header without end",
        "headers without end",
        "interim responses without end",
        "a chunk extension without end",
        "trailers without end",
        "a trailer without end",
    ],
)
def test_all_that_is_not_body_is_bounded(play):
    """No server can fill our memory with what we only read over."""
    assert failure_of(play).category is Category.STREAM_TOO_LARGE


def test_a_body_without_end_is_cut_off_at_the_limit():
    """Chunked or not."""
    for start, again in ((CHUNKED, b"400\r\n" + b"x" * 1024 + b"\r\n"), (HEAD + b"\r\n", b"x" * 1024)):
        assert failure_of(endless(start, again), max_bytes=1_000_000).category is Category.STREAM_TOO_LARGE
