"""How many requests may be under way at once to one model of one account, learned from how it answers.

Slow start from 20: each answer that found the limit used up adds one, which doubles it a round. A refusal for the rate
(429) cuts it once by a fifth, whatever else is refused in the same episode; from then on it grows by a twentieth a
round, by a quarter of one request at least. A refusal of the only request that was under way does not cut it: that one
alone was not too many at once. Failures of the server (5xx) let it grow no more for a while, and never cut it. What is
under way in the seconds after a refusal or an outage is bounded by `passage.py` besides. All times are seconds of one
monotonic clock, given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass

START = 20
"""Requests at once, before anything is known."""

COOLDOWN_S = 15.0
"""How long an episode of refusals lasts at least: one cut, no growth."""

LONGEST_HOLD_S = 300.0
"""The longest time for which a provider's word alone holds everything up."""

SATURATED = 0.8
"""From this share of the limit on it counts as used up."""

_CUT = 0.8
_GROWTH = 0.05


@dataclass(slots=True)
class AdaptiveLimit:
    """The limit, and until when nothing may begin."""

    most: int
    """Never more than this, whatever is learned."""
    level: float = START
    held_until: float = 0.0
    """Before then nothing may begin."""
    cuts: int = 0
    """How often it was cut."""
    _slow_start: bool = True
    _cut_at: float | None = None
    _episode_ends_at: float = 0.0
    _calm_at: float = 0.0
    """From then on it may grow."""

    @property
    def now(self) -> int:
        """How many may be under way at once."""
        return max(1, min(int(self.level), self.most))

    def succeeded(self, now: float) -> None:
        """A first attempt was answered during which the limit was used up; others say nothing about it.

        Args:
            now: seconds.
        """
        if now >= self._calm_at and self.level < self.most:
            self.level = min(self.most, self.level + (1.0 if self._slow_start else max(_GROWTH, 0.25 / self.level)))

    def refused(self, began_at: float, now: float, retry_after_s: float | None, *, alone: bool = False) -> None:
        """A request was refused for the rate.

        Args:
            began_at: when that request was sent.
            now: seconds.
            retry_after_s: how long the provider asks to stay away; None where it does not say.
            alone: whether nothing else was under way when it was sent.
        """
        self.hold(now, retry_after_s or 0.0)
        if alone:
            self._calm_at = max(self._calm_at, now + COOLDOWN_S)
            return
        sent_before_the_cut = self._cut_at is not None and began_at <= self._cut_at
        if now < self._episode_ends_at or sent_before_the_cut:
            return
        self._slow_start = False
        self._cut_at = now
        self._episode_ends_at = max(now + COOLDOWN_S, self.held_until)
        self._calm_at = max(self._calm_at, self._episode_ends_at)
        self.level = max(1.0, min(self.now * _CUT, self.now - 1))
        self.cuts += 1

    def server_failed(self, now: float, retry_after_s: float | None = None) -> None:
        """The server failed: it is not asked for more for a while, nor for less."""
        self._calm_at = max(self._calm_at, now + COOLDOWN_S)
        self.hold(now, retry_after_s or 0.0)

    def hold(self, now: float, seconds: float) -> None:
        """Begin nothing for so long; what was said before is not shortened."""
        self.held_until = max(self.held_until, now + min(seconds, LONGEST_HOLD_S))
