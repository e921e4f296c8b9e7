"""Begins what may be begun now, and deals with how it ends: the lines, the limits, the money, another try."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path

from pytest_llmbench.asker.accounts import RENEW_S, Lease
from pytest_llmbench.asker.breaker import Breaker
from pytest_llmbench.asker.budget import Budget, Reservation
from pytest_llmbench.asker.calling import REFUSED, Caller
from pytest_llmbench.asker.gate import Begun, Gate
from pytest_llmbench.asker.lane_states import LaneStates
from pytest_llmbench.asker.lanes import Lane, LaneKey, lane_key
from pytest_llmbench.asker.means import Means
from pytest_llmbench.asker.prefixes import Leaders
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.asker.second_tries import SecondTries
from pytest_llmbench.asker.shelf import Shelf, fail
from pytest_llmbench.asker.ticket import State, Ticket
from pytest_llmbench.asker.worst_case import worst_case_of
from pytest_llmbench.errors import InfraError, LlmbenchError
from pytest_llmbench.records import Reply, Target
from pytest_llmbench.records.asked import UNKNOWN_COST

AT_ONCE = 256
"""Requests under way to all models together: what one process can read at a time; more where one model may."""

_AT_A_TIME = 64
"""Stored replies handed out before others get their turn on the loop."""


class Pump:
    """Belongs to the loop's thread.

    Args:
        means: how questions are sent and kept.
        rules: the choices.
        budget: None where nothing is capped.
        accounts: the folder in which sessions of one account meet; None: this one is alone.
        on_idle: told when nothing is under way any more.
        on_cancelled: told a question that was broken off, or is not tried again because nobody wants it.
    """

    def __init__(
        self,
        means: Means,
        rules: Rules,
        *,
        budget: Budget | None,
        accounts: Path | None,
        on_idle: Callable[[], None],
        on_cancelled: Callable[[Ticket], None],
    ) -> None:
        self.lanes: dict[LaneKey, Lane] = {}
        self.in_flight = 0
        self.pauses = 0
        """While there are any, only what a test waits for is asked."""
        self.began_at: float | None = None
        """When the first request was sent; seconds of the loop's clock."""
        self.shelf = Shelf(means, self._stand)
        self._loop = asyncio.get_running_loop()
        self._rules = rules
        self._at_once = max(AT_ONCE, rules.max_concurrency)
        self._budget = budget
        self._accounts = accounts
        self._on_idle = on_idle
        self._on_cancelled = on_cancelled
        self.caller = Caller(means, budget, keep_text=rules.keep_text)
        self._second_tries = SecondTries(rules, means, self._again)
        self._states = LaneStates(means.lane_states, self._second_tries.budget)
        self._leaders = Leaders() if rules.prefer == "cost" else None
        self._crowded = False
        self._renewing: asyncio.TimerHandle | None = None

    def lane(self, question: Question) -> Lane:
        """The line in which a question stands."""
        key = lane_key(question.target)
        lane = self.lanes.get(key)
        if lane is None:
            lane = self.lanes[key] = self._new_lane(question.target)
            if self._accounts is not None and question.target.account:
                lane.lease = Lease(self._accounts, key)
                lane.gate.share(lane.lease.renew())
                self._renewing = self._renewing or self._loop.call_later(RENEW_S, self._renew)
        return lane

    def _new_lane(self, target: Target) -> Lane:
        rules = self._rules
        gate = Gate(target.limits, rules.max_concurrency, rules.jitter)
        breaker = Breaker(target.name, rules.attempts, rules.outage_patience_s, rules.jitter)
        return Lane(target, gate, breaker, self._look_soon)

    def enqueue(self, ticket: Ticket) -> None:
        """Let it stand in line, where the cache has nothing for it; a second time where it has become urgent."""
        lane = self.lane(ticket.question)
        may_look = ticket.urgent or not self.pauses  # a machine that measures is left alone
        if not (may_look and self.shelf.looks_up(ticket, lane)):
            self._stand(ticket, lane)

    def _stand(self, ticket: Ticket, lane: Lane) -> None:
        if not (ticket.question.hasty and self._is_refused(ticket, lane, self._loop.time())):
            lane.add(ticket)
            self._look_soon(lane)

    def _again(self, ticket: Ticket, lane: Lane) -> None:
        if not (ticket.question.hasty and self._is_refused(ticket, lane, self._loop.time())):
            lane.put_back(ticket)
            self._look_soon(lane)

    @staticmethod
    def _is_refused(ticket: Ticket, lane: Lane, now: float) -> bool:
        """Whether it fails here and now: its model is not asked, and it does not wait for it."""
        refusal = lane.refusal(ticket.question, now)
        if refusal is not None:
            refusal.unsent = not ticket.tries
            fail(ticket, lane, refusal)
        return refusal is not None

    def look_everywhere(self) -> None:
        """Something has changed for all lines: the one that is going to take longest comes first."""
        for lane in sorted(self.lanes.values(), key=lambda each: each.tail, reverse=True):
            self._look_soon(lane)

    def close(self) -> None:
        """Leave the accounts to others."""
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None
        for lane in self.lanes.values():
            if lane.lease is not None:
                lane.lease.end()
            for look in (lane.pumping, lane.waking):
                if look is not None:
                    look.cancel()
            lane.pumping = lane.waking = None
        self._second_tries.close()
        self._states.close()

    def _renew(self) -> None:
        for lane in self.lanes.values():
            if lane.lease is not None:
                lane.gate.share(lane.lease.renew())
        self._renewing = self._loop.call_later(RENEW_S, self._renew)

    def _look_soon(self, lane: Lane) -> None:
        if lane.waking is not None:
            lane.waking.cancel()
            lane.waking = None
        if lane.pumping is None:
            lane.pumping = self._loop.call_soon(self._look, lane)

    def _look(self, lane: Lane) -> None:
        """Begin what may be begun."""
        lane.pumping, lane.waking, lane.poor = None, None, False
        answered = 0
        while lane.in_flight < lane.gate.limit.now:
            if self.in_flight >= self._at_once:
                self._crowded = True
                return
            ticket = lane.next(urgent_only=self.pauses > 0)
            if ticket is None:
                return
            try:
                if self.shelf.answers(ticket, lane):
                    answered += 1
                elif not self._begin(ticket, lane):
                    return
            except Exception as error:  # noqa: BLE001 - a fault of ours, raised where the question was asked
                fail(ticket, lane, error)
            if answered >= _AT_A_TIME:
                self._look_soon(lane)
                return

    def _begin(self, ticket: Ticket, lane: Lane) -> bool:
        """Ask it, if it may be asked.

        Returns:
            Whether the next in line may be looked at.
        """
        if self._leaders is not None and self._leaders.waits(ticket):
            return True
        now = self._loop.time()
        if self._is_refused(ticket, lane, now):
            return True
        tokens = lane.gate.tokens_of(ticket.question.request)
        if (wait_s := lane.wait_s(tokens, now)) > 0:
            lane.put_back(ticket)
            if wait_s < inf:
                lane.waking = self._loop.call_later(wait_s, self._look, lane)
            return False
        if ticket.tries and not self._second_tries.may_go(ticket, lane):
            return lane.breaker.closed  # else all of the line wait until one has tried
        return self._pay(ticket, lane, tokens, now)

    def _pay(self, ticket: Ticket, lane: Lane, tokens: int, now: float) -> bool:
        """Reserve what it may cost, and ask it; see `_begin`."""
        reserved = None
        if self._budget is not None and self._budget.caps.hold(ticket.question):
            try:
                reserved = self._reserve(self._budget, ticket)
            except LlmbenchError as error:
                fail(ticket, lane, error)
                return True
            if reserved is None:
                lane.put_back(ticket)
                lane.poor = True
                return False
        self._start(ticket, lane, tokens, now, reserved)
        return True

    def _reserve(self, budget: Budget, ticket: Ticket) -> Reservation | None:
        if ticket.worst_usd is None:
            ticket.worst_usd = worst_case_of(ticket.question)
        return budget.reserve(ticket.question, ticket.worst_usd)

    def _start(self, ticket: Ticket, lane: Lane, tokens: int, now: float, reserved: Reservation | None) -> None:
        if self.began_at is None:
            self.began_at = now
        self.in_flight += 1
        lane.in_flight += 1
        begun = lane.gate.begin(tokens, lane.in_flight, now)
        self._second_tries.begins(ticket, lane, begun)
        self._states.changed(lane)
        if self._leaders is not None:
            self._leaders.begins(ticket)
        ticket.state = State.BEGINNING
        ticket.task = task = self._loop.create_task(self.caller.call(ticket, lane, begun, reserved))
        task.add_done_callback(partial(self._ended, ticket, lane, begun, reserved))

    def _ended(
        self, ticket: Ticket, lane: Lane, begun: Begun, reserved: Reservation | None, task: asyncio.Task[Reply]
    ) -> None:
        self.in_flight -= 1
        lane.in_flight -= 1
        ticket.task = None
        if self._budget is not None and reserved is not None and not reserved.over:
            # Cancelled before its first step, when nothing was sent; else a fault of ours after it was.
            self._budget.settle(reserved, REFUSED if task.cancelled() else UNKNOWN_COST)
        if task.cancelled():
            self._second_tries.says_nothing(ticket, lane, begun)
            self._on_cancelled(ticket)
        elif (error := task.exception()) is None:
            lane.counts.answered += 1
            lane.counts.answered_s += self._loop.time() - begun.at
            self._second_tries.answered(ticket, lane, begun)
            self.shelf.keep(ticket, lane, task.result())
        elif not isinstance(error, InfraError):
            self._second_tries.says_nothing(ticket, lane, begun)
            fail(ticket, lane, error)
        elif not self._second_tries.tries_again(ticket, lane, begun, error):
            fail(ticket, lane, error)
        elif ticket.wanted <= 0:  # nobody waits for it any more
            self._on_cancelled(ticket)
        self._states.changed(lane)
        self._go_on(ticket, lane)

    def _go_on(self, ticket: Ticket, lane: Lane) -> None:
        """Somebody's place is free."""
        if self._leaders is not None:
            for follower in reversed(self._leaders.over(ticket)):
                if follower.state is State.WAITING:
                    lane.put_back(follower)
        if self._crowded or self._budget is not None:
            self._crowded = False
            self.look_everywhere()
        else:
            self._look_soon(lane)
        if not self.in_flight:
            self._on_idle()
