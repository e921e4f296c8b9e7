"""The line before one model of one account: what waits, what is under way, how it goes."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from pytest_llmbench.asker.accounts import Lease
from pytest_llmbench.asker.breaker import Breaker
from pytest_llmbench.asker.gate import Gate
from pytest_llmbench.asker.payloads import Shape
from pytest_llmbench.asker.question import ModelStatus, Question
from pytest_llmbench.asker.retry import not_asked
from pytest_llmbench.asker.ticket import State, Ticket
from pytest_llmbench.errors import InfraError
from pytest_llmbench.records import Cost, LaneState, Target

LaneKey = tuple[str, str, str, str]


def lane_key(target: Target) -> LaneKey:
    """Who limits and bills: (provider, address, account, model)."""
    return target.provider, target.base_url, target.account, target.model_id


@dataclass(slots=True)
class Counts:
    """What has come of the questions to one model."""

    total: int = 0
    """Planned or demanded, not dropped."""
    done: int = 0
    failed: int = 0
    answered: int = 0
    """Calls that brought a reply."""
    broken: int = 0
    """Calls that failed, refusals for the rate not among them."""
    broken_by: Counter[str] = field(default_factory=Counter)
    """The same by what was asked: hash of the request → calls."""
    answered_s: float = 0.0
    """How long they took, added up."""
    retries: int = 0
    """Calls beyond the first of their questions."""
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    unknown_costs: int = 0

    def add_broken(self, request_hash: str) -> None:
        """A call failed."""
        self.broken += 1
        self.broken_by[request_hash] += 1

    def broken_without(self, request_hash: str) -> int:
        """Calls that failed, of other requests."""
        return self.broken - self.broken_by[request_hash]

    def add_cost(self, cost: Cost) -> None:
        """Of one attempt."""
        if cost.amount is None:
            self.unknown_costs += 1
        else:
            self.cost_usd += cost.spent


@dataclass(slots=True)
class Lane:
    """One line; what a test waits for goes before what is asked ahead."""

    target: Target
    gate: Gate
    breaker: Breaker
    look: Callable[[Lane], None]
    """Looks soon whether something may begin."""
    lease: Lease | None = None
    counts: Counts = field(default_factory=Counts)
    in_flight: int = 0
    pumping: asyncio.Handle | None = None
    """The look at the line that is due already."""
    waking: asyncio.TimerHandle | None = None
    """The look at the line when the first in it may go."""
    poor: bool = False
    """Whether the first in line waits until others' reservations are settled."""
    told_cuts: int = 0
    """Of how many cuts of the limit those who look on were told."""
    prober: Ticket | None = None
    """Who waits for a token of the retry budget to try whether its model is well again, for the whole line."""
    suspects: list[tuple[Question, Shape]] = field(default_factory=list)
    """Whose question failed alike each time, and how, since the last answer: the next one tells who was at fault."""
    _urgent: deque[Ticket] = field(default_factory=deque)
    _ahead: deque[Ticket] = field(default_factory=deque)

    def add(self, ticket: Ticket) -> None:
        """To the end of the line; one that stands in it already moves to the front part once it is urgent."""
        ticket.state = State.WAITING
        (self._urgent if ticket.urgent else self._ahead).append(ticket)

    def put_back(self, ticket: Ticket) -> None:
        """Before the others: it was its turn, or it was tried before."""
        ticket.state = State.WAITING
        (self._urgent if ticket.urgent else self._ahead).appendleft(ticket)

    def next(self, *, urgent_only: bool = False) -> Ticket | None:
        """The first in line that still waits; while nothing gets through, the one that has failed least often."""
        lines = (self._urgent,) if urgent_only else (self._urgent, self._ahead)
        if self.gate.passage.is_blocked or not self.breaker.closed:
            return self._freshest(lines)
        for line in lines:
            while line:
                ticket = line.popleft()
                if ticket.state is State.WAITING:
                    return ticket
        return None

    def hasty(self) -> Iterator[Ticket]:
        """Those who wait and would not, were they told that the model fails."""
        for line in (self._urgent, self._ahead):
            yield from [each for each in line if each.state is State.WAITING and each.question.hasty]

    @property
    def has_fresh(self) -> bool:
        """Whether somebody waits who has not failed yet."""
        lines = (self._urgent, self._ahead)
        return any(each.state is State.WAITING and each.history is None for line in lines for each in line)

    @staticmethod
    def _freshest(lines: tuple[deque[Ticket], ...]) -> Ticket | None:
        found: tuple[tuple[bool, int], Ticket, deque[Ticket]] | None = None
        for line in lines:
            for ticket in line:
                if ticket.state is not State.WAITING:
                    continue
                if not (failed := ticket.history.times if ticket.history else 0):
                    line.remove(ticket)
                    return ticket
                rank = not ticket.is_paid, failed  # who has a token for another try need not wait for one
                if found is None or rank < found[0]:
                    found = rank, ticket, line
        if found is None:
            return None
        found[2].remove(found[1])
        return found[1]

    @property
    def waiting(self) -> int:
        """How many are neither answered nor under way."""
        counts = self.counts
        return max(0, counts.total - counts.done - counts.failed - self.in_flight)

    @property
    def tail(self) -> tuple[float, float]:
        """How long it is going to take, for comparison: seconds, then, while no reply has come, US dollars a token."""
        counts = self.counts
        mean_s = counts.answered_s / counts.answered if counts.answered else 0.0
        return self.waiting / self.gate.limit.most * mean_s, float(self.target.price.output or 0)

    def refusal(self, question: Question, now: float) -> InfraError | None:
        """Why a question is not asked, and does not wait either; None where it may go or wait."""
        if (refusal := self.gate.shut_by(now)) is not None:
            return not_asked(self.target.name, refusal)
        breaker = self.breaker
        if breaker.closed:
            return None
        if question.hasty and breaker.wait_s(now) > 0:
            return breaker.not_asked(now)
        return breaker.refusal(now)

    def wait_s(self, tokens: int, now: float) -> float:
        """How long the next request has to wait; 0 where it may go, endless where something else has to end first."""
        gate = self.gate
        if (wait_s := gate.wait_s(tokens, now)) > 0:
            gate.waits_until = now + wait_s
        if gate.passage.room is None and self.breaker.closed:  # nearly always
            return wait_s
        return max(wait_s, gate.passage.wait_s(self.in_flight, now), self.breaker.wait_s(now))

    def status(self, now: float) -> ModelStatus:
        """How it goes; may be called from any thread."""
        counts = self.counts
        ill = self.breaker.words(now) if self.waiting or self.in_flight else ""
        state = ill or self.gate.state(now, self.waiting)
        return ModelStatus(
            self.target.name,
            done=counts.done,
            failed=counts.failed,
            in_flight=self.in_flight,
            waiting=self.waiting,
            limit=self.gate.limit.now,
            completion_tokens=counts.completion_tokens,
            cost_usd=f"{counts.cost_usd:f}",
            unknown_costs=counts.unknown_costs,
            state=state or ("waits until reserved money is settled" if self.poor else ""),
            answered=counts.answered,
            answered_s=counts.answered_s,
            broken=counts.broken,
            held_s=self._held_s(now),
            breaker=self.breaker.state,
        )

    def state(self, now: float, at: datetime, retries_left: float) -> LaneState:
        """How it stands, for those who look on.

        Args:
            now: seconds of the loop's clock.
            at: the same moment by the clock on the wall.
            retries_left: of the run.
        """
        held_s = self._held_s(now)
        return LaneState(
            model=self.target.name,
            account=self.target.account,
            limit=self.gate.limit.now,
            in_flight=self.in_flight,
            waiting=self.waiting,
            held_until=(at + timedelta(seconds=held_s)).isoformat() if held_s else "",
            breaker=self.breaker.state.value,
            opened=self.breaker.opened,
            cuts=self.gate.limit.cuts,
            retries=self.counts.retries,
            retries_left=retries_left,
            at=at.isoformat(),
        )

    def _held_s(self, now: float) -> float:
        return max(0.0, self.gate.limit.held_until - now, self.breaker.held_s(now))
