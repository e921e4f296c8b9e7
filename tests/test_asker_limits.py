"""Limits: what is learned from answers and headers, and what was declared; on a clock that jumps."""

from __future__ import annotations

import asyncio

import pytest
from asked_models import Provider, question, questions, refused, target
from virtual_time import run_virtually

from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.gate import Gate
from pytest_llmbench.asker.limits import COOLDOWN_S, START, AdaptiveLimit
from pytest_llmbench.asker.pace import Allowance, PerMinute
from pytest_llmbench.asker.rate_headers import REQUESTS, Left
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.records import Limits, Reply, Usage


def _most_in_a_minute(times: list[float]) -> int:
    """The most that begin within any 60 s."""
    return max(sum(at <= other < at + 60 for other in times) for at in times)


def test_the_limit_doubles_each_clean_round_up_to_the_most() -> None:
    """20, 40, 80, then the most that is allowed: 1,000 questions of 200 ms take little more than 2 s."""
    provider = Provider(latency_s=0.2)

    async def work() -> float:
        await Dispatcher(provider.means(), Rules(max_concurrency=100)).reply_all(questions(1000))
        return asyncio.get_running_loop().time()

    ended_s = run_virtually(work)
    rounds = [sum(at == pytest.approx(number * 0.2) for at, _ in provider.log) for number in range(4)]
    assert rounds == [20, 40, 80, 100]
    assert ended_s == pytest.approx(2.4)


def test_one_episode_of_refusals_cuts_the_limit_once() -> None:
    """However many were under way, and however many more are refused in the cooldown."""
    limit = AdaptiveLimit(100)
    for _ in range(50):
        limit.refused(began_at=0.0, now=1.0, retry_after_s=None)
    assert limit.now == START * 8 // 10
    limit.refused(began_at=1.5, now=COOLDOWN_S, retry_after_s=None)
    assert limit.now == START * 8 // 10


def test_refusals_of_a_request_sent_before_the_cut_never_cut_again() -> None:
    """A refusal that took a minute to come says nothing about the limit as it is now."""
    limit = AdaptiveLimit(100)
    limit.refused(began_at=0.0, now=1.0, retry_after_s=None)
    limit.refused(began_at=0.5, now=60.0, retry_after_s=None)
    assert limit.now == 16
    limit.refused(began_at=59.0, now=60.0, retry_after_s=None)
    assert limit.now == 12


def test_nothing_begins_before_the_time_that_a_refusal_names_and_the_longest_counts() -> None:
    """A later, shorter word does not shorten the wait; an absurd one is bounded."""
    limit = AdaptiveLimit(100)
    limit.refused(began_at=0.0, now=0.0, retry_after_s=20.0)
    limit.refused(began_at=0.0, now=1.0, retry_after_s=2.0)
    assert limit.held_until == 20.0
    limit.refused(began_at=0.0, now=1.0, retry_after_s=1e9)
    assert limit.held_until == 301.0


def test_after_a_cut_the_limit_grows_by_a_twentieth_a_round_and_only_when_calm() -> None:
    """No growth in the cooldown, then slowly, without the doubling of the beginning."""
    limit = AdaptiveLimit(100, level=50)
    limit.refused(began_at=0.0, now=0.0, retry_after_s=None)
    for _ in range(40):
        limit.succeeded(now=COOLDOWN_S - 1)
    assert limit.now == 40
    for _ in range(40):
        limit.succeeded(now=COOLDOWN_S + 1)
    assert limit.now in {41, 42}


def test_a_failing_server_pauses_growth_and_never_cuts() -> None:
    """5xx says nothing about how much may be asked."""
    limit = AdaptiveLimit(100)
    limit.server_failed(now=0.0)
    limit.succeeded(now=1.0)
    assert limit.now == START
    limit.succeeded(now=COOLDOWN_S)
    assert limit.now == START + 1


def test_the_limit_does_not_grow_where_it_was_not_used_up() -> None:
    """Ten at a time say nothing about whether thirty would be allowed."""
    gate = Gate(Limits(), 100)
    for now in range(100):
        begun = gate.begin(0, 10, float(now))
        gate.succeeded(begun, Usage(), now + 0.5, first=True)
    assert gate.limit.now == START


def test_answers_to_second_attempts_do_not_grow_the_limit() -> None:
    """They were delayed by us, and tell nothing."""
    gate = Gate(Limits(), 100)
    begun = gate.begin(0, 20, 0.0)
    gate.succeeded(begun, Usage(), 0.5, first=False)
    assert gate.limit.now == START


