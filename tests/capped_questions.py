"""Budgets, and questions that cost something to be asked under them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from decimal import Decimal
from typing import Any

from asked_models import resolved, target

from pytest_llmbench.asker.budget import Budget
from pytest_llmbench.asker.caps import Caps
from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.question import Question
from pytest_llmbench.records import Price, Reply, Target
from pytest_llmbench.store.spending import Spending

ONE = Caps(run=Decimal(1))


def budget_of(caps: Caps = ONE, *, save: Callable[[Spending], Future[Any]] = resolved) -> Budget:
    """What is left under these caps, where nothing was spent before."""
    return Budget(caps, save=save)


def dollars(usd: str) -> Target:
    """A model at so much a token of its answer."""
    return target(price=Price(input="0.0000001", output=usd))


async def outcomes_of(dispatcher: Dispatcher, asked: list[Question]) -> list[Reply | BaseException]:
    """What became of each question."""
    return await asyncio.gather(*map(dispatcher.reply, asked), return_exceptions=True)
