"""One attempt at one question: reserved, sent, booked, whatever becomes of it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.asker.budget import Budget, Reservation
from pytest_llmbench.asker.gate import Begun
from pytest_llmbench.asker.lanes import Lane
from pytest_llmbench.asker.means import Means
from pytest_llmbench.asker.ticket import State, Ticket
from pytest_llmbench.asker.watching import seen
from pytest_llmbench.errors import Category, InfraError, UsageError, WireError
from pytest_llmbench.records import Cost, FailedAttempt, Reply, Usage
from pytest_llmbench.records.asked import UNKNOWN_COST

NOT_BILLED = frozenset(
    {
        Category.AUTH,
        Category.QUOTA_EXHAUSTED,
        Category.RATE_LIMITED,
        Category.OVERLOADED,
        Category.INVALID_REQUEST,
        Category.CONTEXT_LENGTH,
        Category.MODEL_MISSING,
        Category.TIMEOUT_CONNECT,
        Category.NETWORK_DNS,
        Category.NETWORK_TLS,
        Category.NETWORK_REFUSED,
        Category.LOCAL_SOCKETS,
    }
)
"""Refused before anything was generated, or never sent."""

REFUSED = Cost("0", "refused")


class Caller:
    """Makes the calls; belongs to the loop's thread.

    Args:
        means: how questions are sent and kept.
        budget: None where nothing is capped.
        keep_text: whether what had come of a failed answer may be stored.
    """

    def __init__(self, means: Means, budget: Budget | None, *, keep_text: bool) -> None:
        self._means = means
        self._budget = budget
        self._keep_text = keep_text
        self.keeping: set[Future[Any]] = set()
        """Attempts that were broken off, on their way into the database: nobody else waits for them."""
        self._loop = asyncio.get_running_loop()

    async def call(self, ticket: Ticket, lane: Lane, begun: Begun, reserved: Reservation | None) -> Reply:
        """Ask once.

        Args:
            ticket: whose question it is.
            lane: where it stood in line.
            begun: from the lane's gate.
            reserved: what was taken out of the budget for it; is settled here, however the attempt ends.

        Raises:
            InfraError: it failed, and what is known of it is stored.
        """

        def on_headers(status: int, headers: Mapping[str, str]) -> None:
            now, gate = self._loop.time(), lane.gate
            gate.read_headers(begun, headers, now)
            if status < HTTPStatus.BAD_REQUEST and gate.passage.passed(now, gate.limit.now):
                lane.look(lane)

        question, tries = ticket.question, ticket.tries
        try:
            if reserved is not None:
                await asyncio.wrap_future(reserved.saved)
            ticket.tries += 1
            ticket.state = State.ASKING
            ticket.seen = seen(self._means, question, ticket.tries)
            reply = await self._means.send(question, on_headers, ticket.on_text)
        except BaseException as error:
            if kept := self._book_failure(ticket, lane, begun, reserved, error, sent=ticket.tries > tries):
                await asyncio.wrap_future(kept)
            raise
        return self._book(ticket, lane, begun, reserved, reply)

    def _book(self, ticket: Ticket, lane: Lane, begun: Begun, reserved: Reservation | None, reply: Reply) -> Reply:
        question = ticket.question
        lane.gate.succeeded(begun, reply.usage, self._loop.time(), first=ticket.tries == 1)
        cost = self._means.cost(question, reply.usage)
        self._settle(lane, reserved, cost)
        whole = dataclasses.replace(reply, cost=cost, attempts=ticket.tries, role=question.role)
        if ticket.seen is not None:
            ticket.seen.answered(whole)
        if self._means.record is not None:
            self._means.record(question, whole)
        return whole

    def _book_failure(
        self,
        ticket: Ticket,
        lane: Lane,
        begun: Begun,
        reserved: Reservation | None,
        error: BaseException,
        *,
        sent: bool,
    ) -> Future[Any] | None:
        """Settle an attempt that failed.

        Returns:
            What is to be waited for until it is stored; None where the attempt was none, or nobody may wait any more.
        """
        if not sent or isinstance(error, UsageError):
            self._settle(lane, reserved, REFUSED)
            if sent and ticket.seen is not None:
                ticket.seen.failed(error, cost=REFUSED)
            return None
        if isinstance(error, InfraError):
            lane.gate.failed(begun, error, self._loop.time())
        usage = error.usage if isinstance(error, WireError) and isinstance(error.usage, Usage) else None
        cost = self._means.cost(ticket.question, usage) if usage else _unanswered_cost(error)
        self._settle(lane, reserved, cost)
        if ticket.seen is not None:
            ticket.seen.failed(error, usage, cost)
        kept = self._means.keep_failed(ticket.question, self._attempt(ticket, error, usage or Usage(), cost))
        if isinstance(error, InfraError):
            return kept
        self.keeping.add(kept)
        kept.add_done_callback(self.keeping.discard)
        return None

    def _settle(self, lane: Lane, reserved: Reservation | None, cost: Cost) -> None:
        lane.counts.add_cost(cost)
        if reserved is not None and self._budget is not None:
            self._budget.settle(reserved, cost)

    def _attempt(self, ticket: Ticket, error: BaseException, usage: Usage, cost: Cost) -> FailedAttempt:
        question = ticket.question
        category = error.category if isinstance(error, InfraError) else Category.CANCELLED
        partial_text = error.partial_text if isinstance(error, WireError) and self._keep_text else ""
        return FailedAttempt(
            model=question.target.name,
            request_hash=question.request_hash,
            number=ticket.tries,
            category=str(category),
            message=error.message if isinstance(error, InfraError) else "cancelled before its reply was complete",
            partial_text=partial_text,
            at=clock.now().isoformat(),
            usage=usage,
            cost=cost,
            role=question.role,
        )


def _unanswered_cost(error: BaseException) -> Cost:
    """Of an attempt of which the provider told no usage: nothing where it was refused, else unknown."""
    if not isinstance(error, InfraError) or error.category not in NOT_BILLED:
        return UNKNOWN_COST
    answered = isinstance(error, WireError) and (error.partial_text or (error.status or 400) < 400)
    return UNKNOWN_COST if answered else REFUSED
