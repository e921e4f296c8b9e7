"""Servers that see which connections are used again, and what asks them."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from asking import PATIENT
from raw_servers import raw_server, read_request

from pytest_llmbench import http
from pytest_llmbench.errors import WireError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE_S = 10.0

Say = Callable[[socket.socket, int, int], bool]
"""(connection, its number, number of the request on it) → whether to go on reading there."""


class Served:
    """What a server saw: for each connection the number of requests on it."""

    def __init__(self, say: Say) -> None:
        self.url = ""
        self.requests: dict[int, int] = {}
        self.ended = threading.Semaphore(0)
        self._say = say
        self._numbers = itertools.count()

    def play(self, connection: socket.socket) -> None:
        number = next(self._numbers)
        self.requests[number] = 0
        with suppress(OSError):
            while connection.recv(1, socket.MSG_PEEK):
                read_request(connection)
                self.requests[number] += 1
                if not self._say(connection, number, self.requests[number]):
                    break
        self.ended.release()

    @property
    def seen(self) -> list[int]:
        return [self.requests[number] for number in sorted(self.requests)]


def answering(*answers: bytes) -> Say:
    """Says the first answer to the first request of a connection, and so on; the last one ever after."""

    def say(connection: socket.socket, _number: int, request: int) -> bool:
        connection.sendall(answers[min(request, len(answers)) - 1])
        return True

    return say


@contextmanager
def serving(say: Say, **options) -> Iterator[Served]:
    served = Served(say)
    with raw_server(served.play, **options) as where:
        served.url = f"http://{where}/"
        yield served


async def fetched(url: str, kept: http.Pool, *, max_bytes: int = http.MAX_BODY_BYTES) -> bytes:
    async with http.open_exchange(http.Request("GET", url), PATIENT, streamed=False, pool=kept) as opened:
        return await http.read_body(opened, max_bytes)


async def failed(url: str, kept: http.Pool, **options) -> WireError:
    with pytest.raises(WireError) as caught:
        await fetched(url, kept, **options)
    return caught.value


async def until(came_about: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not came_about():  # noqa: ASYNC110  a server's thread brings it about
            await asyncio.sleep(0.002)
