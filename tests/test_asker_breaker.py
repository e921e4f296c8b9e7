"""The circuit breaker: when a model is left alone, who tries it, what becomes of those who wait; in virtual time."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from asked_models import Provider, number_of, question, questions, refused
from flapping_models import SLOW, Flapping, outcomes_of
from noted import Noted
from virtual_time import run_virtually

from pytest_llmbench import config
from pytest_llmbench.asker import messages
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.opening import _rules
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.errors import Category, InfraError, LlmbenchError, WireError
from pytest_llmbench.observe.calls import Kind
from pytest_llmbench.records import LaneState, Reply


def test_in_an_outage_one_question_at_a_time_tries_and_all_are_answered_afterwards() -> None:
    """It opens, tries once in a while, closes at the first answer, and begins low: no question is lost."""
    provider, noted = Flapping(lambda now, _: 3 <= now < 63), Noted()
    outcomes, ended_s, status = outcomes_of(provider, questions(1500), observer=noted)
    assert all(isinstance(each, Reply) for each in outcomes)
    probes = [at for at in provider.failed_at if at > 4]
    assert 3 <= len(probes) <= 8
    assert all(later - earlier > 2 for earlier, later in pairwise(probes))
    assert noted.count(Kind.BREAKER_HALF_OPEN) == len(probes) + 1
    assert (noted.count(Kind.BREAKER_OPENED), noted.count(Kind.BREAKER_STAYED_OPEN)) == (1, len(probes))
    assert [note.kind for note in noted.told][-2:] == [Kind.BREAKER_HALF_OPEN, Kind.BREAKER_CLOSED]
    assert (status.models[0].breaker, status.models[0].broken) == ("closed", len(provider.failed_at))
    assert ended_s < 63 + 60 + 60


@pytest.mark.parametrize("count", [5, 6, 8])
@pytest.mark.parametrize(("outage_s", "rules"), [(120, Rules()), (200, Rules()), (600, Rules(outage_patience_s=1200))])
def test_of_few_questions_at_once_that_nobody_joins_none_is_lost_in_an_outage(
    count: int, outage_s: int, rules: Rules
) -> None:
    """Five different ones fail: they are not all at fault, so each waits as long as there is patience."""
    provider = Flapping(lambda now, _: 2 <= now < 2 + outage_s)

    async def work() -> list[Reply | BaseException]:
        dispatcher = Dispatcher(provider.means(), rules)
        await dispatcher.reply(question(99))
        await asyncio.sleep(2)
        return await asyncio.gather(*map(dispatcher.reply, questions(count)), return_exceptions=True)

    assert all(isinstance(each, Reply) for each in run_virtually(work))


def test_after_an_outage_the_model_is_asked_by_one_then_by_two_then_by_four() -> None:
    """Who waited does not fall over it all at once."""
    provider = Flapping(lambda now, _: 2 <= now < 40)
    outcomes_of(provider, questions(800))
    closed_at = min(at for at, _ in provider.log if at > 40) + 0.2
    rounds = [
        sum(closed_at + n * 0.2 <= at + 1e-6 < closed_at + n * 0.2 + 0.2 for at, _ in provider.log) for n in range(4)
    ]
    assert rounds[0] <= 2
    assert all(later <= 2 * earlier + 1 for earlier, later in pairwise(rounds))


def test_a_flapping_server_opens_it_each_time_and_nobody_is_given_up() -> None:
    """Twenty seconds well, twenty seconds ill, again and again: failures of outages use up no attempts."""
    provider = Flapping(lambda now, _: now < 300 and now % 40 >= 20, latency_s=1.0)  # well at the end: four open none
    noted, told = Noted(), list[LaneState]()
    outcomes, _, _ = outcomes_of(
        provider, questions(1200), Rules(attempts=3, max_concurrency=10), observer=noted, lane_states=told.extend
    )
    assert all(isinstance(each, Reply) for each in outcomes)
    assert told[-1].opened == noted.count(Kind.BREAKER_OPENED) == noted.count(Kind.BREAKER_CLOSED) >= 2
    assert noted.count(Kind.BREAKER_HALF_OPEN) == told[-1].opened + noted.count(Kind.BREAKER_STAYED_OPEN)


@pytest.mark.parametrize("category", [Category.NETWORK_REFUSED, Category.NETWORK_DNS, Category.SERVER])
def test_a_model_that_never_answered_is_given_up_in_seconds(category: Category) -> None:
    """A wrong address: a thousand questions fail together, after the tries that one would have had."""
    provider = Flapping(lambda *_: True, WireError("nobody listens", category=category))
    outcomes, ended_s, _ = outcomes_of(provider, questions(1000))
    assert all(isinstance(each, InfraError) and each.category is category for each in outcomes)
    assert ended_s < 15
    assert provider.attempts.total() <= 60
    last = outcomes[-1]
    assert isinstance(last, InfraError)
    assert last.unsent
    assert "it has never answered, last with: nobody listens" in str(last)
    assert "check its address" in str(last)
    assert "tried" not in str(last)


def test_a_model_that_was_there_is_waited_for_and_given_up_when_patience_ends() -> None:
    """Then its questions fail at once, until the next one may try; that one's answer makes all well again."""
    provider = Flapping(lambda now, _: 1 <= now < 500)

    async def work() -> None:
        dispatcher, loop = (
            Dispatcher(provider.means(), Rules(outage_patience_s=120, max_concurrency=10)),
            asyncio.get_running_loop(),
        )
        outcomes = await asyncio.gather(*map(dispatcher.reply, questions(300)), return_exceptions=True)
        assert 121 <= loop.time() < 150
        failed = [each for each in outcomes if isinstance(each, InfraError)]
        assert len(failed) > 100
        assert any("was not asked: it has been failing for" in str(each) for each in failed)
        before = loop.time()
        with pytest.raises(InfraError, match="was not asked"):
            await dispatcher.reply(question(1000))
        assert loop.time() == before
        await asyncio.sleep(500 + 61 - loop.time())
        assert (await dispatcher.reply(question(1001))).text == "answer 1001"
        assert dispatcher.status().models[0].breaker == "closed"

    run_virtually(work)


