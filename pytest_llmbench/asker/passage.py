"""How many requests may be under way in the seconds after refusals or an outage, until a model takes as many as before.

`limits.py` learns over minutes how much a model stands at once. Here it is about not burning requests on a model that
refuses or fails, and not falling over it all at once when it is well again:

- After a refusal for the rate no more are under way than were let through: who is answered makes room for the next.
- Where none is left under way one request tries, after 1, 2, 4 ... 30 s (between half of that and all of it).
- After a time that the provider named, and after an outage, it begins with what is still under way, or with one.
- Once the episode is over each request that is let through makes room for one more, which doubles it a round, up to the
  learned limit; and where that takes long, so does each 15 s.

A storm of refusals so costs one request in half a minute, and its end no burst: the next goes when one was let through.
It is TCP's way with a congested path (conservation of packets and slow start, Jacobson 1988).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_llmbench.asker.limits import COOLDOWN_S, LONGEST_HOLD_S

_BASE_S = 1.0
_LONGEST_S = 30.0


@dataclass(slots=True)
class Passage:
    """Of one model of one account. All times are seconds of the loop's clock.

    Args:
        jitter: draws a wait between two bounds.
    """

    jitter: Callable[[float, float], float]
    room: int | None = None
    """How many may be under way; None: as many as the limit says."""
    _calm_at: float = 0.0
    """From then on who is let through makes room for one more."""
    _widens_at: float = 0.0
    """When one more may go in any case."""
    _refused_alone: int = 0
    """In a row, while nothing else was under way."""
    _narrows: bool = False
    """Whether the next request is the first one after a time in which nothing began."""

    @property
    def is_blocked(self) -> bool:
        """Whether even one alone was refused last."""
        return self._refused_alone > 0

    def wait_s(self, in_flight: int, now: float) -> float:
        """How long the next request has to wait at most, while nobody else is let through; 0 where it may go."""
        full = self.room is not None and in_flight >= self.room
        return max(0.0, self._widens_at - now) if full else 0.0

    def begins(self, in_flight: int, now: float) -> None:
        """A request begins.

        Args:
            in_flight: how many are under way, this one included.
            now: seconds.
        """
        if self.room is None and not self._narrows:
            return
        if self._narrows or (self.room is not None and in_flight > self.room):
            self.room = in_flight
            self._widens_at = now + COOLDOWN_S
        self._narrows = False

    def passed(self, now: float, limit: int) -> bool:
        """A request was let through.

        Args:
            now: seconds.
            limit: how many may be under way once all is well.

        Returns:
            Whether there is room for another one now.
        """
        self._refused_alone = 0
        if self.room is None or now < self._calm_at:
            return False
        self.room = self.room + 1 if self.room + 1 < limit else None
        return True

    def refused(self, others: int, now: float, retry_after_s: float | None) -> float:
        """A request was refused for the rate.

        Args:
            others: how many are under way now.
            now: seconds.
            retry_after_s: how long the provider asks to stay away; None where it does not say.

        Returns:
            How long nothing should begin, in seconds, whatever the provider said.
        """
        room = max(1, others)
        self.room = room if self.room is None else min(self.room, room)
        self._narrows = self._narrows or bool(retry_after_s) or not others
        # Where the provider named a time there is no need to feel one's way.
        told_s = min(retry_after_s or COOLDOWN_S, LONGEST_HOLD_S)
        self._calm_at = self._widens_at = max(self._calm_at, now + told_s)
        if others:
            return 0.0
        longest_s = min(_LONGEST_S, _BASE_S * 2.0 ** min(self._refused_alone, 10))
        self._refused_alone += 1
        return self.jitter(longest_s / 2, longest_s)

    def restarts(self, now: float) -> None:
        """An outage is over: one at a time at first."""
        self.room, self._calm_at, self._widens_at, self._narrows = 1, now, now + COOLDOWN_S, False
