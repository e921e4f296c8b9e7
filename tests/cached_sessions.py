"""Sessions that ask through one response cache, one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asked_models import Provider, number_of, question

from pytest_llmbench import clock
from pytest_llmbench.asker.local import LocalAsker
from pytest_llmbench.asker.question import Question
from pytest_llmbench.cache.backend import Backend
from pytest_llmbench.cache.response_cache import ResponseCache
from pytest_llmbench.records import Reply, Timing, Usage
from pytest_llmbench.store.cache_file import CacheFile

SAME = "the very same prompt"


def complete(asked: Question, attempt: int) -> Reply:
    text = f"answer {number_of(asked)}, attempt {attempt}"
    return Reply(text, asked.target.name, finish_reason="stop", usage=Usage(10, 20), timing=Timing(e2e_s=1.0))


def backend(place: Path) -> CacheFile:
    return CacheFile(place, ttl_s=3600, max_bytes=2**26, longest_bytes=2**24)


@contextmanager
def session(provider: Provider, of: Path | Backend, **more: Any) -> Iterator[LocalAsker]:
    """One session's asker with a cache; both are closed."""
    rules, budget = more.pop("rules", None), more.pop("budget", None)
    cache = ResponseCache(backend(of) if isinstance(of, Path) else of, ttl_s=3600, refresh=more.pop("refresh", False))
    asker = LocalAsker(provider.means(cache=cache, **more), rules, budget=budget)
    try:
        yield asker
    finally:
        asker.close()
        cache.close()


def same(number: int, *, trial: int = 0, **fields: Any) -> Question:
    """What test `number` asks; all tests ask the same."""
    return dataclasses.replace(question(number, fields.pop("of", None), prompt=SAME, **fields), ordinal=trial)


def calls(provider: Provider) -> int:
    return sum(provider.attempts.values())


def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        clock.sleep(0.01)
    raise AssertionError("it never came to that")
