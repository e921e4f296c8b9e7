"""A against B, pair by pair, until the verdict is certain or the time is up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pytest_llmbench import clock
from pytest_llmbench.ab.rule import Progress, Rule, progress
from pytest_llmbench.ab.side import Side
from pytest_llmbench.metrics import METRICS, Direction

_RETAKEN_SHARE = 0.125
_RETAKEN_AT_LEAST = 1
"""Of pairs: a machine that is never quiet is measured as it is, with its marks."""


@dataclass
class Match:
    """Two sides, and what is known of them so far."""

    a: Side
    b: Side
    rule: Rule
    remarks: Sequence[str] = ()
    """What is to be told beside what was measured."""
    limit_s: float = math.inf
    """Time for this process's share of it; a pair that would not end within it is not begun."""
    say: Callable[[str], None] = field(default=lambda _text: None)
    fixed: bool = False
    """Whether all pairs are wanted, whatever the first ones say."""
    retaken: int = 0

    def run(self) -> Progress:
        """Measure until it is certain, all pairs are made, or the time is up; what is stored already counts.

        Raises:
            InfraError: a server failed.
        """
        self._drop_halves()
        begun_at, begun_with = clock.monotonic(), len(self.pairs)
        while True:
            have = len(self.pairs)
            spent_s = clock.monotonic() - begun_at
            each_s = spent_s / (have - begun_with + self.retaken) if have - begun_with + self.retaken else 0.0
            over = spent_s + each_s > self.limit_s or self._is_finished
            now = self._progress(over=over)
            if over or now.wanted <= have:
                return now
            self._pair(have + 1)
            self.say(f"pair {have + 1}{self._what_for(now)}")

    @property
    def pairs(self) -> list[int]:
        """The pairs that are whole."""
        return sorted(self.a.pairs() & self.b.pairs())

    def worse(self) -> dict[str, list[float]]:
        """As `rule.Worse`; a metric that is missing in a block is left out."""
        found = {metric: self.ratios(metric) for metric in self.rule.margins}
        return {metric: ratios for metric, ratios in found.items() if ratios is not None}

    def ratios(self, metric: str) -> list[float] | None:
        """Of each pair, the logarithm of by how much B was worse; None where it is not known of all."""
        both = self.levels(metric)
        if both is None:
            return None
        sign = 1 if METRICS[metric].direction is Direction.LOWER else -1
        return [sign * math.log(b / a) for a, b in both]

    def levels(self, metric: str) -> list[tuple[float, float]] | None:
        """The medians of both blocks of each pair; None where one is not known, or not above 0."""
        pairs = self.pairs
        both = list(zip(self.a.medians(metric, pairs), self.b.medians(metric, pairs), strict=True))
        known = [(a, b) for a, b in both if a is not None and b is not None and a > 0 and b > 0]
        return known if len(known) == len(both) else None

    def dirty(self) -> list[str]:
        """Why pairs are not to be trusted, of each that others disturbed."""
        return [why for pair in self.pairs if (why := self.a.dirt(pair) or self.b.dirt(pair))]

    def notes(self) -> list[str]:
        """What a reader must know of how it was measured."""
        dirty, pairs = self.dirty(), len(self.pairs)
        again = "1 pair was" if self.retaken == 1 else f"{self.retaken} pairs were"
        notes = [f"{again} taken again because others used the machine"] if self.retaken else []
        if dirty:
            notes.append(f"{len(dirty)} of {pairs} pairs were measured while others used the machine ({dirty[0]})")
        if not self.a.restarts or not self.b.restarts:
            notes.append("a server that is not ours is not started again for each block: its blocks share its luck")
        return [*notes, *self.remarks]

    @property
    def _is_finished(self) -> bool:
        return self.a.is_finished or self.b.is_finished  # killed between the two: the verdict was there

    def _progress(self, *, over: bool) -> Progress:
        have = len(self.pairs)
        if self.fixed and not over:
            return Progress(self.rule.most_pairs, "") if have < self.rule.most_pairs else Progress(have, "")
        return progress(self.worse(), self.rule, over=over) if have or over else Progress(min(self.rule.looks), "")

    def _pair(self, number: int) -> None:
        """Both blocks, in the order A B, B A, A B, ...: a drift of the machine weighs on both alike."""
        while True:
            for place, side in enumerate(self._order(number), 1):
                side.block(number, place)
            why = self.a.dirt(number) or self.b.dirt(number)
            if not why or self.retaken >= max(_RETAKEN_AT_LEAST, _RETAKEN_SHARE * number):
                return
            self.retaken += 1
            self.say(f"pair {number} is taken again: {why}")
            self._set_aside([number])

    def _order(self, number: int) -> Sequence[Side]:
        return (self.a, self.b) if number % 2 else (self.b, self.a)

    def _drop_halves(self) -> None:
        """Of an interrupted match, a pair whose halves are not both there: its two blocks belong together in time."""
        self._set_aside(sorted((self.a.begun_pairs() | self.b.begun_pairs()) - set(self.pairs)))

    def _set_aside(self, pairs: Sequence[int]) -> None:
        for pair in pairs:
            self.a.set_aside(pair)
            self.b.set_aside(pair)

    def _what_for(self, now: Progress) -> str:
        return f" of {now.wanted}{', to confirm' if now.confirming else ''}"
