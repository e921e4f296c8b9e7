"""What the circuit breaker counts, and whom of an ill model's line it lets try; step by step."""

from __future__ import annotations

import asyncio

from asked_models import Provider, question, refused, target
from virtual_time import run_virtually

from pytest_llmbench.asker.breaker import FAILURES, PAYLOADS, Breaker, State
from pytest_llmbench.asker.gate import Gate
from pytest_llmbench.asker.lanes import Lane, lane_key
from pytest_llmbench.asker.retry import History
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.asker.second_tries import SecondTries
from pytest_llmbench.asker.ticket import State as Where
from pytest_llmbench.asker.ticket import Ticket
from pytest_llmbench.errors import Category


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


def test_lanes_are_told_apart_by_provider_address_account_and_model() -> None:
    """What one key may not, or one address cannot, says nothing about another."""
    assert len({lane_key(target("a/x")), lane_key(target("b/x")), lane_key(target("a/x", account="k"))}) == 3
