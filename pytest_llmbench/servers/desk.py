"""Where clients claim servers: the supervisor's protocol. Standard library only.

A connection is a client, one JSON object a line; when it closes, its claims end.

Requests: `{"id", "op", ...}` with op `hello` (token; always the first), `claim` (orders, wait), `release` (keys),
`cancel` (request, keys), `evict` (keys that stay), `status` (key, pid), `suspect` (key, pid, bound_s), `ping`,
`shutdown`.
Answers: `{"id", "ok": ...}` or `{"id", "error": {"kind", "message", ...}}`.

All but claims, evictions and suspicions are answered at once: one who hears nothing for long knows that this process
is stuck.

Waiting claims are granted in order, all or nothing, and who holds a claim never waits for another: so nobody waits in a
circle.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pytest_llmbench.servers import messages
from pytest_llmbench.servers.ledger import Ledger
from pytest_llmbench.servers.process import Order, ServerProcess, StartFailedError, say

HELLO_S = 30.0
"""How long one who was let in by nobody yet may keep a connection."""


class RefusedError(Exception):
    """A claim that will not be granted."""


@dataclass(slots=True)
class Client:
    """One connection."""

    number: int
    writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    requests: dict[int, asyncio.Task[None]] = field(default_factory=dict)


@dataclass(slots=True)
class Waiting:
    """A claim in the queue."""

    client: int
    needs: dict[str, int]
    granted: asyncio.Future[None]


class Desk:
    """Clients on one side, servers on the other, the ledger between them.

    Args:
        capacity_bytes: memory that all servers together may need.
        token: what a client has to know.
        serve: makes the server of an order.
    """

    def __init__(
        self, capacity_bytes: int, token: str, serve: Callable[[Order], ServerProcess] = ServerProcess
    ) -> None:
        self.over = asyncio.Event()
        self._ledger = Ledger(capacity_bytes)
        self.token = token
        self._serve = serve
        self._servers: dict[str, ServerProcess] = {}
        self._leaving: dict[ServerProcess, asyncio.Task[None]] = {}
        self._queue: list[Waiting] = []
        self._numbers = itertools.count(1)
        self._clients: dict[int, Client] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Live through one connection; at its end its claims end."""
        client = Client(next(self._numbers), writer)
        try:
            if await self._greeted(client, reader):
                self._clients[client.number] = client
                await self._read_requests(client, reader)
        except (OSError, TimeoutError, ValueError) as error:
            say(f"client {client.number}: {type(error).__name__}: {error}")
        finally:
            self._clients.pop(client.number, None)
            await _cancel_all(list(client.requests.values()))
            self._ledger.give_back_all(client.number)
            self._grant_waiting()
            writer.close()
            client.gone.set()

    def reap(self) -> None:
        """A child ended: notice it, and end orphans that servers left outside their process group."""
        for server in self._servers.values():
            server.reap()
        for pid in _children().difference(server.pid for server in self._servers.values() if server.pid):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)

    async def stop(self) -> None:
        """Refuse who waits and who comes, stop every server."""
        self.over.set()
        await _cancel_all([task for client in self._clients.values() for task in client.requests.values()])
        await asyncio.gather(*(server.stop() for server in self._servers.values()))

    async def hang_up(self) -> None:
        """Let the clients go: for them the sign that nothing is left running."""
        clients = list(self._clients.values())
        for client in clients:
            client.writer.close()
        await asyncio.gather(*(client.gone.wait() for client in clients))

    async def _greeted(self, client: Client, reader: asyncio.StreamReader) -> bool:
        async with asyncio.timeout(HELLO_S):
            message = messages.parse(await reader.readline())
        told = str(message.get("token")).encode(errors="replace")
        known = hmac.compare_digest(told, self.token.encode())
        answer = {"id": message["id"], "ok": {"pid": os.getpid()}}
        _send(client, answer if known else _error(message, "token", "wrong token"))
        return known

    async def _read_requests(self, client: Client, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            try:
                self._begin(client, messages.parse(line))
            except messages.MalformedError as error:
                _send(client, _error({}, "malformed", str(error)))

    def _begin(self, client: Client, message: Mapping[str, Any]) -> None:
        if message["op"] == "cancel":
            self._cancel(client, message)
            return
        if message["id"] in client.requests:
            raise messages.MalformedError(f"request {message['id']} is not answered yet")
        task = asyncio.create_task(self._answer(client, message))
        client.requests[message["id"]] = task
        task.add_done_callback(lambda task: self._done(client, message, task))

    def _done(self, client: Client, message: Mapping[str, Any], task: asyncio.Task[None]) -> None:
        """One that was withdrawn, or broke in an unforeseen way, is answered too: its client would wait for ever.

        Here, for one that is withdrawn as it comes never begins.
        """
        client.requests.pop(message["id"], None)
        if task.cancelled():
            _send(client, _error(message, "stopped", "the claim was withdrawn, or the session is ending"))
        elif (error := task.exception()) is not None:
            say(f"client {client.number}: {message['op']} failed with {type(error).__name__}: {error}")
            _send(client, _error(message, "failed", f"{type(error).__name__}: {error}"))

    async def _answer(self, client: Client, message: Mapping[str, Any]) -> None:
        answer: dict[str, Any] | None = None
        try:
            answer = {"id": message["id"], "ok": await self._do(client, message)}
        except RefusedError as refusal:
            answer = _error(message, "refused", str(refusal))
        except StartFailedError as failure:
            answer = {"id": message["id"], "error": failure.facts}
        except messages.MalformedError as error:
            answer = _error(message, "malformed", str(error))
        finally:
            if answer is not None:
                _send(client, answer)

    async def _do(self, client: Client, message: Mapping[str, Any]) -> Any:
        match message["op"]:
            case "ping":
                return None
            case "claim" if self.over.is_set():
                raise RefusedError("the session is ending")
            case "claim":
                return await self._claim(client, messages.orders(message), message["wait"])
            case "release":
                return self._release(client, messages.keys(message))
            case "evict":
                return await self._evict(client, messages.keys(message))
            case "status":
                server = self._servers.get(str(message.get("key")))
                return server.status(message.get("pid")) if server else {"state": "unknown", "starts": 0, "crash": None}
            case "suspect":
                if (server := self._servers.get(str(message.get("key")))) is not None:
                    await server.suspect(*messages.suspicion(message))
            case "shutdown":
                self.over.set()
            case unknown:
                raise RefusedError(f"unknown request {unknown!r}")
        return None

    def _release(self, client: Client, keys: list[str]) -> None:
        self._ledger.give_back(client.number, keys)
        self._grant_waiting()

    async def _claim(self, client: Client, orders: list[Order], wait: bool) -> list[dict[str, Any]]:
        needs, keys = {order.key: order.need_bytes for order in orders}, [order.key for order in orders]
        await self._granted(client, needs, wait)
        for again in (Counter(keys) - Counter(needs.keys())).elements():
            self._ledger.take(client.number, {again: needs[again]}, [])
        try:
            await self._room_for([self._server(order) for order in orders])
            return [await self._server(order).ensure() for order in orders]
        except BaseException:
            self._ledger.give_back(client.number, keys)
            self._grant_waiting()
            raise

    async def _room_for(self, servers: list[ServerProcess]) -> None:
        """Before a process starts, wait for all that are leaving: they use memory to their end."""
        while self._leaving and any(server.pid is None or server in self._leaving for server in servers):
            await asyncio.wait(self._leaving.values())

    async def _evict(self, client: Client, stay: Sequence[str]) -> None:
        """Have all idle servers leave but these, and wait until their memory is free."""
        self._take(client.number, {}, [key for key in self._ledger.idle() if key not in stay])
        while self._leaving:
            await asyncio.wait(self._leaving.values())

    async def _granted(self, client: Client, needs: dict[str, int], wait: bool) -> None:
        """Take seats for all of `needs`, now or in turn; idle servers leave for them."""
        if not self._ledger.can_ever_fit(needs):
            raise RefusedError(f"{_mib(sum(needs.values()))} needed: that never fits, {self._ledger.describe()}")
        may_wait = wait and not self._ledger.holds(client.number)
        leaving = None if may_wait and self._queue else self._ledger.evictions(needs)
        if leaving is not None:
            self._take(client.number, needs, leaving)
        elif may_wait:
            await self._turn(client, needs)
        else:
            raise self._would_wait(needs)

    async def _turn(self, client: Client, needs: dict[str, int]) -> None:
        waiting = Waiting(client.number, needs, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        try:
            await waiting.granted
        except asyncio.CancelledError:
            if waiting in self._queue:
                self._queue.remove(waiting)
            elif _was_granted(waiting):
                self._ledger.give_back(client.number, needs)
            self._grant_waiting()
            raise

    def _grant_waiting(self) -> None:
        while self._queue and (leaving := self._ledger.evictions(self._queue[0].needs)) is not None:
            self._grant(self._queue[0], leaving)

    def _grant(self, waiting: Waiting, leaving: list[str]) -> None:
        self._queue.remove(waiting)
        if not waiting.granted.done():
            waiting.granted.set_result(None)
            self._take(waiting.client, waiting.needs, leaving)

    def _take(self, client: int, needs: dict[str, int], leaving: list[str]) -> None:
        """Seats change hands and servers begin to leave in one step: a claim may be withdrawn at any later moment."""
        self._ledger.take(client, needs, leaving)
        for server in self._known(leaving):
            self._leaving[server] = server.leave()
            self._leaving[server].add_done_callback(partial(self._has_left, server))
        for other in [waiting for waiting in self._queue if waiting.client == client]:
            self._settle(other)

    def _has_left(self, server: ServerProcess, task: asyncio.Task[None]) -> None:
        if self._leaving.get(server) is task:
            del self._leaving[server]

    def _settle(self, waiting: Waiting) -> None:
        """Another claim of a client that holds one by now: it may not wait on."""
        if waiting not in self._queue:
            return
        if (leaving := self._ledger.evictions(waiting.needs)) is not None:
            self._grant(waiting, leaving)
            return
        self._queue.remove(waiting)
        if not waiting.granted.done():
            waiting.granted.set_exception(self._would_wait(waiting.needs))

    def _would_wait(self, needs: Mapping[str, int]) -> RefusedError:
        return RefusedError(f"{_mib(sum(needs.values()))} needed: that would have to wait, {self._ledger.describe()}")

    def _cancel(self, client: Client, message: Mapping[str, Any]) -> None:
        """Withdraw a claim; one that was granted in the same moment is given back."""
        keys = messages.keys(message)
        if (task := client.requests.get(messages.request(message))) is not None:
            task.cancel()
        else:
            self._ledger.give_back(client.number, keys)
            self._grant_waiting()

    def _known(self, keys: list[str]) -> list[ServerProcess]:
        """Their servers; a seat whose claim was withdrawn in time never got one."""
        return [self._servers[key] for key in keys if key in self._servers]

    def _server(self, order: Order) -> ServerProcess:
        return self._servers.setdefault(order.key, self._serve(order))


def _was_granted(waiting: Waiting) -> bool:
    future = waiting.granted
    return future.done() and not future.cancelled() and future.exception() is None


async def _cancel_all(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _send(client: Client, answer: Mapping[str, Any]) -> None:
    if not client.writer.is_closing():
        client.writer.write(json.dumps(answer).encode() + b"\n")


def _error(message: Mapping[str, Any], kind: str, text: str) -> dict[str, Any]:
    return {"id": message.get("id"), "error": {"kind": kind, "message": text}}


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"


def _children() -> set[int]:
    """The pids of this process's children; empty where the system does not tell (not Linux)."""
    try:
        return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
    except OSError:
        return set()
