"""What becomes of a question whose attempt failed: another one, once its time has come and the run can afford it.

The one place of the package where something is asked again: layers of retries would multiply.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from pytest_llmbench.asker.breaker import FAILURES, LIVELY, LOST, OTHERS_ILL, ails
from pytest_llmbench.asker.gate import Begun
from pytest_llmbench.asker.lanes import Counts, Lane
from pytest_llmbench.asker.means import Means
from pytest_llmbench.asker.payloads import SAME, Payloads, shape_of
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rate_headers import retry_after_s
from pytest_llmbench.asker.retry import BY_THE_PAYLOAD, NEVER_SENT, RATE, History, Retry, given_up
from pytest_llmbench.asker.retry_budget import IN_HAND, RetryBudget
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.asker.shelf import fail
from pytest_llmbench.asker.ticket import State, Ticket
from pytest_llmbench.asker.watching import note
from pytest_llmbench.errors import Category, InfraError, WireError
from pytest_llmbench.observe.calls import Kind

PATIENCE_S = 300.0
"""How long a question waits for a token of the retry budget."""

_SPREAD_S = 0.5
"""Over so long those are spread that get a token at the same time."""


class _Waiting(NamedTuple):
    """Who waits for a token."""

    since: float
    ticket: Ticket
    lane: Lane


class SecondTries:
    """Belongs to the loop's thread.

    Args:
        rules: the choices.
        means: whose observer is told of what happens.
        again: puts a question back into its line.
    """

    def __init__(self, rules: Rules, means: Means, again: Callable[[Ticket, Lane], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._rules = rules
        self._means = means
        self._again = again
        self._retry = Retry(rules.attempts, rules.jitter)
        self.budget = RetryBudget(rules.retry_budget, self._loop.time())
        self._payloads = Payloads()
        self._queue: deque[_Waiting] = deque()
        self._ticking: asyncio.TimerHandle | None = None
        self._is_spent = False
        """Whether it was told that the budget is spent."""

    def close(self) -> None:
        """Hand out nothing more."""
        if self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    def may_go(self, ticket: Ticket, lane: Lane) -> bool:
        """Whether the run can afford to ask it once more; where it cannot, the question waits here until it can.

        Of those whose model is not well one waits here for the whole line, the others where they stood.
        """
        if ticket.is_paid:
            return True
        now = self._loop.time()
        if not self._queue and self.budget.take(now):
            ticket.is_paid = True
            self._is_spent = self._is_spent and self.budget.left(now) < IN_HAND / 2
            return True
        waiting = _Waiting(now, ticket, lane)
        if lane.breaker.closed:
            self._queue.append(waiting)
        elif lane.prober is None or lane.prober.state is not State.RESTING:
            lane.prober = ticket  # it tries whether its model is well again: the whole line waits for it
            self._queue.appendleft(waiting)
        else:
            lane.put_back(ticket)
            return False
        ticket.state = State.RESTING
        self._tell_spent()
        self._tick()
        return False

    def begins(self, ticket: Ticket, lane: Lane, begun: Begun) -> None:
        """An attempt begins."""
        if ticket.tries:
            lane.counts.retries += 1
            ticket.is_paid = False
        if not lane.breaker.closed and lane.breaker.begins(begun.number):
            name = lane.target.name
            note(self._means, Kind.BREAKER_HALF_OPEN, f"{name} is tried by one question", model=name)

    def answered(self, ticket: Ticket, lane: Lane, begun: Begun) -> None:
        """An attempt brought a reply."""
        self._lives(lane, begun)
        self.budget.answered()
        self._payloads.answered(ticket.question)
        if lane.suspects:
            self._clear_up(lane)
        if self._queue:
            self._hand_out()

    def says_nothing(self, ticket: Ticket, lane: Lane, begun: Begun) -> None:
        """An attempt ended for no reason of its model's: it was broken off, or never sent."""
        if ticket.seen is not None:  # it may have failed, and be broken off while that was being stored
            ticket.seen.decided(None)
        lane.breaker.ends(begun.number, self._loop.time())

    def tries_again(self, ticket: Ticket, lane: Lane, begun: Begun, error: InfraError) -> bool:
        """Deal with a failure.

        Args:
            ticket: whose attempt it was; rests, if it is tried again.
            lane: where it stood in line.
            begun: from the lane's gate.
            error: how it failed; told why there will be no other attempt, where there is none.

        Returns:
            Whether there will be another attempt.
        """
        now = self._loop.time()
        if error.category not in RATE:
            lane.counts.add_broken(ticket.question.request_hash)
        outages, last = lane.breaker.opened, error.message
        has_opened = self._learn(ticket, lane, begun, error, now)
        delay_s, why = self._decided(ticket, lane, error, now)
        if has_opened:  # told now: the decision may have shortened the wait
            self._tell_opened(lane, last, now, is_new=lane.breaker.opened > outages)
        if ticket.seen is not None:
            ticket.seen.decided(delay_s if ticket.wanted > 0 else None)
        if delay_s is None:
            if ails(error) and not error.blamed and _is_lost(ticket.history, lane.counts):
                lane.breaker.loses(_payload(ticket.question, error))
            error.message += given_up(error, ticket.tries, why)
            return False
        ticket.state = State.RESTING
        self._loop.call_later(delay_s, self._back, ticket, lane)
        return True

    def _learn(self, ticket: Ticket, lane: Lane, begun: Begun, error: InfraError, now: float) -> bool:
        """What a failure says about the model; whether that opened its breaker."""
        question, breaker = ticket.question, lane.breaker
        if error.category is Category.RATE_LIMITED:
            self._refused(lane, error, now)
        if error.category in LIVELY:
            self._lives(lane, begun)
        elif not ails(error) or self._payloads.culprit(question, shape_of(error)):
            breaker.ends(begun.number, now)
        else:
            payload = _payload(question, error)
            in_a_row = self._is_one_more(ticket, lane, error, payload)
            if breaker.fails(begun.number, payload, error, _asked_s(error), now, in_a_row=in_a_row):
                lane.suspects.clear()
                _fail_hasty(lane, now)
                return True
        return False

    def _is_one_more(self, ticket: Ticket, lane: Lane, error: InfraError, payload: str) -> bool:
        """Whether questions fail one after another, and this one with them, so that their model is ill.

        The first failure of one that comes after two that were given up; after one where nothing even gets there. And
        where a model that was there cannot be reached, one question's own attempts are enough: it waits for it.
        """
        history, breaker, attempts = ticket.history, lane.breaker, self._rules.attempts
        if attempts < SAME:
            return False
        is_unreached = error.category in NEVER_SENT
        if history is None:
            return breaker.lost_without(payload) >= (1 if is_unreached else LOST)
        is_last = history.failures + 1 >= attempts
        return is_unreached and breaker.was_there and is_last and not _is_answering(history, lane.counts)

    def _decided(self, ticket: Ticket, lane: Lane, error: InfraError, now: float) -> tuple[float | None, str]:
        """After how long it is tried again; None: it is not, and why."""
        question, breaker = ticket.question, lane.breaker
        if (history := ticket.history) is None:
            counts = lane.counts
            history = History(
                answered_before=counts.answered, failed_before=counts.broken_without(question.request_hash)
            )
            ticket.history = history
        history.add(error, now, outages=breaker.opened, ill=not breaker.closed)
        alike = self._alike(question, lane, history, error, now)
        if error.category in BY_THE_PAYLOAD and (targets := self._payloads.culprit(question, shape_of(error))):
            error.blamed = True
            return None, f"the same request fails alike on {' and '.join(targets)}: it is at fault itself"
        if ticket.said:
            return None, ""
        if (refusal := breaker.refusal(now)) is not None or (question.hasty and not breaker.closed):
            if refusal is not None and lane.waiting <= FAILURES:
                breaker.makes_way()
            return None, "its model is given up for now" if refusal else "its model is failing"
        if _may_be_at_fault(history, lane, error) and breaker.lets_go(now - history.ill_since, now):
            return None, "in the same way each time"
        delay_s = self._retry.delay_s(history, error, now, alike=alike, hasty=question.hasty)
        return delay_s, "in the same way each time" if delay_s is None and alike >= SAME else ""

    def _alike(self, question: Question, lane: Lane, history: History, error: InfraError, now: float) -> int:
        """How often in a row a question failed in this way; 0 where that may be its model's doing."""
        breaker, asked = lane.breaker, question.request_hash
        if error.category not in BY_THE_PAYLOAD:
            return 0
        if breaker.is_ill_without((asked, question.id), now) or _others_fail(history, lane.counts, asked):
            return 0
        if history.alike >= SAME:
            suspect = question, shape_of(error)
            if _is_answering(history, lane.counts):
                self._payloads.blame(*suspect)
                breaker.forget(asked)
            else:  # it stays in the window: that may be its model's doing
                lane.suspects.append(suspect)
        return history.alike

    def _clear_up(self, lane: Lane) -> None:
        """A model answers: who failed alike before was at fault itself, unless several did in a row."""
        asked = {question.request_hash for question, _ in lane.suspects}
        for question, shape in lane.suspects:
            lane.breaker.forget(question.request_hash)
            if len(asked) == 1:
                self._payloads.blame(question, shape)
        lane.suspects.clear()

    def _lives(self, lane: Lane, begun: Begun) -> None:
        now, name = self._loop.time(), lane.target.name
        if lane.breaker.lives(begun.number, now):
            lane.gate.passage.restarts(now)
            note(self._means, Kind.BREAKER_CLOSED, f"{name} answers again", model=name)

    def _tell_opened(self, lane: Lane, last: str, now: float, *, is_new: bool) -> None:
        breaker, name = lane.breaker, lane.target.name
        wait_s = breaker.held_s(now)
        how = f"{'given up, and not asked' if breaker.refusal(now) else 'left alone'} for {wait_s:.1f} s"
        how = how if wait_s > 0 else "the next question tries at once"
        message = f"{name} {'is' if is_new else 'is still'} failing: {how}; last with: {last}"
        kind = Kind.BREAKER_OPENED if is_new else Kind.BREAKER_STAYED_OPEN
        note(self._means, kind, message, model=name, wait_s=wait_s, opened=breaker.opened)

    def _refused(self, lane: Lane, error: InfraError, now: float) -> None:
        gate, name = lane.gate, lane.target.name
        gate.refused(error, lane.in_flight, now)
        if gate.limit.cuts > lane.told_cuts:
            lane.told_cuts = gate.limit.cuts
            limit = gate.limit.now
            message = f"{name} refuses requests for their rate: {limit} at once from now on"
            note(self._means, Kind.RATE_CUT, message, model=name, limit=limit, cuts=gate.limit.cuts)

    def _back(self, ticket: Ticket, lane: Lane) -> None:
        if ticket.state is State.RESTING:
            self._again(ticket, lane)

    def _tick(self) -> None:
        """Look again when a token has come back by time alone."""
        if self._queue and self._ticking is None:
            wait_s = max(0.1, self.budget.wait_s(self._loop.time()))
            self._ticking = self._loop.call_later(wait_s, self._ticked)

    def _ticked(self) -> None:
        self._ticking = None
        self._hand_out()

    def _hand_out(self) -> None:
        """Give what tokens there are to those who wait, first come, first served."""
        now = self._loop.time()
        while self._queue:
            since, ticket, lane = self._queue[0]
            if ticket.state is State.RESTING:
                if now - since >= PATIENCE_S:
                    self._give_up(ticket, lane)
                elif lane.breaker.wait_s(now) > 0:  # it has to wait for its model first
                    self._again(ticket, lane)
                elif self.budget.take(now):
                    ticket.is_paid = True
                    self._loop.call_later(self._rules.jitter(0.0, _SPREAD_S), self._back, ticket, lane)
                else:
                    break
            self._queue.popleft()
            if lane.prober is ticket:
                lane.prober = None
                if ticket.state is not State.RESTING:  # it does not try: somebody else of its line may
                    lane.look(lane)
        self._tick()

    def _give_up(self, ticket: Ticket, lane: Lane) -> None:
        assert ticket.history is not None, "it has failed"
        assert ticket.history.error is not None, "it has failed"
        error = ticket.history.error
        allowed = f"{IN_HAND:.0f} and {self._rules.retry_budget:g} for each answer"
        why = (
            f"the retries of the run are spent ({allowed}, see retry_budget), and none came free in {PATIENCE_S:.0f} s"
        )
        error.message += given_up(error, ticket.tries, why)
        fail(ticket, lane, error)

    def _tell_spent(self) -> None:
        if not self._is_spent:
            self._is_spent = True
            message = "the retries of the run are spent: who failed waits until answers, or time, bring some back"
            note(self._means, Kind.RETRIES_SPENT, message, waiting=len(self._queue))


