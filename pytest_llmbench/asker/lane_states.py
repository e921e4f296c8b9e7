"""Tells those who look on how the lines stand: what has changed, at most once a second, and once at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from pytest_llmbench import clock
from pytest_llmbench.asker.lanes import Lane
from pytest_llmbench.asker.retry_budget import RetryBudget
from pytest_llmbench.records import LaneState

EVERY_S = 1.0


class LaneStates:
    """Belongs to the loop's thread.

    Args:
        tell: told the states; None: nobody looks on.
        budget: of which they tell what is left.
    """

    def __init__(self, tell: Callable[[Sequence[LaneState]], None] | None, budget: RetryBudget) -> None:
        self._tell = tell
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self._changed: dict[int, Lane] = {}
        self._timer: asyncio.TimerHandle | None = None

    def changed(self, lane: Lane) -> None:
        """Something began or ended there."""
        if self._tell is None:
            return
        self._changed[id(lane)] = lane
        if self._timer is None:
            self._timer = self._loop.call_later(EVERY_S, self._say)

    def close(self) -> None:
        """Tell the last word."""
        if self._timer is not None:
            self._timer.cancel()
            self._say()

    def _say(self) -> None:
        self._timer = None
        changed, self._changed = self._changed, {}
        if self._tell is not None:
            now, at = self._loop.time(), clock.now()
            self._tell([lane.state(now, at, self._budget.left(now)) for lane in changed.values()])
