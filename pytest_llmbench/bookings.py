"""Whose reply it is: each request gets its place in the store, and what stands there already is not asked again."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.contexts import TestContext
from pytest_llmbench.errors import ServerError
from pytest_llmbench.records import Reply

if TYPE_CHECKING:
    from pytest_llmbench.asker.taken_over import TakenOver
    from pytest_llmbench.bench import Book
    from pytest_llmbench.cache.local_replies import LocalReplies

OnCached = Callable[[ChatRequest, tuple[str, str, int], Reply], None]
Subject = Mapping[str, Any]
"""What makes an answer of a model comparable with another: its file, its server's settings, its address."""


def place_hash(request: ChatRequest, subject: Subject) -> str:
    """Of what is asked and of who is asked."""
    content = request.hash() + repr(sorted(subject.items()))
    return hashlib.sha256(content.encode()).hexdigest()


class Bookings:
    """The replies that the tests of one session ask for.

    Args:
        book: where they are kept.
        asking: the test that runs now.
        source: the run whose replies are taken over; empty where models are asked.
        cache: where replies of earlier runs are looked up, if anywhere.
    """

    def __init__(
        self,
        book: Callable[[], Book],
        asking: Callable[[], TestContext],
        source: Callable[[], str] = str,
        cache: Callable[[], LocalReplies | None] = lambda: None,
    ) -> None:
        self._book = book
        self._asking = asking
        self._source = source
        self._cache = cache
        self._asked: Counter[tuple[str, str]] = Counter()
        self.is_ahead = False
        """Whether what is asked now belongs to a test that is going to run."""
        self._asked_for: set[str] = set()
        """Keys of tests that were asked for before they ran: what they want may stand in the store."""
        self._pending: defaultdict[tuple[str, str], list[int]] = defaultdict(list)

    def book(self, request: ChatRequest, subject: Subject, ordinal: int | None = None) -> tuple[str, str, int]:
        """The place of a request that is made now: who asks, its hash, how often the same was asked before.

        Args:
            request: what is asked.
            subject: who is asked.
            ordinal: how often the same was asked before, where whoever asks knows it; None: it is counted here.
        """
        place = self._asking().asker(), place_hash(request, subject)
        return *place, self._next(place) if ordinal is None else ordinal

    def book_planned(self, planned: Question) -> Question:
        """A question that was asked ahead, now that its test wants it; a test that is run once more asks anew."""
        ordinal = self._next((planned.test_key, planned.request_hash))
        return dataclasses.replace(planned, ordinal=ordinal) if ordinal else planned

    def _next(self, place: tuple[str, str]) -> int:
        """How often the same was asked before; of another run's replies a test that is run once more gets the same."""
        asked = self._asking().taken if self._source() and not self.is_ahead else self._asked
        asked[place] += 1
        return asked[place] - 1

    def count(self, key: str, what: str) -> int:
        """How often a test (of this key) wanted the same before; counts this time."""
        return self._next((key, what))

    def holds(self, place: tuple[str, str, int]) -> bool:
        """Whether this run, the one that replies are taken from, or a batch API has the reply at a place."""
        book = self._book()
        if book.resuming and (place in self._lying or book.store.find_reply(book.run_id, *place) is not None):
            return True
        return bool(self._source()) and self._taken.at(place) is not None

    def heard(self, key: str, model: str) -> bool:
        """Whether this run, or the one that replies are taken from, has a reply of a model to a test of this key."""
        book = self._book()
        runs = [book.run_id] * book.resuming + [self._source()] * bool(self._source())
        told = (name for run in runs for name in book.store.models_asked(run, key))
        return any(name == model or name.startswith(f"{model} (") for name in told)

    @cached_property
    def _lying(self) -> frozenset[tuple[Any, ...]]:
        """The places of what lies with batch APIs since an earlier session of the run."""
        from pytest_llmbench.store import batches  # noqa: PLC0415 - xdist's workers may need no database

        book = self._book()
        lying = (batch for batch in book.store.batches(book.run_id) if batch.state in batches.OPEN)
        return frozenset(batches.place_of(told) for batch in lying for told in batch.told)

    @contextmanager
    def ahead_of(self, key: str) -> Iterator[None]:
        """What is asked within is what the test of this key is going to ask when it runs, and finds then."""
        own, self._asked, self.is_ahead = self._asked, Counter(), True
        self._asked_for.add(key)
        try:
            yield
        finally:
            self._asked, self.is_ahead = own, False

    def recall(
        self,
        request: ChatRequest,
        subject: Subject,
        role: str = "subject",
        on_cached: OnCached | None = None,
        *,
        anew: bool = False,
        ordinal: int | None = None,
    ) -> Reply | None:
        """The stored reply to this request of this test, if any: on `--resume`, where it was asked ahead, or cached.

        Args:
            request: what is asked.
            subject: who is asked.
            role: what the reply is kept as.
            on_cached: told of a reply that the response cache gave, with its place.
            anew: whether the response cache is not looked into.
            ordinal: as of `book`.
        """
        *place, ordinal = self.book(request, subject, ordinal)
        book = self._book()
        if book.resuming or place[0] in self._asked_for:
            from pytest_llmbench.store.replies import is_whole  # noqa: PLC0415 - xdist's workers may need no database

            reply = book.store.find_reply(book.run_id, place[0], place[1], ordinal)
            if reply is not None and is_whole(reply):
                self.note(reply)
                return reply
        if self._source() and (said := self._taken.at((place[0], place[1], ordinal))) is not None:
            return self._kept(book, place[0], ordinal, said)
        if not anew and (said := self._cached(request, subject, role, ordinal)) is not None:
            kept = self._kept(book, place[0], ordinal, dataclasses.replace(said, request_hash=place[1]))
            if on_cached is not None:
                on_cached(request, (place[0], place[1], ordinal), kept)
            return kept
        self._pending[place[0], place[1]].append(ordinal)
        return None

    def _cached(self, request: ChatRequest, subject: Subject, role: str, ordinal: int) -> Reply | None:
        cache = self._cache()
        said = None if cache is None else cache.find(request, subject, role=role, trial=ordinal)
        return None if said is None else dataclasses.replace(said, role=role, request=request.as_dict())

    def take(self, request: ChatRequest) -> Reply:
        """What a model of this machine answered to this request of this test in the run that replies are taken from.

        Raises:
            NotAskedError: it was not asked this.
        """
        key = self._asking().asker()
        ordinal = self._next((key, request.hash()))
        return self._kept(self._book(), key, ordinal, self._taken.of_subject(key, request, ordinal))

    def was_asked(self, request: ChatRequest) -> bool:
        """Whether the run that replies are taken from holds one to this request of the test that runs now."""
        return self._taken.has(self._asking().asker(), request)

    @cached_property
    def _taken(self) -> TakenOver:
        from pytest_llmbench.asker.taken_over import TakenOver  # noqa: PLC0415 - xdist's workers may need no database

        return TakenOver(self._book().store, self._source())

    def _kept(self, book: Book, key: str, ordinal: int, said: Reply) -> Reply:
        """A reply of another run as this one's."""
        body, shown = (said, said.request) if book.keep_prompts else (_bare(said), {})
        kept = book.store.save_reply(book.run_id, key, ordinal, shown, body)
        self.note(kept)
        return dataclasses.replace(said, id=kept.id)

    def places(self, requests: Sequence[ChatRequest], subject: Subject) -> list[tuple[str, str, int]]:
        """The places of requests that are asked now, because `recall` knew no reply to them."""
        key = self._asking().asker()
        hashes = [place_hash(request, subject) for request in requests]
        left, found = Counter(hashes), []
        for each in hashes:
            found.append((key, each, self._pending[key, each][-left[each]]))
            left[each] -= 1
        return found

    def keep(self, request: ChatRequest, reply: Reply, subject: Subject) -> Reply:
        """Store a reply the moment it completes."""
        book, place = self._book(), (self._asking().asker(), place_hash(request, subject))
        ordinal = self._pending[place].pop(0)
        stored = dataclasses.replace(reply, request_hash=place[1])
        shown = request.as_dict() if book.keep_prompts else {}
        body = stored if book.keep_prompts else _bare(stored)
        kept = book.store.save_reply(book.run_id, place[0], ordinal, shown, body)
        if (cache := self._cache()) is not None:
            cache.put(request, subject, stored, trial=ordinal)
        self.note(kept)
        return dataclasses.replace(stored, id=kept.id)

    def keep_failed(
        self, request: ChatRequest, number: int, error: ServerError, subject: Subject, role: str = "subject"
    ) -> None:
        """Store an attempt whose server died, with what had come of the reply; the request is asked once more."""
        from pytest_llmbench.bench import failed_attempt  # noqa: PLC0415 - slow to import, and seldom needed

        book, request_hash = self._book(), place_hash(request, subject)
        attempt = failed_attempt(error, request.model, request_hash, number, keep_text=book.keep_prompts)
        attempt = dataclasses.replace(attempt, role=role)
        book.store.save_failed_attempt(book.run_id, self._asking().asker(), attempt)

    def note(self, reply: Reply) -> None:
        """Put a reply on the account of the test that runs now."""
        self._asking().reply_ids.append(reply.id)


def _bare(reply: Reply) -> Reply:
    """Without what was said: for runs that keep no texts."""
    return dataclasses.replace(reply, text="", reasoning="", tool_calls=(), events=())
