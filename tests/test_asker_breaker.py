"""The circuit breaker: when a model is left alone, who tries it, what becomes of those who wait; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from asked_models import Provider, number_of, question, questions, refused, target
from noted import Noted
from virtual_time import run_virtually

from pytest_llmbench import config
from pytest_llmbench.asker import messages
from pytest_llmbench.asker.breaker import FAILURES, PAYLOADS, Breaker, State
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.gate import Gate
from pytest_llmbench.asker.lanes import Lane, lane_key
from pytest_llmbench.asker.opening import _rules
from pytest_llmbench.asker.payloads import Payloads
from pytest_llmbench.asker.question import Question, Status
from pytest_llmbench.asker.retry import History
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.asker.second_tries import SecondTries
from pytest_llmbench.asker.ticket import State as Where
from pytest_llmbench.asker.ticket import Ticket
from pytest_llmbench.errors import Category, InfraError, LlmbenchError, WireError
from pytest_llmbench.observe.calls import Kind
from pytest_llmbench.records import LaneState, Reply

Down = Callable[[float, Question], bool]
SLOW = Rules(max_concurrency=10)


class Flapping(Provider):
    """Fails while it is down.

    Args:
        down: (seconds, question) → whether it fails now.
        error: how.
    """

    def __init__(self, down: Down, error: WireError | None = None, *, latency_s: float = 0.2) -> None:
        super().__init__(latency_s=latency_s)
        self.down = down
        self.error = error or refused(Category.SERVER, 500)
        self.failed_at: list[float] = []

    async def send(self, asked: Question, *told: Any) -> Reply:
        now = asyncio.get_running_loop().time()
        failing = self.down(now, asked)
        if failing:
            self.failed_at.append(now)
            fresh = WireError(
                self.error.message,
                category=self.error.category,
                status=self.error.status,
                headers=self.error.headers,
            )
            self.answer = lambda asked, _: fresh if self.down(now, asked) else None
        else:
            self.answer = None
        return await super().send(asked, *told)


def _outcomes(
    provider: Provider, asked: list[Question], rules: Rules | None = None, **means: Any
) -> tuple[list[Reply | BaseException], float, Status]:
    async def work() -> tuple[list[Reply | BaseException], float, Status]:
        dispatcher = Dispatcher(provider.means(**means), rules or SLOW)
        outcomes = await asyncio.gather(*map(dispatcher.reply, asked), return_exceptions=True)
        dispatcher.close()
        return outcomes, asyncio.get_running_loop().time(), dispatcher.status()

    return run_virtually(work)


def test_in_an_outage_one_question_at_a_time_tries_and_all_are_answered_afterwards() -> None:
    """It opens, tries once in a while, closes at the first answer, and begins low: no question is lost."""
    provider, noted = Flapping(lambda now, _: 3 <= now < 63), Noted()
    outcomes, ended_s, status = _outcomes(provider, questions(1500), observer=noted)
    assert all(isinstance(each, Reply) for each in outcomes)
    probes = [at for at in provider.failed_at if at > 4]
    assert 3 <= len(probes) <= 8
    assert all(later - earlier > 2 for earlier, later in pairwise(probes))
    assert noted.count(Kind.BREAKER_HALF_OPEN) == len(probes) + 1
    assert [note.kind for note in noted.told][-2:] == [Kind.BREAKER_HALF_OPEN, Kind.BREAKER_CLOSED]
    assert (status.models[0].breaker, status.models[0].broken) == ("closed", len(provider.failed_at))
    assert ended_s < 63 + 60 + 60


def test_after_an_outage_the_model_is_asked_by_one_then_by_two_then_by_four() -> None:
    """Who waited does not fall over it all at once."""
    provider = Flapping(lambda now, _: 2 <= now < 40)
    _outcomes(provider, questions(800))
    closed_at = min(at for at, _ in provider.log if at > 40) + 0.2
    rounds = [
        sum(closed_at + n * 0.2 <= at + 1e-6 < closed_at + n * 0.2 + 0.2 for at, _ in provider.log) for n in range(4)
    ]
    assert rounds[0] <= 2
    assert all(later <= 2 * earlier + 1 for earlier, later in pairwise(rounds))


def test_a_flapping_server_opens_it_each_time_and_nobody_is_given_up() -> None:
    """Twenty seconds well, twenty seconds ill, again and again: failures of outages use up no attempts."""
    provider, noted, told = Flapping(lambda now, _: now % 40 >= 20, latency_s=1.0), Noted(), list[LaneState]()
    outcomes, _, _ = _outcomes(
        provider, questions(1200), Rules(attempts=3, max_concurrency=10), observer=noted, lane_states=told.extend
    )
    assert all(isinstance(each, Reply) for each in outcomes)
    assert told[-1].opened == noted.count(Kind.BREAKER_CLOSED) >= 2
    assert noted.count(Kind.BREAKER_HALF_OPEN) == noted.count(Kind.BREAKER_OPENED)


def test_one_poisoned_request_never_opens_it_however_many_tests_ask_it() -> None:
    """Forty tests that ask the same: the model answers all others, and is not to blame."""
    one = target()
    poison = [Question(one, question(1).request, f"test_{number}", "the hash of it") for number in range(100, 140)]
    provider = Provider(answer=lambda asked, _: refused(Category.SERVER, 500) if number_of(asked) >= 100 else None)
    outcomes, _, status = _outcomes(provider, [*poison, *questions(60)])
    assert sum(isinstance(each, Reply) for each in outcomes) == 60
    assert status.models[0].breaker == "closed"
    assert status.models[0].held_s == 0


def test_a_request_that_always_fails_stops_after_three_and_leaves_other_models_alone() -> None:
    """A deterministic 500: three requests, and no breaker opens anywhere."""
    noted, two = Noted(), target("cloud/two")
    provider = Provider(answer=lambda asked, _: refused(Category.SERVER, 500) if number_of(asked) == 7 else None)
    asked = [*questions(50), *[question(number, two) for number in range(100, 150)]]
    outcomes, ended_s, status = _outcomes(provider, asked, Rules(attempts=50), observer=noted)
    assert provider.attempts[7] == 3
    assert sum(isinstance(each, Reply) for each in outcomes) == 99
    assert [model.breaker for model in status.models] == ["closed", "closed"]
    assert not noted.told
    assert ended_s < 10


def test_a_request_that_fails_on_two_models_is_at_fault_and_a_third_is_asked_once() -> None:
    """What was asked is blamed, and counts against no model any more."""
    models = [target(f"cloud/{name}") for name in ("one", "two", "three")]
    asked = [[question(number, model) for number in range(30)] for model in models]
    provider = Provider(answer=lambda each, _: refused(Category.SERVER, 500) if number_of(each) == 0 else None)
    calls: dict[str, int] = {}

    async def work() -> list[BaseException | Reply]:
        dispatcher = Dispatcher(provider.means())
        outcomes: list[BaseException | Reply] = []
        for model, each in zip(models, asked, strict=True):
            before = provider.attempts[0]
            outcomes += (await asyncio.gather(*map(dispatcher.reply, each), return_exceptions=True))[:1]
            calls[model.name] = provider.attempts[0] - before
        return outcomes

    first, second, third = run_virtually(work)
    assert calls == {"cloud/one": 3, "cloud/two": 3, "cloud/three": 1}
    assert isinstance(first, InfraError)
    assert not first.blamed
    assert isinstance(second, InfraError)
    assert isinstance(third, InfraError)
    assert second.blamed
    assert third.blamed
    assert "fails alike on cloud/one and cloud/two" in str(third)


@pytest.mark.parametrize("category", [Category.NETWORK_REFUSED, Category.NETWORK_DNS, Category.SERVER])
def test_a_model_that_never_answered_is_given_up_in_seconds(category: Category) -> None:
    """A wrong address: a thousand questions fail together, after the tries that one would have had."""
    provider = Flapping(lambda *_: True, WireError("nobody listens", category=category))
    outcomes, ended_s, _ = _outcomes(provider, questions(1000))
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
    outcomes, _, _ = _outcomes(provider, questions(100))
    assert all(isinstance(each, Reply) for each in outcomes)
    assert not [at for at, _ in provider.log if 1 < at < 40]


def test_failures_that_opened_it_use_up_no_attempts() -> None:
    """With two attempts allowed, a question that failed twice in an outage is answered after it."""
    provider = Flapping(lambda now, _: 1 <= now < 30)
    outcomes, _, _ = _outcomes(provider, questions(300), Rules(attempts=2, max_concurrency=10))
    assert all(isinstance(each, Reply) for each in outcomes)


@pytest.mark.parametrize("category", [Category.RATE_LIMITED, Category.INVALID_REQUEST, Category.AUTH])
def test_refusals_never_open_it(category: Category) -> None:
    """429 and 4xx are words of a server that works."""
    noted = Noted()
    provider = Provider(answer=lambda asked, n: refused(category, 400) if n < 3 and number_of(asked) % 3 else None)
    _outcomes(provider, questions(90), observer=noted)
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

    outcomes, _, _ = _outcomes(provider, questions(400), lane_states=tell)
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


def _trials(count: int) -> list[Question]:
    """The same asked several times on behalf of one test."""
    asked = question(500)
    return [Question(asked.target, asked.request, asked.test_key, "one hash", ordinal=n) for n in range(count)]


def test_one_hiccup_that_hits_all_trials_of_a_sample_ends_none_of_them() -> None:
    """Each trial counts its own failures: five resets at once are not five in a row."""
    reset = WireError("connection reset", category=Category.NETWORK_RESET)
    provider = Provider(answer=lambda asked, n: reset if number_of(asked) == 500 and n <= 5 else None)
    outcomes, _, _ = _outcomes(provider, [*_trials(5), *questions(40)], Rules(max_concurrency=50))
    assert all(isinstance(each, Reply) for each in outcomes)
    assert provider.attempts[500] == 10


def test_a_request_that_always_fails_stops_after_three_in_each_of_its_trials() -> None:
    """The other trials of a poisoned request are no others that fail, too."""
    provider = Provider(answer=lambda asked, _: refused(Category.SERVER, 500) if number_of(asked) == 500 else None)
    _outcomes(provider, [*_trials(5), *questions(8)], Rules(attempts=20, max_concurrency=50))
    assert provider.attempts[500] == 3 * 5


def test_the_blame_for_a_request_is_taken_back_where_it_is_answered() -> None:
    """Two targets failed alike, then one of them answered: what was asked is not at fault."""
    payloads, asked = Payloads(), [question(1, target(f"cloud/{name}")) for name in ("one", "two")]
    for each in asked:
        payloads.blame(each)
    assert payloads.culprit(asked[0]) == ("cloud/one", "cloud/two")
    payloads.answered(asked[1])
    assert payloads.culprit(asked[0]) == ()


def test_a_question_that_was_never_sent_is_not_one_of_the_others_that_fail() -> None:
    """Its failures are told under its id where it was never sent, else under the hash of its request."""
    breaker = _breaker()
    _fail(breaker, 1, 1.0, "its id")
    _fail(breaker, 2, 1.0, "its hash")
    assert breaker.is_ill_without(("its hash",), 1.0)
    assert not breaker.is_ill_without(("its hash", "its id"), 1.0)


def _ill_lane(looked: list[Lane]) -> Lane:
    one, breaker = target(), _breaker()
    for number in range(1, FAILURES + 1):
        _fail(breaker, number, 0.0)
    return Lane(one, Gate(one.limits, 10, lambda _, high: high), breaker, looked.append)


def _failed(number: int, times: int = 1) -> Ticket:
    ticket = Ticket(question(number))
    ticket.tries, ticket.history = times, History(failures=times)
    return ticket


def test_of_the_line_of_an_ill_model_one_waits_for_a_token_and_the_others_where_they_stood() -> None:
    """They would all jump the queue; where the one is dropped another one may take its place."""

    async def work() -> None:
        looked: list[Lane] = []
        lane, again = _ill_lane(looked), list[Ticket]()
        tries = SecondTries(Rules(), Provider().means(), lambda ticket, _: again.append(ticket))
        while tries.budget.take(0.0):
            pass
        first, *others = [_failed(number) for number in range(4)]
        assert not any(tries.may_go(each, lane) for each in (first, *others))
        assert first.state is Where.RESTING
        assert all(each.state is Where.WAITING for each in others)
        first.state = Where.DROPPED
        await asyncio.sleep(2)
        assert looked == [lane]
        assert tries.may_go(others[0], lane)
        tries.close()

    run_virtually(work)


def test_an_ill_model_is_tried_by_who_never_failed_else_by_who_has_a_token() -> None:
    """And the line is looked through no further than to the first who never failed."""
    lane = _ill_lane([])
    often, paid, fresh, last = _failed(1, 1), _failed(2, 3), Ticket(question(3)), Ticket(question(4))
    paid.is_paid = True
    for each in (often, paid, fresh, last):
        lane.add(each)
    del last.history  # whoever looks at it fails
    assert lane.next() is fresh
    last.history = None
    assert [lane.next() for _ in range(3)] == [last, paid, often]


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


def _breaker() -> Breaker:
    breaker = Breaker("cloud/one", attempts=5, patience_s=300, jitter=lambda _, high: high)
    breaker.lives(0, 0.0)
    return breaker


def _fail(breaker: Breaker, number: int, now: float, payload: str = "") -> bool:
    return breaker.fails(number, payload or f"p{number}", refused(Category.SERVER, 500), None, now)


def test_it_takes_ten_failures_of_five_requests_among_twenty_attempts() -> None:
    """Nine do not, nor ten among twenty-one, nor ten of four requests, nor old ones."""
    breaker = _breaker()
    assert not any(_fail(breaker, number, 1.0) for number in range(1, FAILURES))
    assert _fail(breaker, 99, 1.0)
    breaker = _breaker()
    outcomes = [breaker.lives(number, 1.0) if number % 2 else _fail(breaker, number, 1.0) for number in range(1, 20)]
    assert not any(outcomes)
    breaker = _breaker()
    assert not any(_fail(breaker, number, 1.0, f"p{number % (PAYLOADS - 1)}") for number in range(1, 100))
    breaker = _breaker()
    assert not any(_fail(breaker, number, number * 70.0) for number in range(1, 100))


def test_waits_double_up_to_a_minute_and_one_request_alone_tries() -> None:
    """5, 10, 20, 40, 60, 60 s; while one tries nobody else may, and only its end counts."""
    breaker = _breaker()
    for number in range(1, FAILURES + 1):
        _fail(breaker, number, 1.0)
    now, waits = 1.0, []
    for probe in range(100, 105):
        waits.append(breaker.wait_s(now))
        now += waits[-1]
        assert breaker.begins(probe)
        assert breaker.state is State.HALF_OPEN
        assert breaker.wait_s(now) == float("inf")
        assert not breaker.begins(probe + 1000)
        assert not breaker.lives(50, now)
        assert not _fail(breaker, 51, now)
        assert _fail(breaker, probe, now)
    assert waits == [5, 10, 20, 40, 60]
    now += breaker.wait_s(now)
    breaker.begins(200)
    assert breaker.lives(200, now)
    assert breaker.closed
    assert not _fail(breaker, 52, now)


def test_lanes_are_told_apart_by_provider_address_account_and_model() -> None:
    """What one key may not, or one address cannot, says nothing about another."""
    assert len({lane_key(target("a/x")), lane_key(target("b/x")), lane_key(target("a/x", account="k"))}) == 3


def test_what_the_user_chooses_reaches_the_asker(tmp_path: Path) -> None:
    """`--llmbench-retry-budget`, `--llmbench-outage-patience-s`."""
    rules = _rules(config.resolve({"retry_budget": "0.5", "outage_patience_s": "10"}, {}, {}, tmp_path))
    assert (rules.retry_budget, rules.outage_patience_s) == (0.5, 10.0)
    usual = _rules(config.resolve({}, {}, {}, tmp_path))
    assert (usual.retry_budget, usual.outage_patience_s) == (Rules().retry_budget, Rules().outage_patience_s)
