"""Tokens per second over wall-clock windows, from the stamps of every event: pauses between requests count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from pytest_llmbench.records import Repetition


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, and what was generated in it."""

    from_s: float
    to_s: float
    tokens: float

    @property
    def tps(self) -> float:
        return self.tokens / (self.to_s - self.from_s)

    @property
    def middle_s(self) -> float:
        return (self.from_s + self.to_s) / 2


def windows(done: Sequence[Repetition], window_s: float) -> list[Window]:
    """Whole windows from the first request to the last token; what is left over at the end is left out.

    Args:
        done: repetitions with `at_s`; those that failed told no tokens and are left out.
        window_s: length of a window.
    """
    done = [each for each in done if each.timing.ttft_s is not None]
    if not done:
        return []
    begun_s = min(each.at_s or 0.0 for each in done)
    arrivals = sorted(arrival for each in done for arrival in _arrivals(each))
    ended_s = max((at_s for at_s, _ in arrivals), default=begun_s)
    count = int((ended_s - begun_s) / window_s + 1e-9)
    tokens = [0.0] * count
    for at_s, weight in arrivals:
        if (place := int((at_s - begun_s) / window_s)) < count:
            tokens[place] += weight
    return [Window(begun_s + i * window_s, begun_s + (i + 1) * window_s, tokens[i]) for i in range(count)]


def overall_tps(found: Sequence[Window]) -> float:
    """Tokens of all windows / their time."""
    return sum(window.tokens for window in found) / sum(window.to_s - window.from_s for window in found)


def _arrivals(each: Repetition) -> Iterator[tuple[float, float]]:
    """(when, tokens) of each event with generated text; the server's token count is spread evenly over the events."""
    timing, tokens = each.timing, each.usage.completion_tokens
    if timing.ttft_s is None or not tokens:
        return
    first_s = (each.at_s or 0.0) + (timing.written_s or 0.0) + timing.ttft_s
    stamps: Iterable[float] = accumulate(timing.gaps_s, initial=first_s)
    weight = tokens / (1 + len(timing.gaps_s))
    for at_s in stamps:
        yield at_s, weight
