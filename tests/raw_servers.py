"""Servers of which a test holds every byte: a socket, a thread a connection, and whatever the test does with them."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pytest_llmbench import http
from pytest_llmbench.http import loop

Play = Callable[[socket.socket], None]
"""What is done with one connection; when it returns, the connection is closed."""


def read_request(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of one request."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += connection.recv(65536)
    head, _, begun = heard.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    body = bytearray(begun)
    while len(body) < int(length[1] if length else 0):
        body += connection.recv(1024 * 1024)
    return head, bytes(body)


def saying(answer: bytes) -> Play:
    """Reads the request and says `answer`, whatever that is."""

    def play(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    return play


@contextmanager
def raw_server(
    play: Play, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, backlog: int = 16
) -> Iterator[str]:
    """A loopback server; yields `host:port` as it stands in a URL."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=backlog) as listener, _serving(listener, play, tls):
        yield f"{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


@contextmanager
def unix_server(path: str, play: Play) -> Iterator[None]:
    """A server on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with _serving(listener, play, None):
            yield


@contextmanager
def background_loop(kind: str) -> Iterator[None]:
    """The background loop is `asyncio`'s or `uvloop`'s within the block, whatever is installed."""
    chosen = loop._new_loop
    http.close()
    if kind == "asyncio":
        loop._new_loop = asyncio.new_event_loop
    try:
        yield
    finally:
        loop._new_loop = chosen
        http.close()


@contextmanager
def _serving(listener: socket.socket, play: Play, tls: ssl.SSLContext | None) -> Iterator[None]:
    threads: list[threading.Thread] = []
    open_connections: list[socket.socket] = []

    def converse(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client may go away at any byte
            talking = tls.wrap_socket(connection, server_side=True) if tls else connection
            with talking:
                play(talking)

    def accept() -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = listener.accept()
                open_connections.append(connection)
                threads.append(threading.Thread(target=converse, args=(connection,)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        for connection in open_connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
