"""Those who wait for a question that another one asks: paused, hurried, dropped, cancelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from asked_models import Provider, number_of, question, refused
from cached_sessions import backend, calls, complete, same, session, until

from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.records import Reply


@pytest.fixture
def provider() -> Provider:
    return Provider(latency_s=0.01, answer=complete)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "results" / "cache" / "cache.db"


def test_who_waits_asks_by_itself_when_the_one_it_waits_for_fails(place: Path) -> None:
    """One bad call is not everybody's: the others get replies, and those are kept."""

    def answer(asked: Question, attempt: int) -> Reply | BaseException:
        return refused(Category.AUTH, 401) if number_of(asked) == 0 else complete(asked, attempt)

    provider = Provider(latency_s=0.05, answer=answer)
    with session(provider, place) as asker:
        asker.plan([same(number) for number in range(4)])
        with pytest.raises(InfraError, match="401"):
            asker.get(same(0))
        assert [asker.get(same(number)).text for number in range(1, 4)] == [
            f"answer {number}, attempt 1" for number in range(1, 4)
        ]
    with session(provider, place) as asker:
        assert asker.get(same(9)).is_cached


def test_while_the_machine_measures_only_what_a_test_waits_for_is_looked_up(provider: Provider, place: Path) -> None:
    """What was planned in a pause is looked up after it; what a test wants, and others wait for, is asked in it."""
    with session(provider, place) as asker:
        asker.get(question(1))
    with session(provider, place) as asker:
        asker.pause()
        asker.plan([question(1), same(5), same(6)])
        assert asker.get(same(7)).text == "answer 7, attempt 1"
        with closing(backend(place)) as stored:
            assert stored.stats().hits == 0
        asker.resume()
        assert asker.get(question(1)).is_cached
        assert asker.get(same(6)).is_cached


def test_who_waits_in_a_pause_for_one_that_was_only_planned_hurries_it(provider: Provider, place: Path) -> None:
    """Else both would wait for the end of the pause."""
    provider.latency_s = 0.2
    with session(provider, place, rules=Rules(max_concurrency=1)) as asker:
        asker.plan([question(1), question(2), same(5)])
        until(lambda: provider.under_way == 1)
        asker.pause()
        assert asker.get(same(6)).text == "answer 5, attempt 1"
        asker.resume()


def test_who_is_dropped_leaves_its_place_to_who_waits(provider: Provider, place: Path) -> None:
    """A group whose first failure drops the rest: others that wait for one of them are answered."""
    provider.latency_s = 0.1
    provider.answer = lambda asked, attempt: (
        refused(Category.AUTH, 401) if number_of(asked) == 1 else complete(asked, attempt)
    )
    with session(provider, place, rules=Rules(max_concurrency=1)) as asker, ThreadPoolExecutor(1) as thread:
        failing = thread.submit(asker.get_all, [question(1), same(5)])
        until(lambda: provider.under_way == 1)
        waiting = asker.get(same(6))
        with pytest.raises(InfraError):
            failing.result()
        assert waiting.text in {"answer 5, attempt 1", "answer 6, attempt 1"}


def test_cancelling_ends_those_who_wait_and_asks_nothing_more(provider: Provider, place: Path) -> None:
    """Ctrl-C with one call under way and nine that wait for it."""
    provider.latency_s = 30
    with session(provider, place) as asker, ThreadPoolExecutor(10) as threads:
        waiting = [threads.submit(asker.get, same(number)) for number in range(10)]
        until(lambda: provider.under_way == 1)
        asker.cancel()
        assert {_category(each.exception(20)) for each in waiting} == {Category.CANCELLED}
    assert calls(provider) == 1


def _category(error: BaseException | None) -> Category | None:
    return error.category if isinstance(error, InfraError) else None
