"""A scripted server that is never the bottleneck: one selector, one heap of what is due, bytes made beforehand.

It answers chat requests, streamed or whole, with set timing, and logs for each request when it had read it and when it
handed the first and the last content event to the socket (`time.perf_counter`, on Linux the same clock in all
processes). Each `send` follows its stamp directly: no buffer of an event loop lies between.

    python benchmarks/load/server.py --ttft-ms 200 --itl-ms 10 --tokens 128
"""

from __future__ import annotations

import argparse
import contextlib
import heapq
import json
import re
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
COMMON = '"created":1700000000,"id":"chatcmpl-0123456789abcdef","model":"load","object":"chat.completion.chunk"'


def event(data: str) -> bytes:
    """One event in one chunk."""
    line = b"data: " + data.encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(line), line)


def delta(fields: str, finish: str = "null") -> bytes:
    """One event with a choice."""
    return event(f'{{"choices":[{{"finish_reason":{finish},"index":0,"delta":{fields}}}],{COMMON}}}')


TOKEN = delta('{"content":" token"}')
BEGIN = HEAD + delta('{"role":"assistant","content":null}')


def end(tokens: int) -> bytes:
    """What follows the last token."""
    usage = f'{{"completion_tokens":{tokens},"prompt_tokens":5,"total_tokens":{tokens + 5}}}'
    last = event(f'{{"choices":[],"usage":{usage},{COMMON}}}')
    return delta("{}", '"stop"') + last + event("[DONE]") + b"0\r\n\r\n"


def plain(body: bytes) -> bytes:
    """A whole response."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
    return head.encode() + b"\r\n\r\n" + body


@dataclass(slots=True)
class Client:
    """One connection and its request."""

    sock: socket.socket
    heard: bytes = b""
    name: str = ""
    received_at: float = 0.0
    sent: int = 0
    log: dict[str, float] = field(default_factory=dict)


class Server:
    """Plays to every connection; one thread, no event loop."""

    def __init__(self, ttft_s: float, itl_s: float, tokens: int) -> None:
        self.ttft_s, self.itl_s, self.tokens = ttft_s, itl_s, tokens
        self.end = end(tokens)
        whole = {"choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}], "usage": {}}
        self.whole = plain(json.dumps(whole).encode())
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.listener.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.due: list[tuple[float, int, Client]] = []
        self.count = 0
        self.log: dict[str, dict[str, float]] = {}

    def run(self) -> None:
        """Serve until killed."""
        while True:
            left = self.due[0][0] - time.perf_counter() if self.due else None
            for key, _ in self.selector.select(left):
                if key.data is None:
                    self.accept()
                else:
                    self.hear(key.data)
            while self.due and self.due[0][0] <= time.perf_counter():
                _, _, client = heapq.heappop(self.due)
                with contextlib.suppress(OSError):  # the client has gone away
                    self.play(client)

    def accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self.listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.selector.register(sock, selectors.EVENT_READ, Client(sock))

    def hear(self, client: Client) -> None:
        try:
            data = client.sock.recv(65536)
        except OSError:
            data = b""
        client.heard += data
        head, found, body = client.heard.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if data and not (found and len(body) >= int(length[1] if length else 0)):
            return
        self.selector.unregister(client.sock)
        if data:
            self.begin(client, head, body)
        else:
            client.sock.close()

    def begin(self, client: Client, head: bytes, body: bytes) -> None:
        client.received_at = time.perf_counter()
        if head.startswith(b"GET /log"):
            client.sock.sendall(plain(json.dumps(self.log).encode()))
            client.sock.close()
            return
        asked = json.loads(body)
        client.name = str(asked.get("user", self.count))
        self.log[client.name] = client.log = {"received_at": client.received_at}
        if asked.get("stream"):
            client.sock.send(BEGIN)
        else:
            client.sent = -1
        self.later(client, client.received_at + self.ttft_s)

    def play(self, client: Client) -> None:
        if client.sent < 0 or client.sent == self.tokens:
            client.sock.send(self.whole if client.sent < 0 else self.end)
            client.sock.close()
            return
        client.log["last_at"] = now = time.perf_counter()
        client.sock.send(TOKEN)
        client.log.setdefault("first_at", now)
        client.sent += 1
        last = client.sent == self.tokens
        self.later(client, now if last else client.received_at + self.ttft_s + client.sent * self.itl_s)

    def later(self, client: Client, when: float) -> None:
        self.count += 1
        heapq.heappush(self.due, (when, self.count, client))


def main() -> None:
    """Serve; the address is the first line printed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ttft-ms", type=float, default=200)
    parser.add_argument("--itl-ms", type=float, default=10)
    parser.add_argument("--tokens", type=int, default=128)
    options = parser.parse_args()
    server = Server(options.ttft_ms / 1000, options.itl_ms / 1000, options.tokens)
    sys.stdout.write(f"http://127.0.0.1:{server.listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run()


if __name__ == "__main__":
    main()
