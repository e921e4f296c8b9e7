"""The budget: never exceeded, whatever is under way, fails, stays unknown, or is cancelled."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import Future
from decimal import Decimal

import pytest
from asked_models import Provider, number_of, question, questions, refused, reply_to, resolved, target
from capped_questions import budget_of, dollars, outcomes_of
from virtual_time import run_virtually

from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.asker.worst_case import worst_case_of
from pytest_llmbench.errors import Category, InfraError, OverBudgetError, WireError
from pytest_llmbench.records import Cost, Reply, Usage
from pytest_llmbench.store.spending import Spending


@pytest.mark.parametrize("seed", range(6))
def test_fifty_at_once_of_varying_length_and_luck_never_cost_more_than_the_cap(seed: int) -> None:
    """What the provider really charged, broken and unexplained attempts included, stays below one dollar."""
    chance = random.Random(seed)
    charged: list[Decimal] = []

    def answer(asked: Question, attempt: int) -> Reply | BaseException:
        assert asked.request.max_tokens is not None
        length = chance.randint(1, asked.request.max_tokens)
        fate = chance.random()
        if fate < 0.15:
            return refused()
        charged.append(Decimal("0.0001") * length + Decimal("0.0000001") * 10)
        if fate < 0.25:
            return WireError("broke off", category=Category.STREAM_TRUNCATED, status=200)
        if fate < 0.3:
            return refused(Category.SERVER, 500)
        return reply_to(asked, completion_tokens=length)

    provider = Provider(answer=answer)
    budget = budget_of()

    async def work() -> list[Reply | BaseException]:
        dear = dollars("0.0001")
        asked = [question(number, dear, max_tokens=chance.choice([10, 100, 1000])) for number in range(400)]
        outcomes = await outcomes_of(Dispatcher(provider.means(), Rules(max_concurrency=50), budget=budget), asked)
        assert budget.left_usd is not None
        assert 0 <= budget.left_usd <= Decimal(1) - sum(charged)
        return outcomes

    outcomes = run_virtually(work)
    assert Decimal("0.5") < sum(charged) <= 1
    assert any(isinstance(outcome, OverBudgetError) for outcome in outcomes)
    assert {type(outcome) for outcome in outcomes} <= {Reply, OverBudgetError, InfraError, WireError}


def test_a_question_waits_for_reservations_to_be_settled_instead_of_being_refused() -> None:
    """Ten that may cost half a dollar each and cost a hundredth fit into one dollar, two at a time."""
    provider = Provider(answer=lambda asked, _attempt: reply_to(asked, completion_tokens=100))

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), budget=budget_of())
        asked = questions(10, dollars("0.0001"), max_tokens=4900)
        assert {type(each) for each in await outcomes_of(dispatcher, asked)} == {Reply}

    run_virtually(work)
    assert provider.most_under_way == 2


def test_what_does_not_fit_any_more_is_over_budget_and_never_asked() -> None:
    """The message tells what it may cost, what is left of which cap, and what to do."""
    provider = Provider(answer=lambda asked, _attempt: reply_to(asked, completion_tokens=9000))

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), budget=budget_of())
        asked = questions(3, dollars("0.0001"), max_tokens=9000)
        outcomes = await outcomes_of(dispatcher, asked)
        assert [type(outcome) for outcome in outcomes] == [Reply, OverBudgetError, OverBudgetError]
        assert "may cost up to 0.9" in str(outcomes[1])
        assert "of the 1 USD for the run 0.09" in str(outcomes[1])
        assert "--resume" in str(outcomes[1])
        assert dispatcher.status().budget_left_usd.startswith("0.09")

    run_virtually(work)
    assert provider.attempts == {0: 1}


def test_an_attempt_of_unknown_cost_keeps_its_worst_case_for_good() -> None:
    """A stream that broke off may have cost all of it: the second question does not fit any more."""
    broken = WireError("broke off", category=Category.STREAM_TRUNCATED, status=200)
    provider = Provider(answer=lambda _asked, _attempt: broken)
    saved: list[Spending] = []

    async def work() -> None:
        budget = budget_of(save=lambda entry: resolved(saved.append(entry)))
        dispatcher = Dispatcher(provider.means(), Rules(attempts=1), budget=budget)
        first, second = await outcomes_of(dispatcher, questions(2, dollars("0.0001"), max_tokens=9000))
        assert isinstance(first, WireError)
        assert isinstance(second, OverBudgetError)

    run_virtually(work)
    assert [(entry.state, entry.settled_usd) for entry in saved] == [("reserved", None), ("unknown", None)]


def test_a_refusal_gives_its_reservation_back() -> None:
    """A storm of 429 spends nothing: the reply fits afterwards."""
    provider = Provider(answer=lambda _asked, attempt: refused() if attempt < 8 else None)

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), budget=budget_of())
        assert (await dispatcher.reply(question(1, dollars("0.0001"), max_tokens=9000))).attempts == 8

    run_virtually(work)


def test_a_call_that_is_cancelled_before_it_began_gives_its_reservation_back() -> None:
    """Not even its first step ran, so that nobody else can settle it."""
    provider, budget = Provider(), budget_of()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), budget=budget)
        dispatcher.demand(question(1))
        await asyncio.create_task(dispatcher.cancel())  # in line between the look at the line and the call

    run_virtually(work)
    assert not provider.attempts
    assert budget.left_usd == 1


def test_another_try_is_refused_where_it_does_not_fit() -> None:
    """Each attempt reserves for itself; the failed one stays reserved."""
    broken = WireError("broke off", category=Category.STREAM_TRUNCATED, status=200)
    provider = Provider(answer=lambda _asked, _attempt: broken)

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), budget=budget_of())
        with pytest.raises(OverBudgetError):
            await dispatcher.reply(question(1, dollars("0.0001"), max_tokens=6000))

    run_virtually(work)
    assert provider.attempts == {1: 1}


def test_nothing_is_sent_before_its_reservation_is_committed() -> None:
    """Whoever is killed right after sending leaves the worst case in the database."""
    provider = Provider()
    commit: Future[None] = Future()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), budget=budget_of(save=lambda _entry: commit))
        ticket = dispatcher.demand(question(1))
        await asyncio.sleep(60)
        assert not provider.attempts
        commit.set_result(None)
        await asyncio.sleep(1)
        assert ticket.done

    run_virtually(work)
    assert provider.attempts == {1: 1}


def test_a_reservation_that_cannot_be_stored_stops_the_question() -> None:
    """A full disk is told to the test, and nothing is spent."""
    provider = Provider()
    failed: Future[None] = Future()
    failed.set_exception(InfraError("the disk is full", category=Category.LOCAL_DISK_FULL))

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), budget=budget_of(save=lambda _entry: failed))
        with pytest.raises(InfraError, match="the disk is full"):
            await dispatcher.reply(question(1))

    run_virtually(work)
    assert not provider.attempts


def test_a_fault_of_ours_after_a_reply_leaves_its_reservation_for_good() -> None:
    """Nothing else would ever settle it: those that wait for the money would wait for ever."""

    def record(asked: Question, _reply: Reply) -> None:
        if number_of(asked) == 0:
            raise RuntimeError("a fault")

    def cost(asked: Question, usage: Usage) -> Cost:
        if number_of(asked) == 1:
            raise ZeroDivisionError
        return Cost("0.0001", "billed")

    provider = Provider()
    worst = worst_case_of(question(1))
    budget = budget_of(Caps(run=worst * 2))

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(record=record, cost=cost), budget=budget)
        with pytest.raises(RuntimeError):
            await dispatcher.reply(question(0))
        with pytest.raises(ZeroDivisionError):
            await dispatcher.reply(question(1))
        async with asyncio.timeout(60):
            with pytest.raises(OverBudgetError):
                await dispatcher.reply(question(2))

    run_virtually(work)
    assert budget.left_usd == worst - Decimal("0.0001")


def test_caps_of_models_and_use_cases_hold_beside_that_of_the_run() -> None:
    """All models of one pattern share its cap; the question of another use case still fits."""
    caps = Caps(models={"cloud/*": Decimal("0.5")}, use_cases={"triage": Decimal("0.2")})
    one, two, other = target("cloud/one"), target("cloud/two"), target("else/where")
    budget = budget_of(caps)
    assert budget.reserve(question(1, one), Decimal("0.4")) is not None
    assert budget.reserve(question(2, two), Decimal("0.2")) is None
    assert budget.reserve(question(3, other), Decimal("0.9")) is not None
    with pytest.raises(OverBudgetError, match="use case 'triage'"):
        budget.reserve(question(4, other, use_case="triage"), Decimal("0.3"))
    with pytest.raises(OverBudgetError, match="models 'cloud/\\*'"):
        budget.reserve(question(5, two), Decimal("0.6"))
    assert budget.left_usd is None


def test_an_amount_that_the_provider_billed_counts_even_above_the_worst_case() -> None:
    """A price table that is wrong cannot hide what was spent: the next question is refused."""
    budget = budget_of()
    reserved = budget.reserve(question(1), Decimal("0.1"))
    assert reserved is not None
    budget.settle(reserved, Cost("0.95", "billed"))
    assert budget.left_usd == Decimal("0.05")
    with pytest.raises(OverBudgetError):
        budget.reserve(question(2), Decimal("0.1"))
