"""A chat server that keeps connections: each answer comes a set time after its question was read.

Timers and bytes made beforehand, so that it is never the bottleneck (`aiohttp` here is not limited by it either).
`GET /count` tells how many chats it has answered. The address is the first line printed.

    python benchmarks/load/keeping.py --delay-ms 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

import httptools

TEXT = "Paris"
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
COMMON = {"id": "chatcmpl-0123456789abcdef", "created": 1700000000, "model": "load"}


def event(**fields: Any) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps({**COMMON, "object": "chat.completion.chunk", **fields}).encode() + b"\n\n"


def choice(finish_reason: str | None = None, **delta: Any) -> list[dict[str, Any]]:
    """The choices of one event."""
    return [{"index": 0, "delta": delta, "finish_reason": finish_reason}]


def page(media_type: str, body: bytes) -> bytes:
    """A whole response."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


MESSAGE = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
WHOLE = page(
    "application/json",
    json.dumps({**COMMON, "object": "chat.completion", "choices": [MESSAGE], "usage": USAGE}).encode(),
)
STREAM = page(
    "text/event-stream",
    event(choices=choice(role="assistant", content=TEXT))
    + event(choices=choice("stop"))
    + event(choices=[], usage=USAGE)
    + b"data: [DONE]\n\n",
)


class Client(asyncio.Protocol):
    """One connection."""

    answered = 0
    delay_s = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.path, self.streamed = b"", False

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.path = url

    def on_body(self, body: bytes) -> None:
        self.streamed = self.streamed or b'"stream":true' in body.replace(b" ", b"")

    def on_message_complete(self) -> None:
        if self.path == b"/count":
            self.transport.write(page("text/plain", str(Client.answered).encode()))
            return
        Client.answered += 1
        asyncio.get_running_loop().call_later(Client.delay_s, self.transport.write, STREAM if self.streamed else WHOLE)
        self.streamed = False

    def connection_lost(self, _: Exception | None) -> None:
        del self.parser  # it refers back to us


async def serve() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Client, "127.0.0.1", 0, backlog=2048)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay-ms", type=float, default=20)
    Client.delay_s = parser.parse_args().delay_ms / 1000
    try:
        import uvloop  # noqa: PLC0415  asyncio's own will do
    except ImportError:
        asyncio.run(serve())
    else:
        asyncio.Runner(loop_factory=uvloop.new_event_loop).run(serve())


if __name__ == "__main__":
    main()
