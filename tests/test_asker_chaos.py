"""The asker under everything at once: random plans, demands, pauses, failures, cancellations and a cap."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest
from asked_models import Provider, number_of, question, refused, reply_to, resolved, target
from virtual_time import run_virtually

from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.plans import Group, Plan
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.asker.ticket import Ticket
from pytest_llmbench.errors import Category, LlmbenchError, WireError
from pytest_llmbench.records import Limits, Price, Reply

PRICE = Price(input="0.0000001", output="0.00002")
TARGETS = (
    target("cloud/one", price=PRICE),
    target("cloud/two", price=PRICE, limits=Limits(requests_per_minute=300)),
    target("other/three", price=PRICE, limits=Limits(concurrency=2)),
)
LONG = "the beginning that all of these have in common " * 100


class Chaos:
    """One dispatcher and a stream of random acts.

    Args:
        seed: of all that is random.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.charged = Decimal(0)
        self.under_way: set[str] = set()
        self.provider = Provider(latency_s=0.3, answer=self._answer)
        self.budget = Budget(Caps(run=Decimal(1)), save=resolved) if seed % 2 else None
        rules = Rules(max_concurrency=30, prefer="cost" if seed % 3 == 0 else "speed")
        self.dispatcher = Dispatcher(self.provider.means(send=self._send), rules, budget=self.budget)
        self.tickets: list[Ticket] = []
        self.groups: list[Group] = []
        self.plans: list[Plan] = []

    async def act(self) -> None:
        """One random act."""
        chance, dispatcher = self.chance, self.dispatcher
        match chance.choice(["plan", "demand", "demand", "demand_all", "end", "pause", "cancel", "wait", "wait"]):
            case "plan":
                self.plans.append(dispatcher.plan(self._questions(), chance.choice([None, 1, 5])))
            case "demand":
                self.tickets.append(dispatcher.demand(self._questions()[0]))
            case "demand_all":
                self.groups.append(dispatcher.demand_all(self._questions(), chance.choice([None, 1, 3])))
            case "end" if self.plans:
                self.plans.pop(chance.randrange(len(self.plans))).end()
            case "pause":
                await dispatcher.pause()
                await asyncio.sleep(chance.random())
                dispatcher.resume()
            case "cancel" if chance.random() < 0.2:
                await dispatcher.cancel()
            case _:
                await asyncio.sleep(chance.random() * 3)

    def _questions(self) -> list[Question]:
        first, count = self.chance.randrange(300), self.chance.randint(1, 40)
        return [
            question(number, TARGETS[number % 3], prompt=LONG if number % 5 == 0 else "", max_tokens=200)
            for number in range(first, first + count)
        ]

    async def _send(self, asked: Question, *told: object) -> Reply:
        assert asked.id not in self.under_way, "a question is asked twice at once"
        self.under_way.add(asked.id)
        try:
            return await self.provider.send(asked, *told)  # type: ignore[arg-type]
        finally:
            self.under_way.discard(asked.id)

    def _answer(self, asked: Question, _attempt: int) -> Reply | BaseException:
        fate, length = self.chance.random(), self.chance.randint(1, 200)
        if fate < 0.1:
            return refused(retry_after="1") if fate < 0.05 else refused()
        self.charged += length * Decimal(PRICE.output)
        if fate < 0.15:
            return WireError("broke off", category=Category.STREAM_TRUNCATED, status=200)
        return reply_to(asked, prompt_tokens=10, completion_tokens=length)


async def _over(each: Ticket | Group) -> None:
    over = asyncio.Event()
    each.on_done(lambda _: asyncio.get_running_loop().call_soon(over.set))
    await over.wait()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_everybody_gets_an_outcome_and_nothing_is_asked_twice_at_once(seed: int) -> None:
    """After 100 random acts all who wait are told, nothing is under way, counts are whole, the cap holds."""

    async def work() -> None:
        chaos = Chaos(seed)
        for _ in range(100):
            await chaos.act()
        async with asyncio.timeout(24 * 3600):
            for each in [*chaos.tickets, *chaos.groups]:
                await _over(each)
        for group in chaos.groups:
            chaos.dispatcher.release_all(group)
        for plan in chaos.plans:
            plan.end()
        await chaos.dispatcher.pause()
        assert not chaos.under_way
        for model in chaos.dispatcher.status().models:
            assert (model.in_flight, model.waiting) == (0, 0)
        for ticket in chaos.tickets:
            if ticket.error is None:
                assert ticket.result().text == f"answer {number_of(ticket.question)}"
            else:
                assert isinstance(ticket.error, LlmbenchError)
        if chaos.budget is not None:
            assert chaos.budget.left_usd is not None
            assert chaos.charged <= 1
            assert 0 <= chaos.budget.left_usd <= 1

    run_virtually(work)
