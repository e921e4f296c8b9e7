"""The dispatcher: what is asked when, once, in which order, and what becomes of it."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from asked_models import Provider, number_of, question, questions, refused, reply_to, resolved, target
from virtual_time import run_virtually

from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.errors import Category, InfraError, PendingError, UsageError
from pytest_llmbench.records import Cost, Limits, Reply


def test_two_who_want_the_same_question_share_one_call() -> None:
    """Single flight by the question's id, while it is under way and afterwards."""
    provider = Provider()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means())
        first, second = await asyncio.gather(dispatcher.reply(question(1)), dispatcher.reply(question(1)))
        assert first is second
        assert await dispatcher.reply(question(1)) is first

    run_virtually(work)
    assert provider.attempts == {1: 1}


def test_what_is_planned_is_asked_in_its_order_before_anybody_wants_it() -> None:
    """Asking ahead needs no `get`."""
    provider = Provider()

    async def work() -> None:
        Dispatcher(provider.means(), Rules(max_concurrency=2)).plan(questions(6))
        await asyncio.sleep(10)

    run_virtually(work)
    assert [number for _, number in provider.log] == list(range(6))


def test_a_window_is_never_exceeded_beyond_the_last_reply_that_was_fetched() -> None:
    """With a window of 3: 3 at first; fetching the fifth opens it behind that, and not before, where others are."""
    provider = Provider()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means())
        dispatcher.plan(questions(100), window=3)
        await asyncio.sleep(10)
        assert sorted(provider.attempts) == [0, 1, 2]
        await dispatcher.reply(question(4))
        await asyncio.sleep(10)

    run_virtually(work)
    assert sorted(provider.attempts) == [0, 1, 2, 4, 5, 6, 7]


def test_a_question_that_a_test_waits_for_goes_before_what_is_asked_ahead() -> None:
    """The last of a long plan is asked next once it is wanted."""
    provider = Provider()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), Rules(max_concurrency=1))
        dispatcher.plan(questions(50))
        await asyncio.sleep(0.1)
        await dispatcher.reply(question(49))

    run_virtually(work)
    assert [number for _, number in provider.log][:2] == [0, 49]


def test_a_plan_that_ends_drops_what_only_it_wanted() -> None:
    """What is under way is kept, what another wants is asked, the rest never is."""
    provider = Provider()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), Rules(max_concurrency=2))
        plan = dispatcher.plan(questions(10))
        other = dispatcher.plan([question(7)])
        await asyncio.sleep(0.1)
        plan.end()
        await asyncio.sleep(10)
        assert dispatcher.status().models[0].done == 3
        assert dispatcher.status().models[0].waiting == 0
        other.end()

    run_virtually(work)
    assert sorted(provider.attempts) == [0, 1, 7]


def test_what_nobody_wants_any_more_is_not_tried_again() -> None:
    """A plan that ended while its question was under way: one failed attempt, and no second that would cost."""
    provider = Provider(answer=lambda _asked, _attempt: refused(Category.SERVER, 500))

    async def work() -> None:
        dispatcher = Dispatcher(provider.means())
        plan = dispatcher.plan(questions(1))
        await asyncio.sleep(0.1)
        plan.end()
        await asyncio.sleep(600)
        assert dispatcher.status().models[0].waiting == 0

    run_virtually(work)
    assert provider.attempts == {0: 1}


def test_several_at_once_respect_their_own_concurrency() -> None:
    """`concurrency` bounds one call of `ask_all`, below the limit of the model."""
    provider = Provider()

    async def work() -> list[int]:
        replies = await Dispatcher(provider.means()).reply_all([*questions(20), question(3)], concurrency=4)
        return [int(reply.text.split()[1]) for reply in replies]

    assert run_virtually(work) == [*range(20), 3]
    assert provider.most_under_way == 4
    assert provider.attempts.total() == 20


def test_the_first_failure_of_several_drops_what_is_not_under_way_and_keeps_what_is() -> None:
    """A refused request ends `ask_all`; what was asked already, three after those that ended with it, is stored."""
    wrong = refused(Category.INVALID_REQUEST, 400)
    provider = Provider(answer=lambda asked, _attempt: wrong if number_of(asked) == 1 else None)

    async def work() -> None:
        dispatcher = Dispatcher(provider.means())
        with pytest.raises(InfraError) as caught:
            await dispatcher.reply_all(questions(20), concurrency=4)
        assert caught.value is wrong
        await asyncio.sleep(10)

    run_virtually(work)
    assert sorted(provider.attempts) == [0, 1, 2, 3, 4, 5, 6]
    assert sorted(map(number_of, provider.kept)) == [0, 2, 3, 4, 5, 6]


