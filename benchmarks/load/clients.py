"""The clients that `benchmarks/wire.py` compares, each run in a process of its own; prints one JSON object.

`raw` reads the socket and does nothing else: the floor. It keeps `(arrived_at, bytes)` and parses nothing, ever. The
others give a reply with its text and times, as a user of them would write it.

    python benchmarks/load/clients.py ours URL --streams 64 --requests 300 [--plain]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from pytest_llmbench import http
from pytest_llmbench.clients import ChatRequest, Endpoint, asking, chat

Times = tuple[float, float]
"""The request's beginning and the first token's arrival; for a whole reply its arrival."""
Ask = Callable[[str], Awaitable[Times]]
"""The request's name → its times."""

PATH = "/v1/chat/completions"
PATIENT = http.Deadlines(connect_s=30, ttft_s=60, idle_s=60, total_s=120)


def body_of(name: str, *, stream: bool) -> bytes:
    """What every client sends."""
    messages = [{"role": "user", "content": "write a long story about a lamp"}]
    asked = {"model": "load", "messages": messages, "stream": stream, "user": name}
    return json.dumps(asked | ({"stream_options": {"include_usage": True}} if stream else {})).encode()


class Raw(asyncio.Protocol):
    """Keeps what arrives and when."""

    def __init__(self, request: bytes, done: asyncio.Future[None]) -> None:
        self.request, self.done = request, done
        self.pieces: list[tuple[float, bytes]] = []
        self.written_at = 0.0

    def connection_made(self, transport: Any) -> None:
        transport.set_write_buffer_limits(high=0)
        transport.write(self.request)
        self.written_at = time.perf_counter()

    def data_received(self, data: bytes) -> None:
        self.pieces.append((time.perf_counter(), data))

    def connection_lost(self, _: Exception | None) -> None:
        self.done.set_result(None)


async def raw(url: str, *, stream: bool) -> Ask:
    """The floor."""
    loop, address = asyncio.get_running_loop(), urlsplit(url)
    mark = b'"content":" token"' if stream else b"HTTP/1.1"

    async def ask(name: str) -> Times:
        body = body_of(name, stream=stream)
        head = f"POST {PATH} HTTP/1.1\r\nhost: {address.netloc}\r\ncontent-length: {len(body)}\r\n\r\n"
        done = loop.create_future()
        _, protocol = await loop.create_connection(
            lambda: Raw(head.encode() + body, done), address.hostname, address.port
        )
        await done
        return protocol.written_at, next(at for at, data in protocol.pieces if mark in data)

    return ask


async def ours(url: str, *, stream: bool) -> Ask:
    """What our users get: a `Reply` with everything decoded."""
    stamps = written_stamps()
    endpoint = Endpoint(base_url=url, model_id="load", name="load")
    messages = ({"role": "user", "content": "write a long story about a lamp"},)

    async def ask(name: str) -> Times:
        reply = await chat(endpoint, ChatRequest("load", messages, stream=stream, extra={"user": name}), PATIENT)
        written_at = stamps.pop(asyncio.current_task())
        return written_at, written_at + (reply.timing.ttft_s if stream else reply.timing.e2e_s)

    return ask


def written_stamps() -> dict[Any, float]:
    """Task → when its present request was written; a reply tells durations only, the server's log clock readings."""
    stamps: dict[Any, float] = {}
    opened = asking.open_exchange

    @asynccontextmanager
    async def noting(*args: Any, **options: Any) -> AsyncIterator[http.Exchange]:
        async with opened(*args, **options) as exchange:
            stamps[asyncio.current_task()] = exchange.stamps.written_at
            yield exchange

    asking.open_exchange = noting
    return stamps


def read_events(pieces: list[tuple[float, bytes]]) -> float:
    """When the first text came; the whole stream is parsed, as one has to for its text."""
    first_at, text = 0.0, []
    for at, piece in pieces:
        for line in piece.split(b"\n"):
            if line.startswith(b"data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    if content := choice["delta"].get("content"):
                        text.append(content)
                        first_at = first_at or at
    return first_at


async def httpx(url: str, *, stream: bool) -> Ask:
    """One shared client."""
    import httpx as library  # noqa: PLC0415  each client's process loads its own library only

    limits = library.Limits(max_connections=None, max_keepalive_connections=0)
    client = library.AsyncClient(timeout=120, limits=limits, trust_env=False)

    async def ask(name: str) -> Times:
        begun_at = time.perf_counter()
        async with client.stream("POST", url + PATH, content=body_of(name, stream=stream)) as response:
            pieces = [(time.perf_counter(), data) async for data in response.aiter_bytes()]
        return begun_at, read_events(pieces) if stream else pieces[-1][0]

    return ask


async def aiohttp(url: str, *, stream: bool) -> Ask:
    """One shared session."""
    import aiohttp as library  # noqa: PLC0415  as above

    session = library.ClientSession(connector=library.TCPConnector(limit=0, force_close=True))

    async def ask(name: str) -> Times:
        begun_at = time.perf_counter()
        async with session.post(url + PATH, data=body_of(name, stream=stream)) as response:
            pieces = [(time.perf_counter(), data) async for data in response.content.iter_any()]
        return begun_at, read_events(pieces) if stream else pieces[-1][0]

    return ask


async def httpx_aiohttp(url: str, *, stream: bool) -> Ask:
    """httpx with aiohttp as its transport."""
    import aiohttp as library  # noqa: PLC0415  as above
    from httpx_aiohttp import HttpxAiohttpClient  # noqa: PLC0415  as above

    connector = library.TCPConnector(limit=0, force_close=True)
    client = HttpxAiohttpClient(timeout=120)
    client._transport.client = library.ClientSession(connector=connector)  # noqa: SLF001

    async def ask(name: str) -> Times:
        begun_at = time.perf_counter()
        async with client.stream("POST", url + PATH, content=body_of(name, stream=stream)) as response:
            pieces = [(time.perf_counter(), data) async for data in response.aiter_bytes()]
        return begun_at, read_events(pieces) if stream else pieces[-1][0]

    return ask


CLIENTS = {one.__name__: one for one in (raw, ours, httpx, aiohttp, httpx_aiohttp)}


async def drive(ask: Ask, streams: int, requests: int) -> dict[str, Any]:
    """All requests, `streams` at once, after one that is thrown away."""
    await ask("warm-up")
    names = iter([f"r{number}" for number in range(requests)])
    times: dict[str, Times] = {}

    async def user(mine: Iterator[str]) -> None:
        for name in mine:
            times[name] = await ask(name)

    gc.collect()
    gc.freeze()
    gc.disable()
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    await asyncio.gather(*(user(names) for _ in range(streams)))
    return {"cpu_s": time.process_time() - cpu_s, "wall_s": time.perf_counter() - wall_s, "times": times}


def main() -> None:
    """Run one client and print what it measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("url")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--plain", action="store_true", help="whole replies instead of streams")
    parser.add_argument("--uvloop", action="store_true")
    options = parser.parse_args()

    async def run() -> dict[str, Any]:
        ask = await CLIENTS[options.client](options.url, stream=not options.plain)
        return await drive(ask, options.streams, options.requests)

    if options.uvloop:
        import uvloop  # noqa: PLC0415  as above

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    else:
        runner = asyncio.Runner()
    sys.stdout.write(json.dumps(runner.run(run())))


if __name__ == "__main__":
    main()