def _fail_hasty(lane: Lane, now: float) -> None:
    """Questions that have another model do not wait for this one."""
    for ticket in lane.hasty():
        not_asked = lane.breaker.not_asked(now)
        not_asked.unsent = not ticket.tries
        fail(ticket, lane, not_asked)


def _payload(question: Question, error: InfraError) -> str:
    """Under what a failure counts: what was never sent cannot be the doing of what was asked."""
    return question.id if error.category in NEVER_SENT else question.request_hash


def _asked_s(error: InfraError) -> float | None:
    """How long the provider asks to stay away; None where it does not say."""
    return retry_after_s(error.headers) if isinstance(error, WireError) else None


def _is_answering(history: History, counts: Counts) -> bool:
    """Whether its model answered others since the question failed for the first time."""
    return counts.answered > history.answered_before


def _is_lost(history: History | None, counts: Counts) -> bool:
    """Whether a question that is given up was tried often enough to say something about its model."""
    return history is not None and history.times >= SAME and not _is_answering(history, counts)


def _may_be_at_fault(history: History, lane: Lane, error: InfraError) -> bool:
    """Whether one that waits for its model may be at fault itself: it fails alike, and nobody else is there to try."""
    is_alike = error.category in BY_THE_PAYLOAD and history.alike >= SAME
    return is_alike and not _asked_s(error) and not lane.has_fresh


def _others_fail(history: History, counts: Counts, request_hash: str) -> bool:
    """Whether other requests fail, too: one in five attempts since it failed for the first time."""
    failed = counts.broken_without(request_hash) - history.failed_before
    answered = counts.answered - history.answered_before
    return failed > 0 and failed * OTHERS_ILL >= failed + answered
