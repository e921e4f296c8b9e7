"""The budget: never exceeded, whatever is under way, fails, stays unknown, is killed or resumed."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asked_models import PRICE, Provider, number_of, question, questions, refused, reply_to, resolved, target
from store_samples import run as stored_run
from virtual_time import run_virtually

from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.asker.worst_case import worst_case_of
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.errors import Category, InfraError, OverBudgetError, UsageError, WireError
from pytest_llmbench.records import Cost, FailedAttempt, Price, Reply, Target, Usage
from pytest_llmbench.store import Store
from pytest_llmbench.store.spending import Spending, Spent

ONE = Caps(run=Decimal(1))


def _budget(
    caps: Caps = ONE, *, earlier: Spent | None = None, save: Callable[[Spending], Future[Any]] = resolved
) -> Budget:
    return Budget(caps, save=save, earlier=earlier)


def _dollars(usd: str) -> Target:
    """A model at so much a token of its answer."""
    return target(price=Price(input="0.0000001", output=usd))


async def _outcomes(dispatcher: Dispatcher, asked: list[Question]) -> list[Reply | BaseException]:
    return await asyncio.gather(*map(dispatcher.reply, asked), return_exceptions=True)


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
    budget = _budget()

    async def work() -> list[Reply | BaseException]:
        dear = _dollars("0.0001")
        asked = [question(number, dear, max_tokens=chance.choice([10, 100, 1000])) for number in range(400)]
        outcomes = await _outcomes(Dispatcher(provider.means(), Rules(max_concurrency=50), budget=budget), asked)
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
        dispatcher = Dispatcher(provider.means(), budget=_budget())
        asked = questions(10, _dollars("0.0001"), max_tokens=4900)
        assert {type(each) for each in await _outcomes(dispatcher, asked)} == {Reply}

    run_virtually(work)
    assert provider.most_under_way == 2


def test_what_does_not_fit_any_more_is_over_budget_and_never_asked() -> None:
    """The message tells what it may cost, what is left of which cap, and what to do."""
    provider = Provider(answer=lambda asked, _attempt: reply_to(asked, completion_tokens=9000))

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), budget=_budget())
        asked = questions(3, _dollars("0.0001"), max_tokens=9000)
        outcomes = await _outcomes(dispatcher, asked)
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
        budget = _budget(save=lambda entry: resolved(saved.append(entry)))
        dispatcher = Dispatcher(provider.means(), Rules(attempts=1), budget=budget)
        first, second = await _outcomes(dispatcher, questions(2, _dollars("0.0001"), max_tokens=9000))
        assert isinstance(first, WireError)
        assert isinstance(second, OverBudgetError)

    run_virtually(work)
    assert [(entry.state, entry.settled_usd) for entry in saved] == [("reserved", None), ("unknown", None)]


def test_a_refusal_gives_its_reservation_back() -> None:
    """A storm of 429 spends nothing: the reply fits afterwards."""
    provider = Provider(answer=lambda _asked, attempt: refused() if attempt < 8 else None)

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), budget=_budget())
        assert (await dispatcher.reply(question(1, _dollars("0.0001"), max_tokens=9000))).attempts == 8

    run_virtually(work)


def test_a_call_that_is_cancelled_before_it_began_gives_its_reservation_back() -> None:
    """Not even its first step ran, so that nobody else can settle it."""
    provider, budget = Provider(), _budget()

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
        dispatcher = Dispatcher(provider.means(), budget=_budget())
        with pytest.raises(OverBudgetError):
            await dispatcher.reply(question(1, _dollars("0.0001"), max_tokens=6000))

    run_virtually(work)
    assert provider.attempts == {1: 1}


def test_nothing_is_sent_before_its_reservation_is_committed() -> None:
    """Whoever is killed right after sending leaves the worst case in the database."""
    provider = Provider()
    commit: Future[None] = Future()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), budget=_budget(save=lambda _entry: commit))
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
        dispatcher = Dispatcher(provider.means(), budget=_budget(save=lambda _entry: failed))
        with pytest.raises(InfraError, match="the disk is full"):
            await dispatcher.reply(question(1))

    run_virtually(work)
    assert not provider.attempts


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (question(1, max_tokens=None), "max_tokens obligatory"),
        (question(1, max_tokens=-1), "max_tokens obligatory"),
        (question(1, max_tokens=None, extra={"max_output_tokens": 9}), "max_tokens obligatory"),
        (question(1, extra={"max_completion_tokens": None}), "max_tokens obligatory"),
        (question(1, target(price=Price())), "in llmbench.yaml, in US dollars"),
    ],
)
def test_a_budget_refuses_what_nobody_can_price(asked: Question, told: str) -> None:
    """No `max_tokens` or no price: refused before anything is sent, with what to do."""
    provider = Provider()

    async def work() -> None:
        with pytest.raises(UsageError, match=told):
            await Dispatcher(provider.means(), budget=_budget()).reply(asked)

    run_virtually(work)
    assert not provider.attempts


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (question(1, extra={"models": ["cloud/dearer"]}), "'models'"),
        (question(1, extra={"web_search_options": {"search_context_size": "low"}}), "'web_search_options'"),
        (question(1, extra={"service_tier": "priority"}), "service_tier='priority'"),
        (question(1, extra={"modalities": ["text", "audio"]}), "'modalities'"),
        (question(1, extra={"tools": [{"type": "web_search_20250305", "name": "web"}]}), "the provider runs"),
        (question(1, target("cloud/one:online")), ":online"),
        (
            dataclasses.replace(
                question(1),
                request=ChatRequest(
                    "cloud/one",
                    ({"role": "user", "content": [{"type": "file", "file": {"file_id": "f-1"}}]},),
                    max_tokens=9,
                ),
            ),
            "part of type 'file'",
        ),
    ],
    ids=["other models", "search", "priority", "sound", "a provider's tool", "online", "file"],
)
def test_a_budget_refuses_what_costs_more_than_its_tokens(asked: Question, told: str) -> None:
    """Searches, other models, faster tiers, files: no worst case would hold."""
    with pytest.raises(UsageError, match=told):
        worst_case_of(asked)


def test_what_costs_no_more_than_its_tokens_fits_into_a_budget() -> None:
    """Tools that the caller runs, and fields that say the usual."""
    tool = {"type": "function", "function": {"name": "f"}}
    usual = {"tools": [tool], "service_tier": "auto", "plugins": None, "modalities": ["text"]}
    assert worst_case_of(question(1, extra=usual)) > worst_case_of(question(1))


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
    budget = _budget(Caps(run=worst * 2))

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


def test_a_model_of_this_machine_without_a_price_is_free() -> None:
    """A cap in dollars does not concern it, and makes no `max_tokens` obligatory for it."""
    mine = Target("mine/model", "mine", "model", "openai", "http://127.0.0.1:8080")
    provider = Provider()

    async def work() -> None:
        reply = await Dispatcher(provider.means(), budget=_budget()).reply(question(1, mine, max_tokens=None))
        assert reply.cost == Cost("0", "free")

    run_virtually(work)


def test_the_worst_case_counts_every_choice_that_is_asked_for() -> None:
    """`n: 3` is three answers; bounds by other names count as `max_tokens` does."""
    once = worst_case_of(question(1, max_tokens=1000))
    thrice = worst_case_of(question(1, max_tokens=1000, extra={"n": 3}))
    assert 0 <= thrice - once - 2000 * Decimal(PRICE.output) < Decimal("0.002")
    named = worst_case_of(question(1, max_tokens=10, extra={"max_completion_tokens": 1000}))
    assert 0 <= named - once < Decimal("0.002")


def test_caps_of_models_and_use_cases_hold_beside_that_of_the_run() -> None:
    """All models of one pattern share its cap; the question of another use case still fits."""
    caps = Caps(models={"cloud/*": Decimal("0.5")}, use_cases={"triage": Decimal("0.2")})
    one, two, other = target("cloud/one"), target("cloud/two"), target("else/where")
    budget = _budget(caps)
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
    budget = _budget()
    reserved = budget.reserve(question(1), Decimal("0.1"))
    assert reserved is not None
    budget.settle(reserved, Cost("0.95", "billed"))
    assert budget.left_usd == Decimal("0.05")
    with pytest.raises(OverBudgetError):
        budget.reserve(question(2), Decimal("0.1"))


def _kept(store: Store, asked: Question, reply: Reply) -> Future[Reply]:
    return store.keep_reply("run-1", asked.test_key, asked.ordinal, {}, reply)


def _kept_failure(store: Store, asked: Question, attempt: FailedAttempt) -> Future[None]:
    store.save_failed_attempt("run-1", asked.test_key, attempt)
    return resolved(None)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.open(tmp_path / "results.db") as opened:
        opened.ensure_run(stored_run())
        yield opened


def _stored_budget(store: Store) -> Budget:
    return Budget(ONE, save=partial(store.order_spending, "run-1"), earlier=store.spent("run-1"))


def test_a_resumed_run_counts_what_was_settled_and_what_stayed_reserved(store: Store) -> None:
    """Known costs, a broken-off attempt and one that was under way at a kill: all are gone from the next session's."""
    budget = _stored_budget(store)
    settled, unknown, killed = (budget.reserve(question(number), Decimal("0.2")) for number in range(3))
    assert settled is not None
    assert unknown is not None
    assert killed is not None
    cost = Cost("0.05", "billed")
    reply = Reply(text="x", model="cloud/one", request_hash="h", cost=cost, usage=Usage(1, 1))
    _kept(store, question(0), reply).result()
    budget.settle(settled, cost).result()
    budget.settle(unknown, Cost()).result()
    killed.saved.result()
    resumed = _stored_budget(store)
    assert resumed.left_usd == Decimal("0.55")
    again = resumed.reserve(question(2), Decimal("0.2"))
    assert again is not None
    assert again.entry.attempt == 2
    again.saved.result()
    assert _stored_budget(store).left_usd == Decimal("0.35")