@pytest.mark.parametrize("at_once", [1, 3, 10, 60])
def test_all_are_answered_by_a_provider_that_allows_few_at_once_and_says_nothing_else(at_once: int) -> None:
    """429 without headers: the limit settles near what is allowed, and no question fails for it."""
    provider = Provider(at_once=at_once, latency_s=0.5)

    async def work() -> float:
        dispatcher = Dispatcher(provider.means())
        await dispatcher.reply_all(questions(400))
        return asyncio.get_running_loop().time()

    ended_s = run_virtually(work)
    assert len(provider.kept) == 400
    assert provider.most_under_way <= at_once
    assert ended_s < 400 * 0.5 / at_once * 1.5 + 30


def test_under_a_storm_of_refusals_nobody_asks_before_the_time_they_name() -> None:
    """Retry-After holds back all questions to the model, those that were not refused as well."""
    provider = Provider(
        answer=lambda _asked, attempt: refused(retry_after="7") if attempt == 1 else None, latency_s=0.1
    )

    async def work() -> None:
        await Dispatcher(provider.means()).reply_all(questions(50))

    run_virtually(work)
    first_storm = [at for at, _ in provider.log if 0.1 < at < 7.1]
    assert first_storm == []
    assert len(provider.kept) == 50


@pytest.mark.parametrize(
    ("retry_after", "within_s", "most_asked"), [("7200", 1.0, 20), ("20", 700.0, 150)], ids=["for hours", "for ever"]
)
def test_a_model_that_refuses_everything_is_not_asked_for_the_rest(
    retry_after: str, within_s: float, most_asked: int
) -> None:
    """A day's limit that is used up: 1,000 questions fail in minutes, not in days, and say what is the matter."""
    provider = Provider(answer=lambda *_: refused(retry_after=retry_after))

    async def work() -> list[Reply | BaseException]:
        dispatcher = Dispatcher(provider.means(), Rules())
        async with asyncio.timeout(within_s):
            return await asyncio.gather(*map(dispatcher.reply, questions(1000)), return_exceptions=True)

    outcomes = run_virtually(work)
    assert all(isinstance(each, InfraError) and each.category is Category.RATE_LIMITED for each in outcomes)
    assert sum(provider.attempts.values()) <= most_asked
    assert "was not asked" in str(outcomes[-1])


def test_a_model_that_refused_everything_is_asked_again_after_its_time() -> None:
    provider = Provider(answer=lambda _, attempt: refused(retry_after="900") if attempt == 1 else None)

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), Rules())
        with pytest.raises(InfraError, match="longer than"):
            await dispatcher.reply(question(1))
        await asyncio.sleep(899)
        with pytest.raises(InfraError, match="was not asked"):
            await dispatcher.reply(question(2))
        provider.answer = None
        await asyncio.sleep(2)
        assert (await dispatcher.reply(question(3))).text == "answer 3"

    run_virtually(work)
    assert provider.attempts == {1: 1, 3: 1}


def test_two_refusals_with_a_long_silence_between_them_are_no_refusal_of_everything() -> None:
    """Half an hour of measuring lies between them, in which nobody asked."""
    provider = Provider(answer=lambda _, attempt: refused() if attempt <= 2 else None)

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), Rules())
        dispatcher.plan([question(1)])
        await asyncio.sleep(0.1)
        assert provider.attempts == {1: 1}
        await dispatcher.pause()
        await asyncio.sleep(1800)
        dispatcher.resume()
        async with asyncio.timeout(60):
            for number in (2, 1, 3):
                assert (await dispatcher.reply(question(number))).text == f"answer {number}"

    run_virtually(work)


def test_a_minutes_requests_are_never_exceeded_in_any_minute() -> None:
    """30 requests a minute: as fast as may be at first, and never 31 within 60 s."""
    provider = Provider(latency_s=0.1)
    slow = target(limits=Limits(requests_per_minute=30))

    async def work() -> float:
        await Dispatcher(provider.means()).reply_all(questions(100, slow))
        return asyncio.get_running_loop().time()

    ended_s = run_virtually(work)
    assert _most_in_a_minute([at for at, _ in provider.log]) == 30
    assert ended_s == pytest.approx(180, abs=2)


def test_a_minutes_tokens_are_never_exceeded_in_any_minute() -> None:
    """What answers really used counts where it is more than was expected of them."""
    pace = PerMinute(1000)
    pace.take(400, 0.0)
    pace.take(400, 10.0)
    assert pace.wait_s(200, 11.0) == 0
    pace.correct(150, 12.0)
    assert pace.wait_s(200, 12.0) == pytest.approx(48)
    assert pace.wait_s(900, 12.0) == pytest.approx(60)
    assert pace.wait_s(200, 60.0) == 0


