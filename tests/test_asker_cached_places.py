"""The asker where the response cache fails, or holds what is not whole: nobody fails, what is missing is asked."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asked_models import Provider, question
from cached_sessions import backend, calls, complete, same, session, until

from pytest_llmbench import clock
from pytest_llmbench.asker.local import LocalAsker
from pytest_llmbench.cache.backend import Backend
from pytest_llmbench.cache.response_cache import ResponseCache
from pytest_llmbench.errors import CacheError


@pytest.fixture
def provider() -> Provider:
    return Provider(latency_s=0.01, answer=complete)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "results" / "cache" / "cache.db"


class Broken:
    """A place that fails, and counts how often it is tried; `mend` mends it."""

    def __init__(self, inner: Backend, *methods: str) -> None:
        self._inner = inner
        self._methods = methods
        self.tried = 0

    def mend(self) -> None:
        self._methods = ()

    def __getattr__(self, name: str) -> Any:
        if name not in self._methods:
            return getattr(self._inner, name)

        def fails(*_: object, **__: object) -> None:
            self.tried += 1
            raise CacheError("the response cache is away", hint="bring it back")

        return fails


@pytest.mark.parametrize("methods", [("get",), ("put",), ("count",), ("close",), ("get", "put", "remove", "count")])
def test_a_place_that_fails_fails_no_question_and_is_told_once(
    provider: Provider, place: Path, methods: Sequence[str]
) -> None:
    """Whatever it cannot do: all are asked, and one sentence says so at the end."""
    cache = ResponseCache(Broken(backend(place), *methods), ttl_s=3600)
    asker = LocalAsker(provider.means(cache=cache))
    assert [asker.get(question(number)).text for number in range(20)] == [f"answer {n}, attempt 1" for n in range(20)]
    asker.close()
    cache.close()
    [told] = cache.notes
    assert told.startswith("the response cache is away; ")
    assert told.endswith(" (hint: bring it back)")
    assert calls(provider) == 20


def test_a_place_that_failed_is_left_alone_for_a_while_and_tried_again(
    provider: Provider, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not each question waits for a server that does not answer; once it is back, it is used."""
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    broken = Broken(backend(place), "get", "put")
    with session(provider, broken) as asker:
        for number in range(10):
            asker.get(question(number))
        assert broken.tried == 2
        now[0] += 6
        asker.get(question(20))
        until(lambda: broken.tried == 4)
        broken.mend()
        now[0] += 6
        asker.get(question(30))
        now[0] += 6
        asker.get(question(31))
    with session(provider, place) as asker:
        assert asker.get(dataclasses.replace(question(31), test_key="test_99")).is_cached


def test_a_fault_of_ours_in_the_cache_holds_nobody_up(provider: Provider, place: Path) -> None:
    """An exception of any kind, in the thread that looks up."""

    class Faulty(Broken):
        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name) if name != "get" else lambda _keys: 1 / 0

    cache = ResponseCache(Faulty(backend(place)), ttl_s=3600)
    asker = LocalAsker(provider.means(cache=cache))
    assert asker.get(same(1)).text == "answer 1, attempt 1"
    asker.close()
    cache.close()
    assert "ZeroDivisionError" in cache.notes[0]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET value = substr(value, 1, 200)",
        "UPDATE entries SET value = replace(value, 'answer', 'ANSWER')",
        "UPDATE entries SET value = x'00'",
        "UPDATE entries SET value = zeroblob(40000000)",
        "UPDATE entries SET value = (SELECT value FROM entries AS other WHERE other.key != entries.key)",
    ],
    ids=["cut off", "changed", "nonsense", "huge", "swapped"],
)
def test_a_corrupt_row_is_a_miss_and_is_replaced(provider: Provider, place: Path, damage: str) -> None:
    """It is asked again, and what comes then is good."""
    with session(provider, place) as asker:
        asker.get_all([same(1), question(2)])
    with closing(sqlite3.connect(place)) as plain, plain:
        plain.execute(damage)
    with session(provider, place) as asker:
        assert not asker.get(same(3)).is_cached
    with session(provider, place) as asker:
        assert asker.get(same(4)).text == "answer 3, attempt 1"