def test_pausing_waits_for_what_is_under_way_and_asks_nothing_ahead_until_it_ends() -> None:
    """Pauses are counted; what the pausing test itself asks for is served."""
    provider = Provider()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), Rules(max_concurrency=5))
        dispatcher.plan(questions(10))
        await asyncio.sleep(0.1)
        await dispatcher.pause()
        await dispatcher.pause()
        assert provider.under_way == 0
        assert dispatcher.status().paused
        assert (await dispatcher.reply(question(99))).text == "answer 99"
        dispatcher.resume()
        await asyncio.sleep(5)
        assert sorted(provider.attempts) == [0, 1, 2, 3, 4, 99]
        dispatcher.resume()
        await asyncio.sleep(5)

    run_virtually(work)
    assert len(provider.attempts) == 11


def test_cancelling_breaks_off_what_is_under_way_and_fails_all_that_waits() -> None:
    """A broken-off attempt is booked as one of unknown cost; its question may be asked anew."""
    provider = Provider()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), Rules(max_concurrency=2))
        dispatcher.plan(questions(10))
        waiting = asyncio.ensure_future(dispatcher.reply(question(9)))
        await asyncio.sleep(0.3)
        await dispatcher.cancel()
        with pytest.raises(InfraError) as caught:
            await waiting
        assert caught.value.category is Category.CANCELLED
        assert dispatcher.status().models[0].waiting == 0
        assert (await dispatcher.reply(question(5))).text == "answer 5"

    run_virtually(work)
    assert sorted(map(number_of, provider.kept)) == [0, 1, 5]
    assert [attempt.category for attempt in provider.failed] == ["cancelled", "cancelled"]
    assert all(attempt.cost.amount is None for attempt in provider.failed)


def test_stored_replies_are_handed_out_without_a_call() -> None:
    """On a resume `recall` comes first, for thousands as for one."""
    provider = Provider()

    async def work() -> None:
        dispatcher = Dispatcher(
            provider.means(recall=lambda asked: reply_to(asked) if number_of(asked) < 500 else None)
        )
        replies = await dispatcher.reply_all(questions(502))
        assert len(replies) == 502

    run_virtually(work)
    assert sorted(provider.attempts) == [500, 501]
    assert len(provider.kept) == 2


def test_a_question_that_lies_with_a_batch_api_is_pending_and_not_asked() -> None:
    """What `recall` raises is the question's outcome."""
    provider = Provider()

    def recall(_asked: object) -> Reply | None:
        raise PendingError("it lies with the batch API")

    async def work() -> None:
        with pytest.raises(PendingError):
            await Dispatcher(provider.means(recall=recall)).reply(question(1))

    run_virtually(work)
    assert not provider.attempts


def test_a_cassette_answers_and_a_miss_is_an_error_and_never_a_call() -> None:
    """Replayed replies are kept; what the cassette does not hold fails."""
    provider = Provider()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(replay=lambda asked: reply_to(asked) if number_of(asked) == 1 else None))
        assert (await dispatcher.reply(question(1))).text == "answer 1"
        with pytest.raises(InfraError) as caught:
            await dispatcher.reply(question(2))
        assert caught.value.category is Category.CASSETTE_MISS

    run_virtually(work)
    assert not provider.attempts
    assert len(provider.kept) == 1


def test_a_fault_of_our_own_in_sending_reaches_who_asked() -> None:
    """An exception that is none of ours ends the question instead of leaving its test waiting."""
    provider = Provider(answer=lambda _asked, _attempt: ZeroDivisionError("a bug"))

    async def work() -> None:
        with pytest.raises(ZeroDivisionError):
            await Dispatcher(provider.means()).reply(question(1))

    run_virtually(work)
    assert provider.attempts == {1: 1}


def test_a_reply_that_is_just_coming_in_is_taken_before_the_rest_is_cancelled() -> None:
    """It is paid for: whoever goes on later must not ask for it again. Nothing new begins meanwhile."""
    provider = Provider(latency_s=0.2)

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), Rules(max_concurrency=2))
        dispatcher.plan(questions(10))
        await asyncio.sleep(0.19)
        await dispatcher.cancel()

    run_virtually(work)
    assert [number_of(kept) for kept in provider.kept] == [0, 1]
    assert provider.attempts == {0: 1, 1: 1}


