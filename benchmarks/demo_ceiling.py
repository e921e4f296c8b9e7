"""How many requests a second the demo provider answers, so that it is known not to be what a benchmark measures.

    python benchmarks/demo_ceiling.py

The provider runs in a process of its own. The client is the cheapest there is: raw sockets that hold one prepared
request each, send it, and count complete responses, so that the provider is what saturates. Prints a table: whole and
streamed replies in both formats, with and without a wait of 20 ms. The provider's own CPU time a request tells what it
could do on a core of its own where others use this machine, too.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from typing import cast

import psutil
import uvloop

from pytest_llmbench.demo import background, end_background

SECONDS = 3.0
CONNECTIONS = 100


@dataclass(frozen=True)
class Kind:
    """One kind of request."""

    name: str
    path: str
    model: str
    stream: bool
    end: bytes
    """What the last bytes of a response hold."""


KINDS = (
    Kind("OpenAI, whole", "/v1/chat/completions", "echo", False, b'"cost": '),
    Kind("OpenAI, whole, after 20 ms", "/v1/chat/completions", "echo+latency_s=0.02", False, b'"cost": '),
    Kind("OpenAI, stream of 10 tokens", "/v1/chat/completions", "echo+tokens=10", True, b"\r\n0\r\n\r\n"),
    Kind("Anthropic, whole", "/v1/messages", "echo", False, b'"cache_creation_input_tokens": '),
    Kind("Anthropic, stream of 10 tokens", "/v1/messages", "echo+tokens=10", True, b"\r\n0\r\n\r\n"),
)


class Client(asyncio.Protocol):
    """Sends the request again as soon as its response is complete."""

    def __init__(self, request: bytes, end: bytes) -> None:
        self.answered = 0
        self._request = request
        self._end = end
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._tail = self._tail[-200:] + data
        if self._end in self._tail:
            self._tail = b""
            self.answered += 1
            self.transport.write(self._request)


async def measured(url: str, kind: Kind, provider: psutil.Process) -> tuple[float, float]:
    """Responses a second, and the provider's CPU seconds for each."""
    body = {"model": kind.model, "max_tokens": 100, "stream": kind.stream}
    body["messages"] = [{"role": "user", "content": "What is 2 + 3?"}]
    data = json.dumps(body).encode()
    head = f"POST {kind.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
    request = head.encode() + b"\r\n" + data
    host, port = url.removeprefix("http://").split(":")
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(lambda: Client(request, kind.end), host, int(port))
        clients.append(client)
    await asyncio.sleep(0.5)
    before, started, cpu = sum(client.answered for client in clients), time.perf_counter(), cpu_s(provider)
    await asyncio.sleep(SECONDS)
    answered = sum(client.answered for client in clients) - before
    rate, each_s = answered / (time.perf_counter() - started), (cpu_s(provider) - cpu) / answered
    for client in clients:
        client.transport.abort()
    return rate, each_s


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


def main() -> None:
    """Print the table."""
    url = background()
    (provider,) = psutil.Process().children()
    print(f"{'kind':34} requests/s over {CONNECTIONS} connections · CPU of the provider")
    for kind in KINDS:
        rate, each_s = uvloop.run(measured(url, kind, provider))
        print(f"{kind.name:34} {rate:8.0f} {each_s * 1e6:8.0f} µs each: {1 / each_s:6.0f}/s a core")
    end_background()


if __name__ == "__main__":
    main()
