"""A model that fails now and then, and what becomes of questions to it; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from asked_models import Provider, refused
from virtual_time import run_virtually

from pytest_llmbench.asker.dispatcher import Dispatcher
from pytest_llmbench.asker.question import Question, Status
from pytest_llmbench.asker.rules import Rules
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.records import Reply

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


def outcomes_of(
    provider: Provider, asked: list[Question], rules: Rules | None = None, **means: Any
) -> tuple[list[Reply | BaseException], float, Status]:
    """What became of them, at what time the last one ended, and how the asker stood then."""

    async def work() -> tuple[list[Reply | BaseException], float, Status]:
        dispatcher = Dispatcher(provider.means(**means), rules or SLOW)
        outcomes = await asyncio.gather(*map(dispatcher.reply, asked), return_exceptions=True)
        dispatcher.close()
        return outcomes, asyncio.get_running_loop().time(), dispatcher.status()

    return run_virtually(work)
