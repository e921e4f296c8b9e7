"""Storms on a clock that jumps: minutes in which a provider refuses everything, and what is asked during and after."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asked_models import Answer, Provider, number_of, question, questions, refused, target
from noted import Noted
from virtual_time import run_virtually

from pytest_llmbench import clock
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.retry_budget import A_SECOND, IN_HAND, SHARE, RetryBudget
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.observe.calls import Kind
from pytest_llmbench.records import LaneState, Reply

STORM_S = 600.0


class Weather(Provider):
    """Refuses everything in a storm, and answers after a while of random length otherwise.

    Args:
        until_s: when the storm ends.
        headers: of each refusal.
    """

    def __init__(self, until_s: float, *, begins_s: float = 0.0, **headers: str) -> None:
        super().__init__()
        self.chance = random.Random(1)
        self.storm = begins_s, until_s
        self.refusal_headers = headers
        self.answered_at: list[float] = []

    async def send(self, asked: Question, *told: Any) -> Reply:
        now = asyncio.get_running_loop().time()
        if self.storm[0] <= now < self.storm[1]:
            self.attempts[number_of(asked)] += 1
            self.log.append((now, number_of(asked)))
            await asyncio.sleep(0.05)
            raise refused(**self.refusal_headers)
        self.latency_s = self.chance.uniform(0.1, 0.5)
        reply = await super().send(asked, *told)
        self.answered_at.append(asyncio.get_running_loop().time())
        return reply


def _most_within(times: Sequence[float], span_s: float) -> int:
    """The most that begin within any such span."""
    ordered = sorted(times)
    return max(bisect_left(ordered, at + span_s) - index for index, at in enumerate(ordered))


def _retries_until(provider: Provider, at_s: float) -> int:
    """Attempts beyond the first of their questions, up to then."""
    asked = [number for at, number in provider.log if at <= at_s]
    return len(asked) - len(set(asked))


@pytest.mark.parametrize("headers", [{}, {"retry_after": "5"}, {"retry_after": "0"}], ids=["silent", "5 s", "0 s"])
def test_a_storm_of_ten_minutes_costs_few_requests_one_cut_and_no_question(headers: dict[str, str]) -> None:
    """All requests of ten minutes are refused: a hundred go out at most, the limit is cut once, all are answered."""
    provider, noted, told = Weather(STORM_S, **headers), Noted(), list[LaneState]()

    async def work() -> list[Reply]:
        means = provider.means(observer=noted, lane_states=told.extend)
        dispatcher = Dispatcher(means)
        replies = await dispatcher.reply_all(questions(1000))
        dispatcher.close()
        return replies

    assert len(run_virtually(work)) == 1000
    in_the_storm = [at for at, _ in provider.log if at < STORM_S]
    assert len(in_the_storm) <= 150
    assert noted.count(Kind.RATE_CUT) == told[-1].cuts == 1
    assert told[-1].retries == len(provider.log) - 1000


@pytest.mark.parametrize("count", [8, 400])
@pytest.mark.parametrize("headers", [{}, {"retry_after": "5"}, {"retry_after": "1"}], ids=["silent", "5 s", "1 s"])
def test_retries_stay_within_the_runs_budget_at_every_moment_of_a_storm(headers: dict[str, str], count: int) -> None:
    """retries ≤ 100 + 0.2 × answered + seconds, whenever one looks, with three models in the storm."""
    provider = Weather(STORM_S, **headers)
    models = [target(f"cloud/{name}") for name in ("one", "two", "three")]
    asked = [question(1000 * place + n, model) for place, model in enumerate(models) for n in range(count)]

    async def work() -> None:
        await asyncio.gather(*map(Dispatcher(provider.means()).reply, asked), return_exceptions=True)

    run_virtually(work)
    assert count > 8 or _retries_until(provider, STORM_S) > 50
    answered = sorted(provider.answered_at)
    for at, _ in provider.log:
        bound = IN_HAND + SHARE * bisect_right(answered, at) + A_SECOND * at
        assert _retries_until(provider, at) <= bound


def test_after_a_storm_the_model_is_asked_more_and_more_and_never_all_at_once() -> None:
    """One, then two, then four: in no tenth of a second more than the limit after the cut, and steady later on."""
    provider = Weather(STORM_S)

    async def work() -> None:
        await Dispatcher(provider.means()).reply_all(questions(2000))

    run_virtually(work)
    after = [at for at, _ in provider.log if at >= STORM_S]
    begins = after[0]
    assert begins < STORM_S + 31
    assert sum(at < begins + 0.5 for at in after) <= 6
    assert _most_within([at for at in after if at < begins + 5], 0.1) <= 16
    steady = [at for at in after if begins + 5 <= at < after[-1] - 5]
    mean_in_a_tenth = len(steady) / (steady[-1] - steady[0]) / 10
    assert _most_within(steady, 0.1) <= 4 * mean_in_a_tenth


def test_a_storm_amid_a_run_costs_little_more_than_its_own_time() -> None:
    """A minute of refusals after a good beginning: what was under way then comes back one by one."""
    provider = Weather(80.0, begins_s=20.0)

    async def work() -> float:
        await Dispatcher(provider.means()).reply_all(questions(12_000))
        return asyncio.get_running_loop().time()

    calm = Weather(0.0)

    async def without() -> float:
        await Dispatcher(calm.means()).reply_all(questions(12_000))
        return asyncio.get_running_loop().time()

    assert run_virtually(work) - run_virtually(without) < 60 + 60
    assert max(provider.attempts.values()) <= 5


def test_where_the_clock_on_the_wall_jumps_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day forward, two days back, all the time: waits are of a monotonic clock."""

    def asked_at() -> list[tuple[float, int]]:
        provider = Weather(60.0, retry_after="3")

        async def work() -> None:
            await Dispatcher(provider.means(), Rules(jitter=lambda low, high: (low + high) / 2)).reply_all(
                questions(50)
            )

        run_virtually(work)
        return provider.log

    usual = asked_at()
    jumps = random.Random(2)
    monkeypatch.setattr(clock, "now", lambda: datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=jumps.randint(-2, 2)))
    assert asked_at() == usual


