"""How long each part of an exchange may take, and the timer that holds to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, WireError

_LATE_FOR = {
    Category.TIMEOUT_CONNECT: "no connection",
    Category.TIMEOUT_TTFT: "no generated token",
    Category.TIMEOUT_IDLE: "nothing more of the answer",
    Category.TIMEOUT_TOTAL: "not finished",
}


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each part of an exchange may take, in seconds."""

    connect_s: float
    ttft_s: float
    """Request written → first generated token (streams only)."""
    idle_s: float
    """The longest silence once the answer has begun."""
    total_s: float
    """The whole exchange, connecting included."""


class Watch:
    """The deadline in force: that of the present phase, or the total where it is nearer.

    `timer` is to be entered around the exchange. A phase that begins anew with each event only moves a number: the one
    timer looks at it when it fires, so that nothing is rescheduled while a stream runs.
    """

    def __init__(self, deadlines: Deadlines, *, streamed: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._total_s = deadlines.total_s
        self._limits_s = {
            Category.TIMEOUT_CONNECT: deadlines.connect_s,
            Category.TIMEOUT_TTFT: deadlines.ttft_s if streamed else deadlines.total_s,
            Category.TIMEOUT_IDLE: deadlines.idle_s,
        }
        self._started_at = self._phase_began_at = clock.monotonic()
        self._phase = Category.TIMEOUT_CONNECT
        self._firing: asyncio.TimerHandle | None = None
        self.timer = asyncio.timeout(None)

    def enter(self, phase: Category) -> None:
        """Begin `phase`, one of `timeout.connect`, `.ttft` and `.idle`, now."""
        self._phase, self._phase_began_at = phase, clock.monotonic()
        self._arm()

    def moved(self, at: float) -> None:
        """The answer has begun or gone on, at a reading of `clock.monotonic`: from there `idle_s` counts."""
        if self._phase is Category.TIMEOUT_IDLE:
            self._phase_began_at = at
        else:
            self.enter(Category.TIMEOUT_IDLE)

    def stop(self) -> None:
        """No deadline any more."""
        if self._firing is not None:
            self._firing.cancel()

    def error(self, shown: str) -> WireError:
        """What the deadline that passed is called."""
        phase, _ = self._nearest()
        limit_s = self._limits_s.get(phase, self._total_s)
        option = phase.value.removeprefix("timeout.")
        return WireError(
            f"{shown}: {_LATE_FOR[phase]} within {limit_s:g} s",
            category=phase,
            hint=f"raise it with --llmbench-{option}-timeout-s if the model is only slow",
        )

    def _nearest(self) -> tuple[Category, float]:
        """The deadline in force and when it ends."""
        phase_ends_at = self._phase_began_at + self._limits_s[self._phase]
        total_ends_at = self._started_at + self._total_s
        if phase_ends_at < total_ends_at:
            return self._phase, phase_ends_at
        return Category.TIMEOUT_TOTAL, total_ends_at

    def _arm(self) -> None:
        self.stop()
        left_s = self._nearest()[1] - clock.monotonic()
        self._firing = self._loop.call_later(max(0.0, left_s), self._fire)

    def _fire(self) -> None:
        if self._nearest()[1] > clock.monotonic():
            self._arm()
        else:
            self.timer.reschedule(self._loop.time())
