"""The response cache as the asker uses it: the same is asked once, trials and accounts share nothing, nobody fails."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asked_models import Provider, number_of, question, refused, resolved, target

from pytest_llmbench import clock
from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.local import LocalAsker
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.cache.backend import Backend
from pytest_llmbench.cache.response_cache import ResponseCache
from pytest_llmbench.errors import CacheError, Category, InfraError
from pytest_llmbench.observe.calls import CallEnded
from pytest_llmbench.records import Cost, Limits, Reply, Timing, Usage
from pytest_llmbench.store.cache_file import CacheFile

SAME = "the very same prompt"


def complete(asked: Question, attempt: int) -> Reply:
    text = f"answer {number_of(asked)}, attempt {attempt}"
    return Reply(text, asked.target.name, finish_reason="stop", usage=Usage(10, 20), timing=Timing(e2e_s=1.0))


@pytest.fixture
def provider() -> Provider:
    return Provider(latency_s=0.01, answer=complete)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "results" / "cache" / "cache.db"


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


def test_a_reply_is_paid_once_and_given_again_in_the_next_session(provider: Provider, place: Path) -> None:
    """As cached: nothing is spent, it has no times, took no request, and says when it was asked first."""
    with session(provider, place) as asker:
        first = asker.get(same(1))
    with session(provider, place) as asker:
        again = asker.get(same(2))
    assert calls(provider) == 1
    assert (again.text, again.usage, again.finish_reason) == (first.text, first.usage, "stop")
    assert (first.is_cached, first.cost.spent, first.timing.e2e_s, first.attempts) == (
        False,
        Decimal("0.00021"),
        1.0,
        1,
    )
    assert (again.is_cached, again.cost.spent, again.timing, again.attempts) == (True, 0, Timing(), 0)
    assert again.cost.usd == first.cost.usd
    assert again.cost.paid_at > "2026"
    with closing(backend(place)) as stored:
        assert (stored.stats().hits, stored.stats().misses, stored.stats().entries) == (1, 1, 1)


def test_fifty_callers_are_one_call(provider: Provider, place: Path) -> None:
    """From fifty threads, half of them planned before; they all get the one reply, only one of them paid."""
    with session(provider, place) as asker:
        asker.plan([same(number) for number in range(25)])
        with ThreadPoolExecutor(50) as threads:
            replies = list(threads.map(asker.get, [same(number) for number in range(50)]))
    assert calls(provider) == 1
    assert len({reply.text for reply in replies}) == 1
    assert sum(not reply.is_cached for reply in replies) == 1
    assert "49 times a test got the reply to another test" in asker.dispatcher.notes[0]


def test_trials_are_asked_each_and_are_given_again_each(provider: Provider, place: Path) -> None:
    """The third answer of today is the third of yesterday, never the first; a fourth trial is asked."""
    trials = [same(1, trial=trial) for trial in range(3)]
    with session(provider, place) as asker:
        first = [reply.text for reply in asker.get_all(trials, concurrency=1)]
    with session(provider, place) as asker:
        again = asker.get_all([*trials, same(1, trial=3)])
    assert len(set(first)) == 3
    assert [reply.text for reply in again[:3]] == first
    assert [reply.is_cached for reply in again] == [True, True, True, False]
    assert calls(provider) == 4


def test_two_credentials_never_share(provider: Provider, place: Path) -> None:
    """Neither in one session nor in the next: what one account paid for, the other asks."""
    mine, yours = target(account="aaaaaaaaaa"), target(account="bbbbbbbbbb")
    for _ in range(2):
        with session(provider, place) as asker:
            asker.get_all([same(1, of=mine), same(2, of=yours)])
    assert dict(provider.attempts) == {1: 1, 2: 1}


def test_a_judge_is_not_given_what_a_model_under_test_said(provider: Provider, place: Path) -> None:
    """Though it is the same model, asked the same; and what a model takes is tried anew."""
    with session(provider, place) as asker:
        for number, role in enumerate(("subject", "judge", "chat", "probe", "probe")):
            asker.get(dataclasses.replace(same(number), role=role))
    assert calls(provider) == 5


@pytest.mark.parametrize(
    "unfit",
    [
        {"finish_reason": "content_filter"},
        {"finish_reason": ""},
        {"text": ""},
        InfraError("cut off", category=Category.STREAM_TRUNCATED),
        InfraError("refused", category=Category.AUTH),
    ],
    ids=["filtered", "no end", "empty", "truncated", "failed"],
)
def test_what_is_no_complete_reply_is_asked_by_each_and_never_kept(place: Path, unfit: Any) -> None:
    """Five tests that asked the same get five answers of their own; the next session asks again."""

    def answer(asked: Question, attempt: int) -> Reply | BaseException:
        return unfit if isinstance(unfit, Exception) else dataclasses.replace(complete(asked, attempt), **unfit)

    provider = Provider(latency_s=0.01, answer=answer)
    for _ in range(2):
        with session(provider, place, rules=Rules(attempts=1)) as asker:
            for number in range(5):
                asker.follow(same(number), lambda _reply: None)
            for number in range(5):
                if isinstance(unfit, Exception):
                    with pytest.raises(InfraError):
                        asker.get(same(number))
                else:
                    assert not asker.get(same(number)).is_cached
    assert dict(provider.attempts) == dict.fromkeys(range(5), 2)
    with closing(backend(place)) as stored:
        assert stored.stats().entries == 0


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


def test_a_hit_waits_for_no_place_no_limit_and_no_money(provider: Provider, place: Path) -> None:
    """With one place, taken by a slow call, one request a minute, and a budget that is all reserved for that call."""
    with session(provider, place) as asker:
        asker.get(same(1))
    of = target(limits=Limits(requests_per_minute=1, concurrency=1))
    slow = threading.Event()
    provider.latency_s = 20
    budget = Budget(Caps(run=Decimal("0.0020")), save=lambda _change: resolved(None))
    with session(provider, place, budget=budget) as asker:
        asker.follow(question(5, of), lambda _reply: slow.set())
        _until(lambda: provider.under_way == 1)
        assert asker.get(same(2, of=of)).is_cached
        assert not slow.is_set()
        assert provider.under_way == 1


def test_a_cache_that_is_refreshed_asks_anew_once_and_replaces(provider: Provider, place: Path) -> None:
    """Within the session the same is still asked once; afterwards the new reply is given."""
    with session(provider, place) as asker:
        asker.get(same(1))
    with session(provider, place, refresh=True) as asker:
        assert asker.get(same(2)).text == "answer 2, attempt 1"
        assert asker.get(same(3)).text == "answer 2, attempt 1"
    with session(provider, place) as asker:
        assert asker.get(same(4)).text == "answer 2, attempt 1"
    assert calls(provider) == 2


def test_what_this_run_has_stored_is_not_looked_up(provider: Provider, place: Path) -> None:
    """On --resume the run's own reply stands, whatever the cache holds."""
    with session(provider, place) as asker:
        asker.get(same(1))
    own = Reply("the run's own", "cloud/one", id="7")
    with session(provider, place, recall=lambda _asked: own) as asker:
        assert asker.get(same(2)) == own
    with session(provider, place, take=lambda _asked: dataclasses.replace(own, cost=Cost("1", "taken_over"))) as asker:
        assert asker.get(same(3)).cost.source == "taken_over"
    with closing(backend(place)) as stored:
        assert (stored.stats().hits, stored.stats().misses) == (0, 1)
    assert calls(provider) == 1


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
            raise CacheError("the response cache is away")

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
        _until(lambda: broken.tried == 4)
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
        _until(lambda: provider.under_way == 1)
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
        _until(lambda: provider.under_way == 1)
        waiting = asker.get(same(6))
        with pytest.raises(InfraError):
            failing.result()
        assert waiting.text in {"answer 5, attempt 1", "answer 6, attempt 1"}