def _failing(times: int) -> Answer:
    def answer(asked: Question, attempt: int) -> InfraError | None:
        return refused(Category.STREAM_MALFORMED, 200) if attempt <= times and number_of(asked) % 2 else None

    return answer


def test_retries_that_no_token_is_left_for_wait_in_order_and_are_answered() -> None:
    """Half of all requests fail once: 400 retries, of which 100 go at once and the others as tokens come back."""
    provider, noted = Provider(answer=_failing(1), latency_s=0.01), Noted()
    told: list[LaneState] = []

    async def work() -> float:
        dispatcher = Dispatcher(provider.means(observer=noted, lane_states=told.extend), Rules(max_concurrency=4))
        await dispatcher.reply_all(questions(800))
        dispatcher.close()
        return asyncio.get_running_loop().time()

    ended_s = run_virtually(work)
    assert provider.attempts.total() == 1200
    assert IN_HAND + SHARE * 800 + A_SECOND * ended_s >= 400
    assert noted.count(Kind.RETRIES_SPENT) == 1
    assert told[-1].retries == 400
    assert told[-1].retries_left is not None
    assert told[-1].retries_left < 10


def test_a_question_that_gets_no_retry_for_five_minutes_is_given_up_and_says_why() -> None:
    """Where everything fails again and again and nothing is answered, one retry a second is all that is made."""
    provider = Provider(answer=_failing(99), latency_s=0.01)

    async def work() -> list[Reply | BaseException]:
        dispatcher = Dispatcher(provider.means(), Rules(attempts=50))
        asked = [question(number) for number in range(1, 2000, 2)]
        return await asyncio.gather(*map(dispatcher.reply, asked), return_exceptions=True)

    outcomes = run_virtually(work)
    spent = [each for each in outcomes if isinstance(each, InfraError) and "retries of the run are spent" in str(each)]
    assert spent
    assert "retry_budget" in str(spent[0])


def test_the_bucket_holds_a_hundred_gains_with_answers_and_time_and_never_more() -> None:
    """The bound of the docs, token by token."""
    budget = RetryBudget(SHARE, now=10.0)
    assert [budget.take(10.0) for _ in range(101)] == [True] * 100 + [False]
    assert budget.wait_s(10.0) == pytest.approx(1.0)
    for _ in range(5):
        budget.answered()
    assert budget.take(10.0)
    assert not budget.take(10.9)
    assert budget.take(11.0)
    assert budget.left(10_000.0) == IN_HAND


def test_with_a_share_of_nothing_only_what_is_there_anyway_is_left() -> None:
    """`--llmbench-retry-budget 0`."""
    budget = RetryBudget(0.0, now=0.0)
    for _ in range(1000):
        budget.answered()
    assert sum(budget.take(0.0) for _ in range(200)) == 100


def _with_a_third_failing(category: Category, share: float) -> tuple[float, int]:
    """How long 3,000 questions take where each attempt fails by chance, one in three; how often retries ran out."""
    chance, noted = random.Random(3), Noted()
    provider = Provider(answer=lambda *_: refused(category, 500) if chance.random() < 1 / 3 else None)
    rules = Rules(max_concurrency=20, retry_budget=share, jitter=random.Random(3).uniform)

    async def work() -> float:
        dispatcher = Dispatcher(provider.means(observer=noted), rules)
        await asyncio.gather(*map(dispatcher.reply, questions(3000)), return_exceptions=True)
        return asyncio.get_running_loop().time()

    return run_virtually(work), noted.count(Kind.RETRIES_SPENT)


@pytest.mark.parametrize("category", [Category.SERVER, Category.STREAM_MALFORMED])
def test_where_a_third_of_all_attempts_fail_half_a_retry_for_each_answer_is_enough(category: Category) -> None:
    """What the docs advise; with the usual fifth retries run out, and the run takes several times as long."""
    enough_s, ran_out = _with_a_third_failing(category, 0.5)
    assert ran_out == 0
    usual_s, ran_out = _with_a_third_failing(category, SHARE)
    assert ran_out > 0
    assert usual_s > 3 * enough_s
