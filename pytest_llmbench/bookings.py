"""Whose reply it is: each request gets its place in the store, and what stands there already is not asked again."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.contexts import TestContext
from pytest_llmbench.errors import ServerError
from pytest_llmbench.records import Reply

if TYPE_CHECKING:
    from pytest_llmbench.bench import Book

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
    """

    def __init__(self, book: Callable[[], Book], asking: Callable[[], TestContext]) -> None:
        self._book = book
        self._asking = asking
        self._asked: Counter[tuple[str, str]] = Counter()
        self._pending: defaultdict[tuple[str, str], list[int]] = defaultdict(list)

    def book(self, request: ChatRequest, subject: Subject) -> tuple[str, str, int]:
        """The place of a request that is made now: who asks, its hash, how often the same was asked before."""
        place = self._asking().asker(), place_hash(request, subject)
        ordinal = self._asked[place]
        self._asked[place] += 1
        return *place, ordinal

    def book_planned(self, planned: Question) -> Question:
        """A question that was asked ahead, now that its test wants it; a test that is run once more asks anew."""
        place = planned.test_key, planned.request_hash
        ordinal = self._asked[place]
        self._asked[place] += 1
        return dataclasses.replace(planned, ordinal=ordinal) if ordinal else planned

    def recall(self, request: ChatRequest, subject: Subject) -> Reply | None:
        """On `--resume`, the stored reply to this request of this test, if there is one."""
        *place, ordinal = self.book(request, subject)
        book = self._book()
        if book.resuming:
            from pytest_llmbench.store.replies import is_whole  # noqa: PLC0415 - xdist's workers may need no database

            reply = book.store.find_reply(book.run_id, place[0], place[1], ordinal)
            if reply is not None and is_whole(reply):
                self.note(reply)
                return reply
        self._pending[place[0], place[1]].append(ordinal)
        return None

    def keep(self, request: ChatRequest, reply: Reply, subject: Subject) -> Reply:
        """Store a reply the moment it completes."""
        book, place = self._book(), (self._asking().asker(), place_hash(request, subject))
        ordinal = self._pending[place].pop(0)
        stored = dataclasses.replace(reply, request_hash=place[1])
        shown = request.as_dict() if book.keep_prompts else {}
        body = (
            stored
            if book.keep_prompts
            else dataclasses.replace(stored, text="", reasoning="", tool_calls=(), events=())
        )
        kept = book.store.save_reply(book.run_id, place[0], ordinal, shown, body)
        self.note(kept)
        return dataclasses.replace(stored, id=kept.id)

    def keep_failed(self, request: ChatRequest, number: int, error: ServerError, subject: Subject) -> None:
        """Store an attempt whose server died, with what had come of the reply; the request is asked once more."""
        from pytest_llmbench.bench import failed_attempt  # noqa: PLC0415 - slow to import, and seldom needed

        book, request_hash = self._book(), place_hash(request, subject)
        attempt = failed_attempt(error, request.model, request_hash, number, keep_text=book.keep_prompts)
        book.store.save_failed_attempt(book.run_id, self._asking().asker(), attempt)

    def note(self, reply: Reply) -> None:
        """Put a reply on the account of the test that runs now."""
        self._asking().reply_ids.append(reply.id)
