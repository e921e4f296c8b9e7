"""The response cache before the line: who gets a reply from it never stands in line; the same is asked once.

A question is looked up when it would stand in line, so that a hit waits for no place, no rate limit and no budget.
While one is looked up or asked, all others with its key wait for it, and get its reply as a cached one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from pytest_llmbench import clock
from pytest_llmbench.asker.fitting import fitted
from pytest_llmbench.asker.lanes import Lane
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.ticket import State, Ticket
from pytest_llmbench.cache.entries import given_again, may_be_kept
from pytest_llmbench.cache.key import key_of
from pytest_llmbench.cache.response_cache import ResponseCache
from pytest_llmbench.cache.semantic import CHAT, Prompt, said_last
from pytest_llmbench.cache.single import Flights
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Reply

_ROLES = frozenset({"subject", "judge", "chat"})
"""Not probes: what a model takes now is what they ask."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    ticket: Ticket
    lane: Lane


class Shared:
    """Counts how often a test got the reply to another test of this run: that may be a mistake."""

    def __init__(self) -> None:
        self._had_by: dict[str, str] = {}
        """Key → the first test of this session that got its reply."""
        self._count = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of it at the end; may be read from any thread."""
        if not self._count:
            return ()
        told = (
            f"{self._count:,} times a test got the reply to another test of this run, which had asked the same: a "
            "test that repeats a question by its parameters gets one answer with a cache; `repeats` asks each time"
        )
        return (told,)

    def asked(self, key: str, question: Question) -> None:
        """A question was asked."""
        self._had_by.setdefault(key, question.test_key)

    def given(self, key: str, question: Question) -> None:
        """A question got a reply that was there."""
        is_shared = self._had_by.setdefault(key, question.test_key) != question.test_key
        self._count += is_shared and question.role == "subject"


def given_to(question: Question, reply: Reply) -> Reply:
    """A reply that was found, as the one to a question."""
    cost = replace(reply.cost, source="alike") if question.alike else reply.cost
    return replace(reply, role=question.role, request_hash=question.request_hash, cost=cost)


class Cached:
    """Belongs to the loop's thread.

    Args:
        cache: where replies are looked up and put.
        ask: lets a ticket stand in its line: it has to be asked.
        give: answers a ticket with a reply of the cache.
    """

    def __init__(
        self,
        cache: ResponseCache,
        ask: Callable[[Ticket, Lane], None],
        give: Callable[[Ticket, Lane, Reply], None],
    ) -> None:
        self._cache = cache
        self._ask = ask
        self._give = give
        self._loop = asyncio.get_running_loop()
        self._flights: Flights[_Waiting] = Flights()
        self._shared = Shared()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of it at the end, a sentence each; may be read from any thread."""
        return (*self._cache.notes, *self._shared.notes)

    def takes(self, ticket: Ticket, lane: Lane) -> bool:
        """Whether it is looked up, or waits for one that is: it is answered, or asked, later. Once a ticket."""
        if ticket.cache_key is not None:
            return False
        ticket.cache_key = key = cache_key_of(ticket.question)
        if not key:
            return False
        if ticket.question.anew:
            ticket.on_done(self._ended)
            return False
        ticket.state = State.LOOKING
        # Before anybody else is told: what a test has got is on its way into the cache when the session ends.
        ticket.on_done(self._ended)
        if self._flights.join(key, _Waiting(ticket, lane)):
            prompt = prompt_of(ticket.question)
            self._cache.look_up(key, lambda reply: self._on_loop(self._looked_up, key, reply), prompt)
        elif ticket.urgent:
            self.hurry(ticket)
        return True

    def hurry(self, ticket: Ticket) -> None:
        """A test waits for it now: so the one that it waits for goes before what is only asked ahead."""
        first = self._flights.first(ticket.cache_key or "")
        if first is not None and first.ticket is not ticket and not first.ticket.urgent:
            first.ticket.urgent = True
            if first.ticket.state is State.WAITING:
                self._ask(first.ticket, first.lane)

    def left(self, ticket: Ticket) -> None:
        """Nobody wants it any more; it is told before its state changes."""
        key, was_asked = ticket.cache_key or "", ticket.state is not State.LOOKING
        own = next((waiting for waiting in self._flights.of(key) if waiting.ticket is ticket), None)
        if own is not None and (heir := self._flights.leave(key, own)) and was_asked:
            self._ask_first(heir)

    def _looked_up(self, key: str, reply: Reply | None) -> None:
        if reply is not None:
            self._hand_out(key, self._flights.land(key), reply)
        elif (first := self._flights.first(key)) is not None and first.ticket.state is State.LOOKING:
            self._ask_first(first)

    def _ask_first(self, first: _Waiting) -> None:
        """Ask it, for all who wait for it."""
        waiting = self._flights.of(first.ticket.cache_key or "")
        first.ticket.urgent = any(each.ticket.urgent for each in waiting)
        self._ask(first.ticket, first.lane)

    def _ended(self, ticket: Ticket) -> None:
        """It is answered or failed; in the thread that completes it."""
        if ticket.tries and ticket.error is None and ticket.cache_key:
            self._cache.put(ticket.cache_key, ticket.result(), prompt_of(ticket.question))
        self._on_loop(self._landed, ticket)

    def _landed(self, ticket: Ticket) -> None:
        """The reply is everybody's who waits for it, where it is one to keep; else each asks by itself."""
        key = ticket.cache_key or ""
        self._shared.asked(key, ticket.question)
        first = self._flights.first(key)
        if first is None or first.ticket is not ticket:
            return
        others = self._flights.land(key)[1:]
        if ticket.error is None and may_be_kept(reply := ticket.result()):
            self._hand_out(key, others, given_again(reply, clock.now()))
            return
        for waiting in others:
            if waiting.ticket.state is State.LOOKING:
                self._ask(waiting.ticket, waiting.lane)

    def _hand_out(self, key: str, several: list[_Waiting], reply: Reply) -> None:
        for waiting in several:
            if waiting.ticket.state is State.LOOKING:
                question = waiting.ticket.question
                self._shared.given(key, question)
                self._give(waiting.ticket, waiting.lane, given_to(question, reply))

    def _on_loop(self, call: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self._loop.call_soon_threadsafe(call, *arguments)


def cache_key_of(question: Question) -> str:
    """Its key; empty where it may not be cached, or cannot be sent."""
    if question.role not in _ROLES:
        return ""
    try:
        sent, _ = fitted(question.request, question.target)
    except UsageError:
        return ""
    role, trial, alike = question.role, question.ordinal, question.alike
    return key_of(question.target, question.request, sent, role=role, trial=trial, alike=alike)


def prompt_of(question: Question) -> Prompt | None:
    """What was said last in a chat, in a scope of all else that has to be the same; None where nothing may be alike.

    Not a second try at the same: whoever asks once more wants another answer.
    """
    if question.role != CHAT or question.ordinal:
        return None
    if (said := said_last(question.request)) is None:
        return None
    text, rest = said
    scope = cache_key_of(replace(question, request=rest))
    return Prompt(scope, text) if scope else None
