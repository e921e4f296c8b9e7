"""Where clients claim servers: the supervisor's protocol. Standard library only.

A connection is a client, one JSON object a line; when it closes, its claims end.

Requests: `{"id", "op", ...}` with op `hello` (token; always the first), `claim` (orders, wait), `release` (keys),
`cancel` (request, keys), `status` (key), `shutdown`.
Answers: `{"id", "ok": ...}` or `{"id", "error": {"kind", "message", ...}}`.

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
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_llmbench.servers.ledger import Ledger
from pytest_llmbench.servers.process import Order, ServerProcess, StartFailedError, say


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
    granted: asyncio.Future[list[str]]


class Desk:
    """Clients on one side, servers on the other, the ledger between them.

    Args:
        capacity_bytes: memory that all servers together may need.
        token: what a client has to know.
    """

    def __init__(self, capacity_bytes: int, token: str) -> None:
        self.over = asyncio.Event()
        self._ledger = Ledger(capacity_bytes)
        self.token = token
        self._servers: dict[str, ServerProcess] = {}
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
        except (OSError, ValueError) as error:
            say(f"client {client.number}: {error}")
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
        message = json.loads(await reader.readline() or b"{}")
        known = hmac.compare_digest(str(message.get("token", "")).encode(), self.token.encode())
        answer = {"id": message.get("id"), "ok": {"pid": os.getpid()}}
        _send(client, answer if known else _error(message, "token", "wrong token"))
        return known

    async def _read_requests(self, client: Client, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            if message["op"] == "cancel":
                self._cancel(client, message)
                continue
            task = asyncio.create_task(self._answer(client, message))
            client.requests[message["id"]] = task

    async def _answer(self, client: Client, message: Mapping[str, Any]) -> None:
        try:
            answer = {"id": message["id"], "ok": await self._do(client, message)}
        except RefusedError as refusal:
            answer = _error(message, "refused", str(refusal))
        except StartFailedError as failure:
            answer = {"id": message["id"], "error": failure.facts}
        except (OSError, KeyError, TypeError) as error:
            answer = _error(message, "failed", f"{type(error).__name__}: {error}")
        except asyncio.CancelledError:
            _send(client, _error(message, "stopped", "the claim was withdrawn, or the session is ending"))
            raise
        finally:
            client.requests.pop(message["id"], None)
        _send(client, answer)

    async def _do(self, client: Client, message: Mapping[str, Any]) -> Any:
        match message["op"]:
            case "claim" if self.over.is_set():
                raise RefusedError("the session is ending")
            case "claim":
                return await self._claim(client, [Order(**order) for order in message["orders"]], message["wait"])
            case "release":
                self._ledger.give_back(client.number, message["keys"])
                self._grant_waiting()
                return None
            case "status":
                server = self._servers.get(message["key"])
                return server.status() if server else {"state": "unknown", "starts": 0, "crash": None}
            case "shutdown":
                self.over.set()
                return None
            case unknown:
                raise RefusedError(f"unknown request {unknown!r}")

    async def _claim(self, client: Client, orders: list[Order], wait: bool) -> list[dict[str, Any]]:
        needs, keys = {order.key: order.need_bytes for order in orders}, [order.key for order in orders]
        leaving = await self._granted(client, needs, wait)
        for again in (Counter(keys) - Counter(needs.keys())).elements():
            self._ledger.take(client.number, {again: needs[again]}, [])
        try:
            for server in self._known(leaving):
                await server.stop()
            return [await self._server(order).ensure() for order in orders]
        except BaseException:
            self._ledger.give_back(client.number, keys)
            self._grant_waiting()
            raise

    async def _granted(self, client: Client, needs: dict[str, int], wait: bool) -> list[str]:
        """Take seats for all of `needs`, now or in turn; the servers that have to leave for them."""
        if not self._ledger.can_ever_fit(needs):
            raise RefusedError(f"{_mib(sum(needs.values()))} needed: that never fits, {self._ledger.describe()}")
        may_wait = wait and not self._ledger.holds(client.number)
        leaving = None if may_wait and self._queue else self._ledger.evictions(needs)
        if leaving is not None:
            self._take(client.number, needs, leaving)
            return leaving
        if not may_wait:
            raise RefusedError(
                f"{_mib(sum(needs.values()))} needed: that would have to wait, {self._ledger.describe()}"
            )
        return await self._turn(client, needs)

    async def _turn(self, client: Client, needs: dict[str, int]) -> list[str]:
        waiting = Waiting(client.number, needs, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        try:
            return await waiting.granted
        except asyncio.CancelledError:
            if waiting in self._queue:
                self._queue.remove(waiting)
            elif waiting.granted.done() and not waiting.granted.cancelled():
                self._ledger.give_back(client.number, needs)
            self._grant_waiting()
            raise

    def _grant_waiting(self) -> None:
        while self._queue:
            first = self._queue[0]
            if (leaving := self._ledger.evictions(first.needs)) is None:
                return
            self._queue.pop(0)
            if not first.granted.done():
                self._take(first.client, first.needs, leaving)
                first.granted.set_result(leaving)

    def _take(self, client: int, needs: dict[str, int], leaving: list[str]) -> None:
        """Seats change hands and servers begin to leave in one step: a claim may be withdrawn at any later moment."""
        self._ledger.take(client, needs, leaving)
        for server in self._known(leaving):
            server.leave()

    def _cancel(self, client: Client, message: Mapping[str, Any]) -> None:
        """Withdraw a claim; one that was granted in the same moment is given back."""
        if (task := client.requests.get(message["request"])) is not None:
            task.cancel()
        else:
            self._ledger.give_back(client.number, message["keys"])
            self._grant_waiting()

    def _known(self, keys: list[str]) -> list[ServerProcess]:
        """Their servers; a seat whose claim was withdrawn in time never got one."""
        return [self._servers[key] for key in keys if key in self._servers]

    def _server(self, order: Order) -> ServerProcess:
        return self._servers.setdefault(order.key, ServerProcess(order))


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
