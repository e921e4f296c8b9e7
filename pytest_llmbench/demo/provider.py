"""The server that plays a script: asyncio streams, every byte under control, and a log of what went out when."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any, Self

from pytest_llmbench import clock
from pytest_llmbench.demo.script import (
    Answer,
    Close,
    Event,
    Failure,
    Page,
    Raw,
    Reaction,
    Reset,
    Script,
    Step,
    Wait,
    echo,
)

_TOKEN_KINDS = frozenset({"content", "reasoning", "tool"})


@dataclass(frozen=True, slots=True)
class Sent:
    """One piece of a response."""

    at: float
    """`clock.monotonic` just before it was handed to the socket."""
    kind: str
    size_bytes: int


@dataclass(slots=True)
class Call:
    """One request and what became of it. Stamps are of `clock.monotonic`."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: Any = None
    """Parsed JSON; None where there was none."""
    received_at: float = 0.0
    """When the last byte of the request had been read."""
    connection: int = 0
    """Counts the connections: two calls on one connection have the same number."""
    sent: list[Sent] = field(default_factory=list)

    @property
    def ttft_s(self) -> float:
        """Request received → first event with generated text sent.

        Raises:
            ValueError: none was sent.
        """
        return min(self._token_times()) - self.received_at

    @property
    def last_token_s(self) -> float:
        """Request received → last event with generated text sent.

        Raises:
            ValueError: none was sent.
        """
        return max(self._token_times()) - self.received_at

    def _token_times(self) -> list[float]:
        return [sent.at for sent in self.sent if sent.kind in _TOKEN_KINDS]


class DemoProvider:
    """A provider on a loopback port of the system's choice, in a thread of its own, for as long as the `with` block.

    It serves `/v1/chat/completions`, `/v1/models`, `/health`, and its log as JSON under `/demo/log`.

    Args:
        script: an `Answer`, `Failure` or `Page`; a sequence, one a request, of which the last repeats; or a function
            from the request's body to one of them. By default it echoes.
        api_key: where given, other keys get a 401.
        models: what `/v1/models` lists.
        port: 0 lets the system choose.
        service_s: where given, chats are served one at a time, first come, first served, and each takes this long
            before its answer begins: a queue whose waits theory knows.
    """

    def __init__(
        self,
        script: Script | Reaction = echo,
        *,
        api_key: str = "",
        models: Sequence[str] = ("demo",),
        port: int = 0,
        service_s: float = 0.0,
    ) -> None:
        self.log: list[Call] = []
        self.url = ""
        """`http://127.0.0.1:PORT`, known inside the `with` block."""
        self._script = [script] if isinstance(script, Answer | Failure | Page) else script
        self._api_key = api_key
        self._models = models
        self._port = port
        self._service_s = service_s
        self._free_at = 0.0
        self._chats = 0
        self._connections: set[asyncio.Task[None]] = set()
        self._accepted = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="llmbench-demo", daemon=True)
        self._failed: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.wait()
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        if self._failed is not None:
            raise self._failed  # a bug in the script: the client saw only a closed connection

    def chats(self) -> list[Call]:
        """The chat requests received so far, oldest first."""
        return [call for call in self.log if call.path == "/v1/chat/completions"]

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        except OSError as error:
            self._failed = error
            self._listening.set()
            return
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listening.set()
        await self._stopping.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accepted += 1
        task = asyncio.ensure_future(self._connection(reader, writer, self._accepted))
        self._connections.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed = error

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        try:
            # The client may go away at any byte: that ends the connection, not the provider.
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                call = await _read_request(reader, number)
                self.log.append(call)
                await self._turn(call)
                await _play(self._react(call), writer, call)
        finally:
            writer.transport.abort() if self._stopping.is_set() else writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _turn(self, call: Call) -> None:
        """Wait until the service of this call ends; a wake-up that comes late does not make the next one late."""
        if not self._service_s or call.path != "/v1/chat/completions":
            return
        self._free_at = max(call.received_at, self._free_at) + self._service_s
        await clock.sleep_async(max(0.0, self._free_at - clock.monotonic()))

    def _react(self, call: Call) -> Page:
        if self._api_key and call.headers.get("authorization") != f"Bearer {self._api_key}":
            return Failure(401, "wrong API key", "invalid_api_key", "authentication_error").page()
        answers: Mapping[str, Callable[[], Page]] = {
            "/v1/chat/completions": lambda: self._chat(call.body),
            "/v1/models": lambda: _json_page({"data": [{"id": model, "object": "model"} for model in self._models]}),
            "/health": lambda: _json_page({"status": "ok"}),
            "/demo/log": lambda: _json_page([asdict(chat) for chat in self.chats()]),
        }
        unknown = Failure(404, f"no such path: {call.path}", "not_found", "not_found_error")
        return answers.get(call.path, unknown.page)()

    def _chat(self, body: Any) -> Page:
        if not isinstance(body, dict):
            return Failure(400, "the body is no JSON object").page()
        self._chats += 1
        if callable(self._script):
            reaction = self._script(body)
        else:
            reaction = self._script[min(self._chats, len(self._script)) - 1]
        if isinstance(reaction, Answer):
            return reaction.page(body)
        return reaction.page() if isinstance(reaction, Failure) else reaction


async def _read_request(reader: asyncio.StreamReader, connection: int) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    received_at = clock.monotonic()
    return Call(method, path, headers, _json_or_none(raw), received_at, connection)


def _json_or_none(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


async def _play(page: Page, writer: asyncio.StreamWriter, call: Call) -> None:
    if page.headers_after_s:
        await clock.sleep_async(page.headers_after_s)
    writer.write(_head(page))
    for step in page.steps:
        if await _play_step(step, page, writer, call):
            return
    if page.chunked:
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _play_step(step: Step, page: Page, writer: asyncio.StreamWriter, call: Call) -> bool:
    """Play one step; returns whether it ended the connection."""
    match step:
        case Wait(seconds):
            await clock.sleep_async(seconds)
        case Event() | Raw():
            call.sent.append(Sent(clock.monotonic(), step.kind, len(step.data)))
            writer.write(b"%x\r\n%b\r\n" % (len(step.data), step.data) if page.chunked and step.data else step.data)
            await writer.drain()
        case Reset():
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
    return isinstance(step, Reset | Close)


def _head(page: Page) -> bytes:
    headers = {"Content-Type": page.content_type, **page.headers}
    if page.chunked:
        # llama-server advertises keep-alive and closes after a stream all the same: so do we.
        headers |= {"Transfer-Encoding": "chunked", "Keep-Alive": "timeout=5, max=100"}
    lines = [f"HTTP/1.1 {page.status} {_phrase(page.status)}", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Scripted"


def _json_page(value: Any) -> Page:
    return Page([Raw(json.dumps(value).encode(), "whole")], content_type="application/json")
