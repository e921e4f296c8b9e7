"""What asking needs of the outside world, handed in: how a question is sent, and where what came is kept."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.asker.question import Question
from pytest_llmbench.cache.response_cache import ResponseCache
from pytest_llmbench.observe.observer import Observer
from pytest_llmbench.providers.costs import call_cost
from pytest_llmbench.records import Cost, FailedAttempt, LaneState, Reply, Usage

OnHeaders = Callable[[int, Mapping[str, str]], None]
"""Told once the headers of a response have come: HTTP status, and the headers with names in lower case."""

OnText = Callable[[str], None]
"""Told each piece of an answer's text as it comes."""


def _call_cost(question: Question, usage: Usage) -> Cost:
    return call_cost(question.target, usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """All are called on the asking loop's thread, and none of them may block it."""

    send: Callable[[Question, OnHeaders, OnText | None], Coroutine[Any, Any, Reply]]
    """Asks once. Raises `InfraError`, a `WireError` with the response's headers where there was one."""
    keep: Callable[[Question, Reply], Future[Reply]]
    """Stores a complete reply; resolved once it is committed, with its id. Its error becomes the question's."""
    keep_failed: Callable[[Question, FailedAttempt], Future[Any]]
    """Stores what is known of an attempt that failed."""
    recall: Callable[[Question], Reply | None] | None = None
    """The reply that an earlier session of this run stored, or None; asked before anything is sent. May raise
    `PendingError`."""
    take: Callable[[Question], Reply | None] | None = None
    """The reply that another run holds, or None where it may be asked; it is kept as this run's. May raise
    `NotAskedError`."""
    replay: Callable[[Question], Reply | None] | None = None
    """Where given, nothing is ever sent: the recorded reply; None or `InfraError` where there is none."""
    cache: ResponseCache | None = None
    """Where replies of earlier runs are looked up, and those of this one put; None: nowhere."""
    record: Callable[[Question, Reply], None] | None = None
    """Told every reply that was really received."""
    cost: Callable[[Question, Usage], Cost] = _call_cost
    observer: Observer | None = None
    """Told of every call; None: nobody looks on."""
    run_id: str = ""
    """The run that asks, for whoever looks on."""
    lane_states: Callable[[Sequence[LaneState]], None] | None = None
    """Told how lines stand whose state has changed: at most once a second, and once at the end."""
