"""Trying again: what, when, how often, and that every attempt is booked; on a clock that jumps."""

from __future__ import annotations

import asyncio
import dataclasses
import random

import pytest
from asked_models import Answer, Provider, number_of, question, questions, refused, reply_to
from virtual_time import run_virtually

from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.payloads import SAME
from pytest_llmbench.asker.retry import HASTY_S, PASSING, REFUSED_FOR_S, History, Retry
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.errors import Category, InfraError, WireError
from pytest_llmbench.records import Reply, Usage


def _asked(
    answer: Answer, *, rules: Rules | None = None, count: int = 1, hasty: bool = False
) -> tuple[Provider, Reply | BaseException]:
    """A provider that answers so, and what became of question 0 when so many were asked."""
    provider = Provider(answer=answer)

    async def work() -> Reply | BaseException:
        dispatcher = Dispatcher(provider.means(), rules)
        dispatcher.plan(questions(count)[1:])
        asked = dataclasses.replace(question(0), hasty=hasty)
        return (await asyncio.gather(dispatcher.reply(asked), return_exceptions=True))[0]

    return provider, run_virtually(work)


def _failing(category: Category, times: int, status: int | None = None, **headers: str) -> Answer:
    """So often, then the usual reply."""

    def answer(asked: object, attempt: int) -> WireError | None:
        if attempt > times:
            return None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return WireError(f"failed: {category}", category=category, status=status, headers=named)

    return answer


@pytest.mark.parametrize("category", sorted(PASSING))
def test_failures_that_pass_are_tried_again(category: Category) -> None:
    """Timeouts, resets, broken streams, 5xx and refusals for the rate: the reply tells how many attempts it took."""
    provider, outcome = _asked(_failing(category, 2))
    assert isinstance(outcome, Reply)
    assert outcome.attempts == 3
    assert [attempt.number for attempt in provider.failed] == [1, 2]
    assert {attempt.category for attempt in provider.failed} == {str(category)}


@pytest.mark.parametrize("category", sorted(set(Category) - PASSING))
def test_failures_that_stay_are_not_tried_again(category: Category) -> None:
    """A wrong key, a spent quota, a prompt that is too long: asked once, booked once."""
    provider, outcome = _asked(_failing(category, 99))
    assert isinstance(outcome, InfraError)
    assert outcome.category is category
    assert provider.attempts == {0: 1}
    assert len(provider.failed) == 1


def test_a_failing_request_is_given_up_after_its_attempts_and_says_how_many_there_were() -> None:
    """`--llmbench-attempts` bounds what is tried."""
    provider, outcome = _asked(_failing(Category.NETWORK_REFUSED, 99), rules=Rules(attempts=4))
    assert provider.attempts == {0: 4}
    assert "(tried 4 times)" in str(outcome)


def test_a_request_that_fails_differently_each_time_has_all_its_attempts() -> None:
    """Only the same failure in a row says something about the request; ids and numbers in messages do not count."""
    words = ["no disk", "no memory", "no disk", "no memory", "no disk"]
    other = {number: WireError(text, category=Category.SERVER, status=500) for number, text in enumerate(words, 1)}
    provider, _ = _asked(lambda _asked, attempt: other[attempt])
    assert provider.attempts == {0: 5}
    named = [WireError(f"HTTP 500 in request req_{8**20 + n}", category=Category.SERVER, status=500) for n in range(5)]
    provider, outcome = _asked(lambda _asked, attempt: named[attempt - 1])
    assert provider.attempts == {0: SAME}
    assert "tried 3 times; in the same way each time" in str(outcome)


def test_with_one_attempt_nothing_is_tried_again_not_even_a_refusal_for_the_rate() -> None:
    """`--llmbench-attempts 1` means once."""
    provider, _ = _asked(_failing(Category.RATE_LIMITED, 99, 429), rules=Rules(attempts=1))
    assert provider.attempts == {0: 1}


def test_a_refusal_for_the_rate_does_not_use_up_the_attempts() -> None:
    """Twenty refusals, then the reply: nothing was wrong with the request."""
    rules = Rules(attempts=3, jitter=lambda low, _: low)  # by chance 20 waits take longer than is waited for refusals
    provider, outcome = _asked(_failing(Category.RATE_LIMITED, 20, 429, retry_after="1"), rules=rules)
    assert isinstance(outcome, Reply)
    assert provider.attempts == {0: 21}


def test_a_request_that_is_refused_for_minutes_is_given_up() -> None:
    """Nobody waits for ever: after five minutes of refusals it fails as rate limited."""
    provider, outcome = _asked(_failing(Category.RATE_LIMITED, 10_000, 429))
    assert isinstance(outcome, InfraError)
    assert outcome.category is Category.RATE_LIMITED
    assert REFUSED_FOR_S <= provider.log[-1][0] < REFUSED_FOR_S + 60


def test_a_request_that_another_model_may_answer_is_given_up_after_seconds_of_refusals() -> None:
    """Ten of them, and at once where the provider asks for more: whoever waits for it would be better off elsewhere."""
    provider, outcome = _asked(_failing(Category.OVERLOADED, 10_000, 503), hasty=True)
    assert isinstance(outcome, InfraError)
    assert outcome.category is Category.OVERLOADED
    assert 3 <= provider.attempts[0] <= 50
    assert provider.log[-1][0] < HASTY_S
    provider, outcome = _asked(_failing(Category.RATE_LIMITED, 10_000, 429, retry_after="30"), hasty=True)
    assert provider.attempts == {0: 1}
    provider, outcome = _asked(_failing(Category.OVERLOADED, 2, 503), hasty=True)
    assert isinstance(outcome, Reply)


