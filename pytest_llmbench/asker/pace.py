"""Requests and tokens a minute: what an account may, as it was declared, and as responses tell."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pytest_llmbench.asker.limits import LONGEST_HOLD_S
from pytest_llmbench.asker.rate_headers import Left

MINUTE_S = 60.0


@dataclass(slots=True)
class PerMinute:
    """At most `most` within any 60 s, however the provider's minute begins.

    As fast as may be at first, instead of evenly: a provider's window, a sliding one or a bucket that fills up again
    all allow that. An amount that alone is more than a minute allows waits for an empty minute.
    """

    most: float
    _taken: deque[tuple[float, float]] = field(default_factory=deque)
    _sum: float = 0.0

    def wait_s(self, amount: float, now: float) -> float:
        """How long `amount` has to wait; 0 where it may go now."""
        while self._taken and self._taken[0][0] <= now - MINUTE_S:
            self._sum -= self._taken.popleft()[1]
        excess = self._sum + amount - self.most
        if excess <= 0 or not self._taken:
            return 0.0
        for at, taken in self._taken:
            excess -= taken
            if excess <= 0:
                return at + MINUTE_S - now
        return self._taken[-1][0] + MINUTE_S - now

    def take(self, amount: float, now: float) -> None:
        """It goes now."""
        self._taken.append((now, amount))
        self._sum += amount

    def correct(self, more: float, now: float) -> None:
        """Something took `more` than was thought of before; less than thought is not given back: some providers count
        what was asked for."""
        if more > 0:
            self.take(more, now)


@dataclass(slots=True)
class Allowance:
    """What the last response said was left of a limit, less what was begun since."""

    _left: float | None = None
    _told_at: float = 0.0
    _until: float = 0.0
    _refill_per_s: float = 0.0
    _told_by: int = -1
    """Which request's response told it."""

    def told(self, request: int, left: Left, now: float, begun_since: float) -> None:
        """A response told.

        Args:
            request: its number, counted from the first; an older request's word does not count against a newer one's.
            left: what it said.
            now: seconds.
            begun_since: what was begun after that request.
        """
        if request >= self._told_by:
            self._told_by = request
            self._left = left.remaining - begun_since
            self._told_at, self._until = now, now + left.reset_s
            self._refill_per_s = left.refill_per_s

    def wait_s(self, amount: float, now: float) -> float:
        """How long `amount` has to wait; 0 where it may go now."""
        if self._left is None or now >= self._until:
            return 0.0
        missing = amount - self._left - (now - self._told_at) * self._refill_per_s
        if missing <= 0:
            return 0.0
        wait_s = self._until - now
        if self._refill_per_s:
            wait_s = min(wait_s, missing / self._refill_per_s)
        return min(wait_s, LONGEST_HOLD_S)

    def take(self, amount: float) -> None:
        """It goes now."""
        if self._left is not None:
            self._left -= amount
