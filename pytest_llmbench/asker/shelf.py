"""Where replies come from without a call, and where all of them go: stored ones, cassettes, the database."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import Any

from pytest_llmbench.asker.lanes import Lane
from pytest_llmbench.asker.means import Means
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.ticket import State, Ticket
from pytest_llmbench.errors import Category, InfraError, LlmbenchError
from pytest_llmbench.records import Reply


class Shelf:
    """Belongs to the loop's thread.

    Args:
        means: how replies are recalled, replayed and kept.
    """

    def __init__(self, means: Means) -> None:
        self.keeping: set[Future[Any]] = set()
        """What is on its way into the database."""
        self._means = means

    def answers(self, ticket: Ticket, lane: Lane) -> bool:
        """Whether it is answered, or failed, without a call: by an earlier session of the run, by another run, or from
        a cassette."""
        try:
            stored = self._means.recall(ticket.question) if self._means.recall else None
            recorded = self._elsewhere(ticket.question) if stored is None else None
        except LlmbenchError as error:  # no such reply in the cassette or the other run, or it lies with a batch API
            fail(ticket, lane, error)
            return True
        if stored is not None:
            lane.counts.done += 1
            ticket.finish(stored)
        elif recorded is not None:
            self.keep(ticket, lane, recorded)
        return stored is not None or recorded is not None

    def _elsewhere(self, question: Question) -> Reply | None:
        taken = self._means.take(question) if self._means.take else None
        return self._recorded(question) if taken is None and self._means.replay else taken

    def _recorded(self, question: Question) -> Reply:
        recorded = self._means.replay(question) if self._means.replay else None
        if recorded is None:
            raise _not_recorded(question)
        return recorded

    def keep(self, ticket: Ticket, lane: Lane, reply: Reply) -> None:
        """Store a complete reply; its question is answered once that is committed."""
        lane.counts.done += 1
        lane.counts.completion_tokens += reply.usage.completion_tokens or 0
        ticket.state = State.KEEPING
        keeping = self._means.keep(ticket.question, reply)
        self.keeping.add(keeping)
        keeping.add_done_callback(partial(self._kept, ticket))

    def _kept(self, ticket: Ticket, keeping: Future[Reply]) -> None:
        """In the thread of the store: those who wait need no turn of the loop."""
        if (error := keeping.exception()) is not None:
            ticket.fail(error)
        else:
            ticket.finish(keeping.result())
        self.keeping.discard(keeping)


def fail(ticket: Ticket, lane: Lane, error: BaseException) -> None:
    """There will be no reply."""
    lane.counts.failed += 1
    ticket.fail(error)


def _not_recorded(question: Question) -> InfraError:
    return InfraError(
        f"the cassette holds no reply of {question.target.name} to this request",
        category=Category.CASSETTE_MISS,
        hint="record it anew with --llmbench-record",
    )