def test_a_provider_that_asks_to_stay_away_for_an_hour_is_not_waited_for() -> None:
    """The failure is told at once, with how long it asked for."""
    provider, outcome = _asked(_failing(Category.RATE_LIMITED, 99, 429, retry_after="3600"))
    assert provider.attempts == {0: 1}
    assert "3600 s" in str(outcome)


def test_a_provider_that_says_that_trying_again_does_not_help_is_believed() -> None:
    """`x-should-retry: false` ends it, `true` has even a 409 tried again."""
    provider, _ = _asked(_failing(Category.SERVER, 99, 500, x_should_retry="false"))
    assert provider.attempts == {0: 1}
    provider, outcome = _asked(_failing(Category.INVALID_REQUEST, 1, 409, x_should_retry="true"))
    assert isinstance(outcome, Reply)


@pytest.mark.parametrize("category", [Category.AUTH, Category.QUOTA_EXHAUSTED])
def test_a_wrong_key_and_a_spent_quota_are_never_tried_again_whatever_the_provider_says(category: Category) -> None:
    """`x-should-retry: true` comes along with them now and then."""
    provider, outcome = _asked(_failing(category, 1, 429, x_should_retry="true"))
    assert isinstance(outcome, InfraError)
    assert provider.attempts == {0: 1}


def test_a_request_that_always_fails_alike_while_others_are_answered_is_at_fault() -> None:
    """Three times the same, and no more, however many attempts are allowed."""
    provider, outcome = _asked(
        lambda asked, _attempt: refused(Category.SERVER, 500) if number_of(asked) == 0 else None,
        rules=Rules(attempts=50, max_concurrency=20),
        count=200,
    )
    assert isinstance(outcome, InfraError)
    assert provider.attempts[0] == 3


def test_where_others_fail_as_well_the_server_is_at_fault_and_all_attempts_are_made() -> None:
    """Four requests that always fail alike: none of them can be said to be at fault."""
    provider, outcome = _asked(_failing(Category.SERVER, 99, 500), count=4)
    assert isinstance(outcome, InfraError)
    assert provider.attempts[0] == 5


def test_where_many_fail_by_chance_nobody_is_given_up_before_its_attempts() -> None:
    """A third of all attempts ends in a 500: three in a row prove nothing about a request."""
    chance = random.Random(1)
    provider = Provider(
        latency_s=0.01,
        answer=lambda _asked, _attempt: refused(Category.SERVER, 500) if chance.random() < 1 / 3 else None,
    )

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), Rules(attempts=12, retry_budget=1.0))
        assert len(await dispatcher.reply_all(questions(500))) == 500

    run_virtually(work)
    assert max(provider.attempts.values()) > 3


def test_waits_are_drawn_from_the_whole_span_and_the_span_doubles_up_to_its_end() -> None:
    """Full jitter: those that failed together do not come back together."""
    spans = []

    def jitter(low: float, high: float) -> float:
        spans.append((low, high))
        return high

    retry, history = Retry(99, jitter), History()
    for number in range(9):
        error = WireError(f"{number}", category=Category.NETWORK_RESET)
        history.add(error, 0.0)
        retry.delay_s(history, error, 0.0)
    assert spans == [(0.0, span) for span in (0.5, 1, 2, 4, 8, 16, 30, 30, 30)]


def test_an_attempt_that_was_not_answered_costs_nothing_only_where_it_was_refused() -> None:
    """A 429 is free, a broken stream is of unknown cost, and usage that was told is priced."""
    told = Usage(prompt_tokens=100, completion_tokens=10)
    failures = [
        refused(Category.RATE_LIMITED, 429),
        WireError("cut off", category=Category.STREAM_TRUNCATED, status=200, partial_text="half an ans"),
        WireError("cut off", category=Category.STREAM_TRUNCATED, status=200, usage=told),
        WireError("an event", category=Category.RATE_LIMITED, status=200),
    ]
    provider, outcome = _asked(lambda asked, attempt: failures[attempt - 1] if attempt <= 4 else reply_to(asked))
    assert isinstance(outcome, Reply)
    costs = [(attempt.cost.usd, attempt.cost.source) for attempt in provider.failed]
    assert costs == [("0", "refused"), ("", "unknown"), ("0.0002", "priced"), ("", "unknown")]
    assert provider.failed[1].partial_text == "half an ans"


def test_what_had_come_is_not_kept_where_texts_are_not() -> None:
    """`keep_prompts: false` holds for broken answers, too."""
    broken = WireError("cut off", category=Category.STREAM_TRUNCATED, partial_text="a secret")
    provider, _ = _asked(lambda _asked, _attempt: broken, rules=Rules(attempts=1, keep_text=False))
    assert provider.failed[0].partial_text == ""


def test_a_stream_of_which_pieces_were_handed_on_is_not_tried_again() -> None:
    """Its reader would get the beginning twice."""
    provider = Provider()

    async def send(asked: object, on_headers: object, on_text: object) -> Reply:
        assert callable(on_text)
        provider.attempts[0] += 1
        on_text("Once upon")
        raise WireError("cut off", category=Category.STREAM_TRUNCATED)

    async def work() -> None:
        pieces: list[str] = []
        dispatcher = Dispatcher(provider.means(send=send))
        ticket = dispatcher.demand(question(0), on_text=pieces.append)
        with pytest.raises(WireError, match="cut off"):
            await dispatcher.reply(question(0))
        assert ticket.done
        assert pieces == ["Once upon"]

    run_virtually(work)
    assert provider.attempts == {0: 1}
