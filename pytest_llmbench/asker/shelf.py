"""Where replies come from without a call, and where all of them go: stored ones, cassettes, caches, the database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from pytest_llmbench.asker.cached import Cached
from pytest_llmbench.asker.lanes import Lane
from pytest_llmbench.asker.means import Means
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.ticket import State, Ticket
from pytest_llmbench.asker.watching import note, seen_cached
from pytest_llmbench.errors import Category, InfraError, LlmbenchError
from pytest_llmbench.observe.calls import Kind
from pytest_llmbench.records import Reply


class Shelf:
    """Belongs to the loop's thread.

    Args:
        means: how replies are recalled, replayed, looked up and kept.
        ask: lets a ticket stand in its line, once it is known that the cache has nothing for it.
    """

    def __init__(self, means: Means, ask: Callable[[Ticket, Lane], None]) -> None:
        self.keeping: set[Future[Any]] = set()
        """What is on its way into the database."""
        self._means = means
        self._cached = None if means.cache is None else Cached(means.cache, ask, self._give)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the cache at the end, a sentence each; may be read from any thread."""
        return () if self._cached is None else self._cached.notes

    def answers(self, ticket: Ticket, lane: Lane) -> bool:
        """Whether it is answered, or failed, without a call: by an earlier session of the run, by another run, or from
        a cassette; or is looked up in the cache now."""
        try:
            stored, recorded = self._stored(ticket.question)
        except LlmbenchError as error:  # no such reply in the cassette or the other run, or it lies with a batch API
            fail(ticket, lane, error)
            return True
        if stored is not None:
            lane.counts.done += 1
            ticket.finish(stored)
        elif recorded is not None:
            self.keep(ticket, lane, recorded)
        else:
            return self._cached is not None and self._cached.takes(ticket, lane)
        return True

    def looks_up(self, ticket: Ticket, lane: Lane) -> bool:
        """Whether it is looked up in the cache before it stands in line; it is answered, or asked, later."""
        if self._cached is None or ticket.cache_key is not None:
            return False
        try:
            is_at_hand = any(self._stored(ticket.question))
        except LlmbenchError:  # told when its turn comes
            is_at_hand = True
        return not is_at_hand and self._cached.takes(ticket, lane)

    def hurry(self, ticket: Ticket) -> None:
        """A test waits now for one that is looked up."""
        if self._cached is not None:
            self._cached.hurry(ticket)

    def left(self, ticket: Ticket) -> None:
        """Nobody wants it any more; told before its state says so."""
        if self._cached is not None:
            self._cached.left(ticket)

    def keep(self, ticket: Ticket, lane: Lane, reply: Reply) -> None:
        """Store a complete reply; its question is answered once that is committed."""
        lane.counts.done += 1
        lane.counts.completion_tokens += reply.usage.completion_tokens or 0
        ticket.state = State.KEEPING
        keeping = self._means.keep(ticket.question, reply)
        self.keeping.add(keeping)
        keeping.add_done_callback(partial(self._kept, ticket))

    def _give(self, ticket: Ticket, lane: Lane, reply: Reply) -> None:
        """Answer it with a cached reply."""
        seen_cached(self._means.observer, self._means.run_id, ticket.question, reply)
        if reply.alike is not None:
            said = "a question got the reply to one in other words"
            note(self._means, Kind.ALIKE, said, model=reply.model, cosine=reply.alike.cosine)
        self.keep(ticket, lane, reply)

    def _stored(self, question: Question) -> tuple[Reply | None, Reply | None]:
        """(what this run holds, what is to be kept as this run's)"""
        stored = self._means.recall(question) if self._means.recall else None
        return stored, self._elsewhere(question) if stored is None else None

    def _elsewhere(self, question: Question) -> Reply | None:
        taken = self._means.take(question) if self._means.take else None
        return self._recorded(question) if taken is None and self._means.replay else taken

    def _recorded(self, question: Question) -> Reply:
        recorded = self._means.replay(question) if self._means.replay else None
        if recorded is None:
            raise _not_recorded(question)
        return recorded

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
