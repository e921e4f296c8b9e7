"""The response cache before a batch API: what is found there is answered at once, and not submitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from pytest_llmbench.asker.cached import Shared, cache_key_of, given_to
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.watching import seen_cached
from pytest_llmbench.records import Reply

if TYPE_CHECKING:
    from pytest_llmbench.cache.response_cache import ResponseCache
    from pytest_llmbench.observe.observer import Observer

Keep = Callable[[Question, Reply], Future[Reply]]
"""Stores a reply as the run's; resolved once it is committed."""


class BatchCached:
    """Answers from the response cache what would be submitted. Belongs to one thread.

    Args:
        cache: opens it when something is to be looked up; gives None where there is none.
        keep: see `Keep`.
        observer: told of every reply that was found.
        run_id: the run, for the observer.
    """

    def __init__(
        self, cache: Callable[[], ResponseCache | None], keep: Keep, *, observer: Observer | None, run_id: str
    ) -> None:
        self._cache = cache
        self._keep = keep
        self._observer = observer
        self._run_id = run_id
        self._shared = Shared()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said at the end, a sentence each."""
        return self._shared.notes

    def left_of(self, questions: Sequence[Question]) -> list[Question]:
        """Those that have to be submitted; the replies to the others are stored when this comes back."""
        cache = self._cache() if questions else None
        if cache is None:
            return list(questions)
        keys = {each.id: "" if each.anew else cache_key_of(each) for each in questions}
        found = cache.find_all([key for key in keys.values() if key])
        keeping = [self._given(each, keys[each.id], found) for each in questions if keys[each.id] in found]
        for kept in keeping:
            kept.result()
        return [each for each in questions if keys[each.id] not in found]

    def _given(self, question: Question, key: str, found: Mapping[str, Reply]) -> Future[Reply]:
        reply = given_to(question, found[key])
        self._shared.given(key, question)
        seen_cached(self._observer, self._run_id, question, reply)
        return self._keep(question, reply)
