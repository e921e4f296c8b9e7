"""The response cache as the asker uses it: the same is asked once, trials and accounts share nothing, nobody fails."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asked_models import Provider, question, resolved, target
from cached_sessions import backend, calls, complete, same, session, until

from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.observe.calls import CallEnded
from pytest_llmbench.records import Cost, Limits, Reply, Timing


@pytest.fixture
def provider() -> Provider:
    return Provider(latency_s=0.01, answer=complete)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "results" / "cache" / "cache.db"


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
        until(lambda: provider.under_way == 1)
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
    with closing(backend(place)) as stored:  # the first session's miss: the second one looked for its own reply alone
        assert (stored.stats().hits, stored.stats().misses) == (1, 1)
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


def test_text_that_is_streamed_comes_from_the_cache_in_one_piece(provider: Provider, place: Path) -> None:
    """Whoever iterates over an answer gets it all the same."""
    with session(provider, place) as asker:
        assert "".join(asker.stream(same(1))) == "answer1,attempt1"
        streamed = asker.stream(same(2))
        assert list(streamed) == ["answer 1, attempt 1"]
        assert streamed.reply.is_cached


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