def test_what_was_settled_for_a_reply_that_a_kill_kept_from_the_store_is_spent(store: Store) -> None:
    """The account is committed before the reply: whoever dies in between has paid all the same."""
    budget = _stored_budget(store)
    lost, kept = (budget.reserve(question(number), Decimal("0.2")) for number in range(2))
    assert lost is not None
    assert kept is not None
    cost = Cost("0.15", "billed")
    budget.settle(lost, cost).result()
    budget.settle(kept, cost).result()
    _kept(store, question(1), Reply(text="x", model="cloud/one", cost=cost, usage=Usage(1, 1))).result()
    assert _stored_budget(store).left_usd == Decimal("0.7")


def test_what_a_session_without_a_budget_spent_counts_for_one_with(store: Store) -> None:
    """`--resume --max-cost 1` after a run without a cap: its replies and failed attempts tell their costs."""
    reply = Reply(text="x", model="cloud/one", request_hash="h", cost=Cost("0.6", "billed"), usage=Usage(1, 1))
    _kept(store, question(0), reply).result()
    replayed = Reply(text="x", model="cloud/one", request_hash="i", cost=Cost("0.9", "replayed"), usage=Usage(1, 1))
    _kept(store, question(1), replayed).result()
    cost = Cost("0.1", "priced")
    _kept_failure(store, question(2), FailedAttempt("cloud/one", "j", 1, "server", "no", "", "now", cost=cost))
    assert _stored_budget(store).left_usd == Decimal("0.3")