def test_a_failing_server_that_names_a_time_is_left_alone_for_so_long() -> None:
    """`Retry-After: 40` with a 503: no try before that."""
    busy = refused(Category.OVERLOADED, 503, retry_after="40")
    provider = Flapping(lambda now, _: now < 30, busy)
    outcomes, _, _ = outcomes_of(provider, questions(100))
    assert all(isinstance(each, Reply) for each in outcomes)
    assert not [at for at, _ in provider.log if 1 < at < 40]


def test_failures_that_opened_it_use_up_no_attempts() -> None:
    """With two attempts allowed, a question that failed twice in an outage is answered after it."""
    provider = Flapping(lambda now, _: 1 <= now < 30)
    outcomes, _, _ = outcomes_of(provider, questions(300), Rules(attempts=2, max_concurrency=10))
    assert all(isinstance(each, Reply) for each in outcomes)


@pytest.mark.parametrize("category", [Category.RATE_LIMITED, Category.INVALID_REQUEST, Category.AUTH])
def test_refusals_never_open_it(category: Category) -> None:
    """429 and 4xx are words of a server that works."""
    noted = Noted()
    provider = Provider(answer=lambda asked, n: refused(category, 400) if n < 3 and number_of(asked) % 3 else None)
    outcomes_of(provider, questions(90), observer=noted)
    assert not noted.count(Kind.BREAKER_OPENED)