def test_cancelling_ends_those_who_wait_and_asks_nothing_more(provider: Provider, place: Path) -> None:
    """Ctrl-C with one call under way and nine that wait for it."""
    provider.latency_s = 30
    with session(provider, place) as asker, ThreadPoolExecutor(10) as threads:
        waiting = [threads.submit(asker.get, same(number)) for number in range(10)]
        _until(lambda: provider.under_way == 1)
        asker.cancel()
        assert {_category(each.exception(20)) for each in waiting} == {Category.CANCELLED}
    assert calls(provider) == 1


def test_text_that_is_streamed_comes_from_the_cache_in_one_piece(provider: Provider, place: Path) -> None:
    """Whoever iterates over an answer gets it all the same."""
    with session(provider, place) as asker:
        assert "".join(asker.stream(same(1))) == "answer1,attempt1"
        streamed = asker.stream(same(2))
        assert list(streamed) == ["answer 1, attempt 1"]
        assert streamed.reply.is_cached


def _category(error: BaseException | None) -> Category | None:
    return error.category if isinstance(error, InfraError) else None


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        clock.sleep(0.01)
    raise AssertionError("it never came to that")


class Looker:
    """Somebody who looks on."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, float | None]] = []

    def begins(self, _call: object) -> dict[str, str]:
        return {}

    def ends(self, ended: CallEnded) -> None:
        self.ended.append((str(ended.outcome), ended.duration_s and 1.0))

    def notes(self, _note: object) -> None:
        """Nothing happens besides calls."""

    def tests(self, _result: object) -> None:
        """No test is run."""

    def flush(self) -> None:
        """Nothing is written."""

    def close(self) -> None:
        """Nothing is held."""


def test_who_looks_on_sees_a_hit_as_cached_and_as_no_call(provider: Provider, place: Path) -> None:
    """It never begins and has no duration."""
    looker = Looker()
    with session(provider, place, observer=looker) as asker:
        for number in range(3):
            asker.get(same(number))
    assert looker.ended == [("answered", 1.0), ("cached", None), ("cached", None)]


def test_what_is_asked_anew_is_asked_and_takes_the_old_replys_place(provider: Provider, place: Path) -> None:
    """In whatever session the first was asked, and as whichever trial."""
    with session(provider, place) as asker:
        asker.get(same(1))
    with session(provider, place) as asker:
        assert asker.get(dataclasses.replace(same(2), anew=True)).text == "answer 2, attempt 1"
    with session(provider, place) as asker:
        assert asker.get(same(3)).text == "answer 2, attempt 1"