def test_a_request_larger_than_a_minutes_tokens_waits_for_an_empty_minute_and_goes() -> None:
    """It would wait for ever otherwise."""
    pace = PerMinute(100)
    pace.take(50, 0.0)
    assert pace.wait_s(500, 1.0) == pytest.approx(59)
    assert pace.wait_s(500, 60.0) == 0


def test_a_declared_concurrency_is_never_exceeded() -> None:
    """`limits: concurrency` of llmbench.yaml bounds what is learned."""
    provider = Provider()

    async def work() -> None:
        await Dispatcher(provider.means()).reply_all(questions(100, target(limits=Limits(concurrency=3))))

    run_virtually(work)
    assert provider.most_under_way == 3


def test_a_declared_concurrency_is_used_from_the_beginning() -> None:
    """Nothing has to be learned: the first round is as wide as was declared."""
    provider = Provider()

    async def work() -> None:
        await Dispatcher(provider.means()).reply_all(questions(60, target(limits=Limits(concurrency=60))))

    run_virtually(work)
    assert provider.most_under_way == 60


def test_what_headers_say_is_left_is_not_exceeded_until_it_is_whole_again() -> None:
    """`x-ratelimit-remaining-requests: 0` holds back the next until the reset that comes with it."""
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "30s"}
    provider = Provider(headers=headers, latency_s=0.1)

    async def work() -> None:
        await Dispatcher(provider.means(), Rules(max_concurrency=1)).reply_all(questions(3))

    run_virtually(work)
    assert [at for at, _ in provider.log] == pytest.approx([0, 30.1, 60.2])


def test_requests_begun_since_count_against_what_a_response_said_was_left() -> None:
    """An answer that comes late speaks of a time when those were not known; an older word does not undo a newer."""
    allowance = Allowance()
    allowance.told(5, Left(REQUESTS, remaining=10, reset_s=60.0), now=0.0, begun_since=8)
    assert allowance.wait_s(2, now=1.0) == 0
    assert allowance.wait_s(3, now=1.0) == 59.0
    allowance.told(3, Left(REQUESTS, remaining=100, reset_s=60.0), now=1.0, begun_since=0)
    assert allowance.wait_s(3, now=1.0) == 59.0
    allowance.take(2)
    assert allowance.wait_s(1, now=1.0) == 59.0
    assert allowance.wait_s(1, now=60.0) == 0


def test_a_bucket_that_fills_up_again_is_not_waited_for_until_it_is_full() -> None:
    """Ten a minute and none left: the next goes after six seconds, not after sixty."""
    headers = {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m0s",
    }
    provider = Provider(headers=headers, latency_s=0.1)

    async def work() -> None:
        await Dispatcher(provider.means(), Rules(max_concurrency=1)).reply_all(questions(3))

    run_virtually(work)
    assert [at for at, _ in provider.log] == pytest.approx([0, 6.1, 12.2])


def test_what_holds_a_model_up_is_told_in_words() -> None:
    """The progress line shows why nothing moves, and for how long."""
    slow = target(limits=Limits(requests_per_minute=1))
    provider = Provider(answer=lambda _asked, attempt: refused(retry_after="90") if attempt == 1 else None)

    async def work() -> list[str]:
        dispatcher = Dispatcher(provider.means())
        dispatcher.plan(questions(2, slow))
        told = []
        for seconds in (0.1, 9.9, 90, 100):
            await asyncio.sleep(seconds)
            told.append(dispatcher.status().models[0].state)
        return told

    states = ["at its limit a minute, goes on in 60 s", "rate limited, goes on in 81 s"]
    assert run_virtually(work)[:2] == states


def test_a_server_that_fails_and_asks_to_wait_is_not_called_limited() -> None:
    """A 500 with Retry-After: nobody should look for a rate limit that there is not."""
    gate = Gate(Limits(), 100)
    asked_to_wait = refused(Category.SERVER, 500, retry_after="30")
    gate.failed(gate.begin(10, 1, 0.0), asked_to_wait, 1.0)
    assert gate.state(1.0, 1) == "failed and asked to wait, goes on in 30 s"
    gate.failed(gate.begin(10, 1, 40.0), refused(retry_after="30"), 41.0)
    assert gate.state(41.0, 1).startswith("rate limited")


def test_sessions_that_share_an_account_share_its_limits() -> None:
    """Three sessions: a third of everything for each, and at least one request."""
    gate = Gate(Limits(requests_per_minute=30, tokens_per_minute=3000, concurrency=6), 100)
    gate.share(3)
    assert gate.limit.now == 2
    for _ in range(10):
        assert gate.wait_s(100, 0.0) == 0
        gate.begin(100, 1, 0.0)
    assert gate.wait_s(100, 0.0) == pytest.approx(60)
    gate.share(100)
    assert gate.limit.now == 1
    gate.share(1)
    assert gate.wait_s(100, 0.0) == 0
