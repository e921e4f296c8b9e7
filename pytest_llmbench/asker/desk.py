"""Where workers ask: the other end of their lines, with the one dispatcher of the run behind it.

A line is a worker. When it ends, what only it wanted is dropped, its pauses end, and what it had promised to send is
asked of others. While one has paused the asking, only it is answered; the others' demands wait. Everything here happens
on the loop's thread, except that tickets may be completed by another one.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pytest_llmbench import redaction
from pytest_llmbench.asker import messages
from pytest_llmbench.asker.bodies import Bodies
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.line import Line
from pytest_llmbench.asker.plans import Group, Plan
from pytest_llmbench.asker.ticket import Ticket
from pytest_llmbench.errors import Category, InfraError

HELLO_S = 30.0
"""How long one who was let in by nobody yet may keep a connection."""
SLICE = 256
"""So many questions of a plan without a window begin as soon as they are known, and so many replies leave at once."""


@dataclass(slots=True)
class Client:
    """What one line wants."""

    unpacker: messages.Unpacker = field(default_factory=messages.Unpacker)
    plans: list[Plan] = field(default_factory=list)
    demands: dict[int, Sequence[Ticket]] = field(default_factory=dict)
    """Request → the questions that it waits for; none while their bodies are on their way."""
    pauses: int = 0


class Desk:
    """Lines on one side, the dispatcher on the other.

    Args:
        dispatcher: what asks.
        token: what a line has to know.
        notes: what is told to who ends the session.
    """

    def __init__(self, dispatcher: Dispatcher, token: str, notes: Callable[[], Sequence[str]] = lambda: ()) -> None:
        self.over = asyncio.Event()
        self._dispatcher = dispatcher
        self._token = token
        self._notes = notes
        self._loop = asyncio.get_running_loop()
        self._bodies: Bodies[Line] = Bodies(lambda line, keys: line.tell({"need": keys}))
        self._clients: dict[Line, Client] = {}
        self._strangers: dict[Line, asyncio.TimerHandle] = {}
        self._pausing: set[asyncio.Task[None]] = set()
        self._agreed: dict[str, str] = {}
        """What was chosen first, by what for."""
        self._held: list[tuple[Client, Callable[[], None]]] = []
        """Demands that wait for the end of another line's pause."""

    def line(self) -> Line:
        """The protocol of a new connection."""
        line = Line(self._told, self._ended)
        self._strangers[line] = self._loop.call_later(HELLO_S, line.close)
        return line

    async def hang_up(self) -> None:
        """Let everybody go: for them the sign that all that was complete is stored."""
        lines = [*self._clients, *self._strangers]
        for line in lines:
            line.close()
        await asyncio.gather(*(line.gone.wait() for line in lines))
        await asyncio.gather(*self._pausing, return_exceptions=True)

    def _told(self, line: Line, message: Mapping[str, Any]) -> None:
        client = self._clients.get(line)
        if client is None:
            self._greet(line, message)
            return
        try:
            self._do(line, client, message)
        except messages.MalformedError:
            raise
        except (KeyError, TypeError, AttributeError) as error:
            raise messages.MalformedError(f"a message that nobody of ours sends: {error!r}") from error

    def _greet(self, line: Line, message: Mapping[str, Any]) -> None:
        told = str(message.get("token")).encode(errors="replace")
        if message.get("op") != "hello" or not hmac.compare_digest(told, self._token.encode()):
            line.tell({"id": message.get("id"), "error": messages.told_error(_wrong_token())})
            line.close()
            return
        self._strangers.pop(line).cancel()
        self._clients[line] = Client()
        line.tell({"id": message.get("id"), "ok": {"pid": os.getpid()}})

    def _do(self, line: Line, client: Client, message: Mapping[str, Any]) -> None:
        number = messages.number(message, "id") or 0
        match message.get("op"):
            case "secrets":
                for value in messages.texts(message, "values"):
                    redaction.register(value)
            case "plan":
                self._plan(line, client, messages.texts(message, "keys"), messages.number(message, "window"))
            case "questions":
                self._bodies.arrived(client.unpacker.unpacked(message))
            case "get" | "stream" as op:
                self._get(line, client, number, str(message["key"]), streamed=op == "stream")
            case "follow":
                self._follow(line, client, number, str(message["key"]))
            case "get_all" | "get_each" as op:
                keys, concurrency = messages.texts(message, "keys"), messages.number(message, "concurrency")
                self._get_all(line, client, number, keys, concurrency, whole=op == "get_each")
            case "drop":
                self._drop(client.demands.pop(messages.number(message, "request") or 0, ()))
            case "pause":
                self._begin_pause(line, client, number)
            case _:
                line.tell({"id": number, "ok": self._answer(client, message)})

    def _answer(self, client: Client, message: Mapping[str, Any]) -> Any:
        """What is answered at once."""
        match message.get("op"):
            case "ping":
                return None
            case "status":
                return self._dispatcher.status()
            case "agree":
                choices = dict(message["choices"])
                return {str(key): self._agreed.setdefault(str(key), str(choice)) for key, choice in choices.items()}
            case "resume" if client.pauses:
                self._resume(client)
            case "cancel":
                self._forget(client)
            case "shutdown":
                self.over.set()
                return {"notes": self._notes()}
            case unknown:
                raise messages.MalformedError(f"unknown request {unknown!r}")
        return None

    def _plan(self, line: Line, client: Client, keys: Sequence[str], window: int | None) -> None:
        size = len(keys) if window is not None else SLICE
        for start in range(0, len(keys), max(1, size)):
            self._plan_slice(line, client, keys[start : start + size], window)

    def _plan_slice(self, line: Line, client: Client, keys: Sequence[str], window: int | None) -> None:
        def begin() -> None:
            questions = [self._bodies[key] for key in keys]
            client.plans.append(self._dispatcher.plan(questions, window=window))

        self._bodies.when_known(line, keys, begin)

    def _get(self, line: Line, client: Client, number: int, key: str, *, streamed: bool) -> None:
        def begin() -> None:
            if number not in client.demands:
                return  # it was dropped meanwhile
            on_text = (lambda text: line.tell({"id": number, "text": text})) if streamed else None
            ticket = self._dispatcher.demand(self._bodies[key], on_text=on_text)
            client.demands[number] = (ticket,)
            ticket.on_done(partial(self._on_loop, self._tell_reply, line, number))

        client.demands[number] = ()
        self._bodies.when_known(line, [key], lambda: self._unless_paused(client, begin))

    def _follow(self, line: Line, client: Client, number: int, key: str) -> None:
        def begin() -> None:
            ticket = self._dispatcher.follow(self._bodies[key])
            client.demands[number] = (ticket,)
            ticket.on_done(partial(self._on_loop, self._tell_reply, line, number))

        client.demands[number] = ()
        self._bodies.when_known(line, [key], begin)

    def _get_all(
        self,
        line: Line,
        client: Client,
        number: int,
        keys: Sequence[str],
        concurrency: int | None,
        *,
        whole: bool = False,
    ) -> None:
        def begin() -> None:
            if number not in client.demands:
                return
            group = self._dispatcher.demand_all([self._bodies[key] for key in keys], concurrency, whole=whole)
            client.demands[number] = group.tickets
            tell = self._tell_outcomes if whole else self._tell_replies
            group.on_done(partial(self._on_loop, tell, line, number))

        client.demands[number] = ()
        self._bodies.when_known(line, keys, lambda: self._unless_paused(client, begin))

    def _on_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(call, *arguments)

    def _tell_reply(self, line: Line, number: int, ticket: Ticket) -> None:
        if not self._settled(line, number):
            return
        if ticket.error is not None:
            line.tell({"id": number, "error": messages.told_error(ticket.error)})
        else:
            line.tell({"id": number, "ok": ticket.result()})

    def _tell_replies(self, line: Line, number: int, group: Group) -> None:
        if not self._settled(line, number):
            return
        if group.error is not None:
            line.tell({"id": number, "error": messages.told_error(group.error)})
            return
        for start in range(0, len(group.tickets), SLICE):
            part = {each.question.id: each.result() for each in group.tickets[start : start + SLICE]}
            line.tell({"id": number, "part": part})
        line.tell({"id": number, "ok": None})

    def _tell_outcomes(self, line: Line, number: int, group: Group) -> None:
        if not self._settled(line, number):
            return
        for start in range(0, len(group.tickets), SLICE):
            some = group.tickets[start : start + SLICE]
            line.tell({"id": number, "part": {each.question.id: messages.told_outcome(each.outcome) for each in some}})
        line.tell({"id": number, "ok": None})

    def _settled(self, line: Line, number: int) -> bool:
        """End a demand that is answered now; whether anybody still waits for it."""
        client = self._clients.get(line)
        if client is None or number not in client.demands:
            return False
        self._drop(client.demands.pop(number))
        return True

    def _unless_paused(self, client: Client, begin: Callable[[], None]) -> None:
        """Now, or once no other line has paused the asking."""
        if client.pauses or not any(other.pauses for other in self._clients.values()):
            begin()
        else:
            self._held.append((client, begin))

    def _begin_pause(self, line: Line, client: Client, number: int) -> None:
        client.pauses += 1
        task = self._loop.create_task(self._pause(line, number))
        self._pausing.add(task)
        task.add_done_callback(self._pausing.discard)

    async def _pause(self, line: Line, number: int) -> None:
        await self._dispatcher.pause()
        if line in self._clients:
            line.tell({"id": number, "ok": None})

    def _resume(self, client: Client) -> None:
        client.pauses -= 1
        self._dispatcher.resume()
        held, self._held = self._held, []
        for each in held:
            self._unless_paused(*each)

    def _ended(self, line: Line) -> None:
        if (timer := self._strangers.pop(line, None)) is not None:
            timer.cancel()
        if (client := self._clients.pop(line, None)) is not None:
            self._bodies.gone(line)
            self._forget(client)
            while client.pauses:
                self._resume(client)

    def _forget(self, client: Client) -> None:
        """Drop everything that this line wanted."""
        for plan in client.plans:
            plan.end()
        for tickets in client.demands.values():
            self._drop(tickets)
        client.plans, client.demands = [], {}

    def _drop(self, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            self._dispatcher.release(ticket)


def _wrong_token() -> InfraError:
    return InfraError("wrong token", category=Category.LOCAL_ASKER)