def test_a_fault_before_sending_reaches_who_asked_and_the_others_go_on() -> None:
    """What cannot be reckoned is an error of its question; nobody waits for ever."""
    provider = Provider()

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), budget=Budget(Caps(run=Decimal(1)), save=resolved))
        bad, good = question(1, extra={"n": "two"}), question(2)
        async with asyncio.timeout(60):
            with pytest.raises(ValueError, match="two"):
                await dispatcher.reply(bad)
            assert (await dispatcher.reply(good)).text == "answer 2"

    run_virtually(work)
    assert provider.attempts == {2: 1}


def test_a_stored_reply_is_handed_out_while_the_line_waits_for_its_minute() -> None:
    """On uvloop, too, whose timers are of another class."""
    uvloop = pytest.importorskip("uvloop")
    stored = reply_to(question(9))
    provider = Provider(latency_s=0.001)

    async def work() -> None:
        slow = target(limits=Limits(requests_per_minute=1))
        known = question(9, slow)
        recall = {known.id: stored}
        dispatcher = Dispatcher(provider.means(recall=lambda asked: recall.get(asked.id)))
        dispatcher.plan(questions(2, slow))
        await dispatcher.reply(question(0, slow))
        async with asyncio.timeout(20):
            assert await dispatcher.reply(known) == stored
        await dispatcher.cancel()
        dispatcher.close()

    for new_loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(work())


def test_a_request_that_cannot_be_sent_is_told_at_once() -> None:
    """A `UsageError` is no attempt: nothing is booked, nothing tried again."""
    provider = Provider(answer=lambda _asked, _attempt: UsageError("no such field"))

    async def work() -> None:
        with pytest.raises(UsageError, match="no such field"):
            await Dispatcher(provider.means()).reply(question(1))

    run_virtually(work)
    assert not provider.failed


def test_the_status_tells_costs_tokens_and_unknown_costs() -> None:
    """Costs are exact decimals; a call of unknown cost is counted apart, not as 0."""
    provider = Provider()
    costs = iter([Cost("0.1", "billed"), Cost("0.2", "priced"), Cost()])

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(cost=lambda _asked, _usage: next(costs)))
        await dispatcher.reply_all(questions(3))
        model = dispatcher.status().models[0]
        assert (model.model, model.done, model.cost_usd, model.unknown_costs) == ("cloud/one", 3, "0.3", 1)
        assert model.completion_tokens == 60
        assert dispatcher.status().elapsed_s == pytest.approx(0.2)

    run_virtually(work)


def test_models_do_not_wait_for_each_other_and_the_longest_line_goes_first_when_crowded() -> None:
    """Where all together are at the limit of one process, a free place goes to the model with the most left to do."""
    provider = Provider(latency_s=1.0)
    names = [f"cloud/{letter}" for letter in "abc"]
    wide = Rules(max_concurrency=200)
    long = target("cloud/long")

    async def work() -> float:
        dispatcher = Dispatcher(provider.means(), wide)
        for name in names:
            dispatcher.plan(questions(800, target(name)))
        await dispatcher.reply_all(questions(1800, long))
        return asyncio.get_running_loop().time()

    ended_s = run_virtually(work)
    assert provider.most_under_way == 256
    assert ended_s < 19  # 16.4 s and a slow start; 20 s where free places simply go round


def test_with_cost_before_speed_one_request_of_a_common_beginning_goes_first() -> None:
    """The others wait until it is answered, so that the provider's prompt cache serves them; short ones do not wait."""
    provider = Provider()
    preamble = "All of this is common to the requests. " * 200

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), Rules(prefer="cost"))
        long = [question(number, prompt=f"{preamble}{number}") for number in range(5)]
        await dispatcher.reply_all([*long, *[question(number) for number in range(10, 15)]])

    run_virtually(work)
    at = {number: when for when, number in provider.log}
    assert at[0] == 0.0
    assert [at[number] for number in range(1, 5)] == pytest.approx([0.2] * 4)
    assert [at[number] for number in range(10, 15)] == [0.0] * 5


def test_a_first_request_that_fails_lets_the_others_of_its_beginning_go() -> None:
    """Cost before speed never keeps requests back for good."""
    wrong = refused(Category.INVALID_REQUEST, 400)
    provider = Provider(answer=lambda asked, _attempt: wrong if number_of(asked) == 0 else None)
    prompt = "the same words " * 500

    async def work() -> None:
        dispatcher = Dispatcher(provider.means(), Rules(prefer="cost"))
        dispatcher.plan([question(number, prompt=prompt) for number in range(3)])
        assert (await dispatcher.reply(question(2, prompt=prompt))).text == "answer 2"

    run_virtually(work)
    assert provider.attempts == {0: 1, 1: 1, 2: 1}