_KILLED = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from functools import partial
from pathlib import Path
from decimal import Decimal
from asked_models import Provider, questions, target
from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.local import LocalAsker
from pytest_llmbench.records import Price
from pytest_llmbench.store import Store

store = Store.open(Path({path!r}))

async def send(asked, on_headers, on_text):
    print(asked.id, flush=True)
    await asyncio.sleep(600)

budget = Budget(Caps(run=Decimal(1)), save=partial(store.order_spending, "run-1"), earlier=store.spent("run-1"))
asker = LocalAsker(Provider().means(send=send), budget=budget)
asker.get_all(questions(50, target(price=Price(input="0.0000001", output="0.0001")), max_tokens=900))
"""


def test_a_session_killed_with_requests_under_way_leaves_their_worst_case_reserved(
    store: Store, tmp_path: Path
) -> None:
    """kill -9, twice: every request that was sent is reserved, and all sessions together stay below the cap."""
    code = _KILLED.format(tests=str(Path(__file__).parent), path=str(tmp_path / "results.db"))
    sent: list[str] = []
    for expected in (11, 0):
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            sent += [child.stdout.readline().strip() for _ in range(expected)]
            if not expected:
                assert "OverBudgetError" in child.communicate(timeout=60)[1]
            child.kill()
    reserved = {row.question for row in store.spent("run-1").rows if row.state == "reserved"}
    assert len(set(sent)) == 11
    assert set(sent) <= reserved
    left = _stored_budget(store).left_usd
    assert left is not None
    assert Decimal(0) <= left < Decimal("0.1")


def test_costs_of_one_run_are_the_same_in_replies_and_in_the_account(store: Store) -> None:
    """A run with failures on a real database: settled rows add up to what replies and failed attempts tell."""
    told = Usage(prompt_tokens=10, completion_tokens=1)
    broken = WireError("broke off", category=Category.STREAM_TRUNCATED, status=200, usage=told)
    provider = Provider(
        latency_s=0.001, answer=lambda asked, attempt: broken if attempt == 1 and number_of(asked) % 3 == 0 else None
    )

    async def work() -> None:
        means = provider.means(keep=partial(_kept, store), keep_failed=partial(_kept_failure, store))
        dispatcher = Dispatcher(means, budget=_stored_budget(store))
        with suppress(OverBudgetError):
            await dispatcher.reply_all(questions(60, _dollars("0.00001"), max_tokens=500))
        await dispatcher.cancel()

    asyncio.run(work())
    store.submit(lambda _connection, ones: list(ones), None).result()
    spent = store.spent("run-1")
    settled = sum((Decimal(row.settled_usd) for row in spent.rows if row.settled_usd is not None), Decimal(0))
    assert settled == sum(spent.by_model.values())
    assert settled > 0