def test_a_hasty_question_fails_at_once_where_its_model_fails() -> None:
    """Somebody else can be asked instead: those in line are let go when it opens, those who come later at once."""
    provider = Flapping(lambda now, _: 1 <= now < 100)

    async def work() -> None:
        dispatcher, loop = Dispatcher(provider.means(), SLOW), asyncio.get_running_loop()
        dispatcher.plan(questions(300))
        await asyncio.sleep(0.9)
        hasty = [Question(**{**_fields(question(number)), "hasty": True}) for number in range(1000, 1040)]
        outcomes = await asyncio.gather(*map(dispatcher.reply, hasty), return_exceptions=True)
        assert loop.time() < 10
        assert all(isinstance(each, Reply | InfraError) for each in outcomes)
        assert sum(isinstance(each, InfraError) and each.unsent for each in outcomes) > 5
        assert dispatcher.status().models[0].breaker == "open"
        assert dispatcher.status().models[0].held_s > 0
        assert "failing, tried again in" in dispatcher.status().models[0].state
        followed = dispatcher.follow(Question(**{**_fields(question(2000)), "hasty": True}))
        assert isinstance(followed.error, InfraError)
        assert followed.error.unsent
        await dispatcher.cancel()
        dispatcher.close()

    run_virtually(work)


def _fields(asked: Question) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in ("target", "request", "test_key", "request_hash")}


def test_a_try_that_is_broken_off_leaves_room_for_the_next() -> None:
    """A breaker whose only try is cancelled would stay half open for ever."""
    provider, noted = Flapping(lambda now, _: 1 <= now < 10, latency_s=0.5), Noted()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(observer=noted))
        plan = dispatcher.plan(questions(100))
        async with asyncio.timeout(60):
            await noted.until(Kind.BREAKER_HALF_OPEN)
        plan.end()
        await dispatcher.cancel()
        async with asyncio.timeout(60):
            assert (await dispatcher.reply(question(5000))).text == "answer 5000"

    run_virtually(work)


def test_how_lines_stand_is_told_once_a_second_at_most_and_at_the_end() -> None:
    """What changed, with what holds it up; the last word is what it came to."""
    provider, told = Flapping(lambda now, _: 3 <= now < 30), list[tuple[float, LaneState]]()

    def tell(states: Any) -> None:
        told.extend((asyncio.get_running_loop().time(), state) for state in states)

    outcomes, _, _ = outcomes_of(provider, questions(400), lane_states=tell)
    times = [at for at, _ in told]
    assert all(later - earlier >= 0.999 for earlier, later in pairwise(times[:-1]))
    assert {state.breaker for _, state in told} >= {"open", "closed"}
    assert all(bool(state.held_until) for _, state in told if state.breaker == "open")
    last = told[-1][1]
    assert (last.in_flight, last.waiting, last.opened) == (0, 0, 1)
    assert len(outcomes) == 400


def test_marks_of_an_error_travel_to_workers() -> None:
    """Under xdist the asker is another process."""
    error = InfraError("no", category=Category.SERVER)
    error.blamed = error.unsent = True
    arrived = messages.error_of(messages.decode(messages.encode(messages.told_error(error))))
    assert isinstance(arrived, InfraError)
    assert (arrived.blamed, arrived.unsent) == (True, True)
    plain = messages.error_of(messages.told_error(LlmbenchError("no")))
    assert not hasattr(plain, "blamed")


def test_a_call_that_is_broken_off_while_its_failure_is_stored_is_told_all_the_same() -> None:
    """It failed: those who look on hear of it, once."""
    provider, noted = Provider(answer=lambda *_: refused(Category.SERVER, 500)), Noted()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(observer=noted, keep_failed=lambda *_: Future()))
        ticket = dispatcher.demand(question(1))
        await asyncio.sleep(1)
        assert not noted.calls
        await dispatcher.cancel()
        assert ticket.done

    run_virtually(work)
    assert [each.retry_in_s for each in noted.calls] == [None]


def test_what_the_user_chooses_reaches_the_asker(tmp_path: Path) -> None:
    """`--llmbench-retry-budget`, `--llmbench-outage-patience-s`."""
    rules = _rules(config.resolve({"retry_budget": "0.5", "outage_patience_s": "10"}, {}, {}, tmp_path))
    assert (rules.retry_budget, rules.outage_patience_s) == (0.5, 10.0)
    usual = _rules(config.resolve({}, {}, {}, tmp_path))
    assert (usual.retry_budget, usual.outage_patience_s) == (Rules().retry_budget, Rules().outage_patience_s)
