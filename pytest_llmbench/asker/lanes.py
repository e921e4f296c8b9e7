"""The line before one model of one account: what waits, what is under way, how it goes."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from pytest_llmbench.asker.accounts import Lease
from pytest_llmbench.asker.gate import Gate
from pytest_llmbench.asker.question import ModelStatus
from pytest_llmbench.asker.ticket import State, Ticket
from pytest_llmbench.records import Cost, Target

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
    answered_s: float = 0.0
    """How long they took, added up."""
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    unknown_costs: int = 0

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
    lease: Lease | None = None
    counts: Counts = field(default_factory=Counts)
    in_flight: int = 0
    pumping: asyncio.Handle | None = None
    """The look at the line that is due already."""
    waking: asyncio.TimerHandle | None = None
    """The look at the line when the first in it may go."""
    poor: bool = False
    """Whether the first in line waits until others' reservations are settled."""
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
        """The first in line that still waits."""
        for line in (self._urgent,) if urgent_only else (self._urgent, self._ahead):
            while line:
                ticket = line.popleft()
                if ticket.state is State.WAITING:
                    return ticket
        return None

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

    def status(self, now: float) -> ModelStatus:
        """How it goes."""
        counts = self.counts
        state = self.gate.state(now, self.waiting)
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
        )
