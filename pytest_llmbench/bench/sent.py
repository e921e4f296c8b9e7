"""What a measurement sends, told to those who look on: while nothing is timed, for telling takes time of its own."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from pytest_llmbench import clock
from pytest_llmbench.bench.planned import Planned
from pytest_llmbench.bench.subject import SeenBy
from pytest_llmbench.clients import ChatRequest, Endpoint
from pytest_llmbench.clients.request import told_of
from pytest_llmbench.observe.calls import CallBegun, CallEnded
from pytest_llmbench.records import Cost, Measurement, Reply
from pytest_llmbench.records.asked import UNKNOWN_COST, UNPRICED


class Sent(NamedTuple):
    """One request, over."""

    seen_by: SeenBy
    planned: Planned
    where: Endpoint
    request: ChatRequest
    begun_at: float
    """On `clock.monotonic`'s clock."""
    ended_at: float
    came: Reply | BaseException


class Diary:
    """The requests of one measurement, warm-ups among them, until they are told.

    Args:
        begun: the measurement.
    """

    def __init__(self, begun: Measurement) -> None:
        self._begun = begun
        self._untold: deque[Sent] = deque()
        self._attempts: Counter[int] = Counter()
        """How often each repetition was sent: some are taken again."""

    def note(self, sent: Sent) -> None:
        """Keep it to be told; called on the loop's thread, amid what is timed."""
        self._untold.append(sent)

    def tell(self, cost_of: Callable[[Reply], Cost]) -> None:
        """Tell all, and come back when it is written; called while nothing is under way.

        Args:
            cost_of: what a reply of somebody else's server cost.
        """
        observers = {id(sent.seen_by[0]): sent.seen_by[0] for sent in self._untold}
        while self._untold:
            sent = self._untold.popleft()
            sent.seen_by[0].ends(self._ended(sent, cost_of))
        for observer in observers.values():
            observer.flush()

    def _ended(self, sent: Sent, cost_of: Callable[[Reply], Cost]) -> CallEnded:
        call, came, duration_s = self._call(sent), sent.came, sent.ended_at - sent.begun_at
        if isinstance(came, Reply):
            cost = cost_of(came) if call.provider else UNPRICED
            ended = CallEnded.answered(call, dataclasses.replace(came, cost=cost), duration_s)
        else:
            cost = UNKNOWN_COST if call.provider else UNPRICED
            ended = CallEnded.broken(call, came, duration_s, usage=getattr(came, "usage", None), cost=cost)
        return dataclasses.replace(ended, ended_at=_moment(sent.ended_at))

    def _call(self, sent: Sent) -> CallBegun:
        index = sent.planned.index
        self._attempts[index] += index >= 0
        return dataclasses.replace(
            sent.seen_by[1].begun(sent.where.base_url, max(1, self._attempts[index])),
            begun_at=_moment(sent.begun_at),
            model_id=sent.where.model_id,
            format=sent.where.format,
            profile=self._begun.profile,
            measurement=self._begun.id,
            repetition=index,
            **told_of(sent.request),
        )


def _moment(at_s: float) -> str:
    """When that was, of a reading of `clock.monotonic`; ISO 8601, UTC."""
    return (clock.now() - timedelta(seconds=clock.monotonic() - at_s)).isoformat()
