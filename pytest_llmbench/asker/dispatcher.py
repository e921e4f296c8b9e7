"""Decides what is asked when: ahead of the tests, each question once, as many at once as the limits allow.

Everything here belongs to one event loop's thread. A question costs one task and a few plain function calls; there is
no task, lock or timer for one that waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.means import Means, OnText
from pytest_llmbench.asker.plans import Group, Plan
from pytest_llmbench.asker.pump import Pump
from pytest_llmbench.asker.question import Question, Status
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.asker.ticket import State, Ticket, told
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.records import Reply

_NOT_BEGUN = frozenset({State.PLANNED, State.WAITING, State.RESTING, State.LOOKING})

_LAST_REPLIES_S = 0.05
"""How long what is under way may still take to end when all is cancelled."""


class Dispatcher:
    """Asks for a whole session; made, and called, on the thread of a running loop.

    Args:
        means: how questions are sent and kept.
        rules: the choices.
        budget: None where nothing is capped.
        accounts: the folder in which sessions of one account meet; None: this one is alone.
    """

    def __init__(
        self,
        means: Means,
        rules: Rules | None = None,
        *,
        budget: Budget | None = None,
        accounts: Path | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._budget = budget
        self._tickets: dict[str, Ticket] = {}
        self._windows: list[Plan] = []
        self._idle: list[asyncio.Future[None]] = []
        self._pump = Pump(
            means,
            rules or Rules(),
            budget=budget,
            accounts=accounts,
            on_idle=self._is_idle,
            on_cancelled=self._cancelled,
        )

    @property
    def has_windows(self) -> bool:
        """Whether a plan has to be told what is fetched; may be read from any thread."""
        return bool(self._windows)

    @property
    def keeping(self) -> tuple[Future[Any], ...]:
        """What is on its way into the database; may be read from any thread."""
        return (*self._pump.shelf.keeping.copy(), *self._pump.caller.keeping.copy())

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the response cache at the end, a sentence each; may be read from any thread."""
        return self._pump.shelf.notes

    def ticket(self, question_id: str) -> Ticket | None:
        """The ticket of a question that is known; may be called from any thread."""
        return self._tickets.get(question_id)

    def plan(self, questions: Sequence[Question], window: int | None = None) -> Plan:
        """Ask ahead, in this order; see `Asker.plan`."""
        tickets = [self._wanted(question) for question in questions]
        plan = Plan(tickets, window, self._ask_ahead, self.release)
        if window is not None:
            self._windows.append(plan)
        return plan

    def demand(self, question: Question, *, on_text: OnText | None = None) -> Ticket:
        """A test waits for this one now."""
        ticket = self._wanted(question)
        if on_text is not None and ticket.tries == 0:
            ticket.hand_on(on_text)
        self._ask_now(ticket)
        for plan in self._windows:
            plan.fetched(question.id)
        return ticket

    def follow(self, question: Question) -> Ticket:
        """Somebody wants to hear of this one, who is in no hurry."""
        ticket = self._wanted(question)
        self._ask_ahead(ticket)
        return ticket

    def demand_all(
        self, questions: Sequence[Question], concurrency: int | None = None, *, whole: bool = False
    ) -> Group:
        """A test waits for all of these, `concurrency` of them at once at most; `whole`: whatever becomes of some."""
        each = {question.id: question for question in questions}
        tickets = [self._wanted(question) for question in each.values()]
        for plan in self._windows:
            for question_id in each:
                plan.fetched(question_id)
        return Group(tickets, concurrency, self._ask_now, self.loop.call_soon_threadsafe, whole=whole)

    def release(self, ticket: Ticket) -> None:
        """One of those who wanted it wants it no more: dropped where it was the last, and nothing is under way."""
        ticket.wanted -= 1
        if ticket.wanted <= 0 and ticket.state in _NOT_BEGUN:
            self._pump.shelf.left(ticket)
            ticket.state = State.DROPPED
            if ticket.seen is not None:
                ticket.seen.given_up(_cancellation())
            self._forget(ticket)

    async def reply(self, question: Question) -> Reply:
        """The reply to a question; waits for it."""
        ticket = self.demand(question)
        await self._until_done(ticket.on_done)
        return ticket.result()

    async def reply_all(self, questions: Sequence[Question], concurrency: int | None = None) -> list[Reply]:
        """The replies to several; the first failure is raised, and what is not under way then is dropped."""
        group = self.demand_all(questions, concurrency)
        await self._until_done(group.on_done)
        return self.collected(group, questions)

    def collected(self, group: Group, questions: Sequence[Question]) -> list[Reply]:
        """The replies of a group that is done, in the order of the questions; may be called from any thread."""
        __tracebackhide__ = True
        if group.error is not None:
            self.loop.call_soon_threadsafe(self.release_all, group)
            raise told(group.error)
        replies = {ticket.question.id: ticket.result() for ticket in group.tickets}
        return [replies[question.id] for question in questions]

    def release_all(self, group: Group) -> None:
        """Nobody waits for the group any more."""
        for ticket in group.tickets:
            self.release(ticket)

    async def pause(self) -> None:
        """Wait until nothing is under way, and ask nothing ahead until `resume`; counted."""
        self._pump.pauses += 1
        try:
            while self._pump.in_flight:
                waiter: asyncio.Future[None] = self.loop.create_future()
                self._idle.append(waiter)
                await waiter
        except asyncio.CancelledError:
            self.resume()
            raise

    def resume(self) -> None:
        """End one `pause`."""
        self._pump.pauses = max(0, self._pump.pauses - 1)
        if not self._pump.pauses:
            self._pump.look_everywhere()

    async def cancel(self) -> None:
        """Drop what waits and break off what is under way; all of them fail as cancelled, and may be asked anew."""
        self._windows.clear()
        if sent := self._drop_all():
            # Replies that are here already, unread, have been paid for: they are taken first.
            await asyncio.wait(sent, timeout=_LAST_REPLIES_S)
        self._drop_all()
        under_way = [ticket.task for ticket in self._tickets.values() if ticket.task is not None]
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)

    def _drop_all(self) -> list[asyncio.Task[Reply]]:
        """Drop what is not sent; what is."""
        for ticket in list(self._tickets.values()):
            if ticket.task is not None and ticket.state is State.BEGINNING:
                ticket.task.cancel()
            elif ticket.task is None and ticket.state in _NOT_BEGUN:
                self._cancelled(ticket)
        under_way = ((ticket.task, ticket.state) for ticket in self._tickets.values())
        return [task for task, state in under_way if task is not None and state is State.ASKING]

    def close(self) -> None:
        """Leave the accounts to other sessions; after `cancel`."""
        self._pump.close()

    def status(self) -> Status:
        """How it goes; may be called from any thread."""
        began_at, now = self._pump.began_at, self.loop.time()
        left_usd = None if self._budget is None else self._budget.left_usd
        return Status(
            tuple(lane.status(now) for lane in tuple(self._pump.lanes.values())),
            elapsed_s=0.0 if began_at is None else now - began_at,
            paused=self._pump.pauses > 0,
            budget_left_usd="" if left_usd is None else f"{left_usd:f}",
        )

    def _wanted(self, question: Question) -> Ticket:
        ticket = self._tickets.get(question.id)
        if ticket is None:
            ticket = self._tickets[question.id] = Ticket(question)
            self._pump.lane(question).counts.total += 1
        ticket.wanted += 1
        return ticket

    def _ask_ahead(self, ticket: Ticket) -> None:
        if ticket.state is State.PLANNED:
            self._pump.enqueue(ticket)

    def _ask_now(self, ticket: Ticket) -> None:
        """A test waits for it: it goes before all that is only asked ahead."""
        if not ticket.urgent:
            ticket.urgent = True
            if ticket.state is State.LOOKING:
                self._pump.shelf.hurry(ticket)
            elif ticket.state in {State.PLANNED, State.WAITING}:
                self._pump.enqueue(ticket)

    def _forget(self, ticket: Ticket) -> None:
        if self._tickets.pop(ticket.question.id, None) is not None:
            self._pump.lane(ticket.question).counts.total -= 1

    def _cancelled(self, ticket: Ticket) -> None:
        """Not for a reason of its own: it may be asked anew."""
        self._pump.shelf.left(ticket)
        self._forget(ticket)
        ticket.fail(_cancellation())

    def _is_idle(self) -> None:
        for waiter in self._idle:
            if not waiter.done():
                waiter.set_result(None)
        self._idle.clear()

    async def _until_done(self, on_done: Callable[[Callable[[Any], None]], None]) -> None:
        over = asyncio.Event()

        def tell(_: object) -> None:
            self.loop.call_soon_threadsafe(over.set)

        on_done(tell)
        await over.wait()


def _cancellation() -> InfraError:
    return InfraError("the question was cancelled before its reply was complete", category=Category.CANCELLED)
