"""The passes of a batch: how long each was at work, what slots bring, whether it grew slower on the way."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_llmbench import stats
from pytest_llmbench.profiles.over_time import Drift, drift
from pytest_llmbench.records import Measurement, Repetition


@dataclass(frozen=True, slots=True)
class Level:
    """One pass over the documents."""

    slots: int
    done: tuple[Repetition, ...]
    """In the order in which they were begun."""
    busy_s: float
    """How long at least one document was being worked on: pauses of ours, and of an interruption, are no part of it."""
    drift: Drift

    @property
    def times_s(self) -> list[float]:
        return [each.metrics["e2e_s"] for each in self.done]

    @property
    def per_hour(self) -> float:
        return 3600 * len(self.done) / self.busy_s

    @property
    def called(self) -> str:
        """`one after another`, `with 4 slots`."""
        return "one after another" if self.slots == 1 else f"with {self.slots} slots"


@dataclass(frozen=True, slots=True)
class Speedup:
    """Documents an hour of one pass as a multiple of another's, with its 95 % interval."""

    times: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        return self.low > 1


def levels(measurement: Measurement) -> list[Level]:
    """The passes that were made, in the order of their slots."""
    by_slots: dict[int, list[Repetition]] = {}
    for each in measurement.counted:
        if "e2e_s" in each.metrics and each.at_s is not None:
            by_slots.setdefault(int(each.labels["slots"]), []).append(each)
    alpha = 0.05 / max(len(by_slots), 1)
    return [_level(slots, by_slots[slots], alpha) for slots in sorted(by_slots)]


def speedup(reference: Level, level: Level) -> Speedup:
    """The ratio of their documents an hour, document against document.

    Documents differ more than passes do, so each is compared with itself: a ratio of paired sums, its interval by the
    usual linearization (Cochran, Sampling Techniques, 3rd ed., section 6.4) with Student's t. How many were under way
    at once is taken as it was. The interval covers what differs between documents, not between starts of a server.
    """
    times = level.per_hour / reference.per_hour
    if level is reference:
        return Speedup(times, times, times)
    others = {each.labels["place"]: each.metrics["e2e_s"] for each in level.done}
    both = [(r.metrics["e2e_s"], others[r.labels["place"]]) for r in reference.done if r.labels["place"] in others]
    if not both:
        return Speedup(times, -math.inf, math.inf)
    mean = statistics.fmean(b for _, b in both)
    ratio = statistics.fmean(a for a, _ in both) / mean
    spread = stats.mean_interval([(a - ratio * b) / mean for a, b in both])
    return Speedup(times, times * (1 + spread.low / ratio), times * (1 + spread.high / ratio))


def against_its_size(done: Sequence[Repetition]) -> list[float]:
    """Each document's time / what its tokens cost at the pass's median speeds: 1 is as usual.

    A long document takes long, which says nothing about the machine. Plain seconds where tokens were not told.
    """
    reading = [
        r.metrics["ttft_s"] / r.usage.prompt_tokens for r in done if r.usage.prompt_tokens and "ttft_s" in r.metrics
    ]
    writing = [r.metrics["tpot_s"] for r in done if "tpot_s" in r.metrics]
    if len(reading) < len(done) or len(writing) < len(done):
        return [r.metrics["e2e_s"] for r in done]
    a_token, a_written = statistics.median(reading), statistics.median(writing)
    return [
        r.metrics["e2e_s"]
        / ((r.usage.prompt_tokens or 0) * a_token + ((r.usage.completion_tokens or 1) - 1) * a_written)
        for r in done
    ]


def _level(slots: int, timed: Iterable[Repetition], alpha: float) -> Level:
    done = tuple(sorted(timed, key=lambda r: (part_of(r), r.at_s or 0.0)))
    offsets = offsets_of(done)
    at_s = [offsets[part_of(r)] + (r.at_s or 0.0) for r in done]
    busy_s = _covered((at, at + r.metrics["e2e_s"]) for at, r in zip(at_s, done, strict=True))
    return Level(slots, done, busy_s, drift(*_waves(at_s, against_its_size(done), busy_s / len(done)), alpha))


def _waves(at_s: Sequence[float], values: Sequence[float], apart_s: float) -> tuple[list[float], list[float]]:
    """Documents that were begun together, as one value: they shared the machine, and which was first means nothing."""
    groups: list[list[tuple[float, float]]] = []
    for at, value in zip(at_s, values, strict=True):
        if not groups or at - groups[-1][-1][0] > apart_s / 10:
            groups.append([])
        groups[-1].append((at, value))
    return [statistics.median(at for at, _ in each) for each in groups], [
        statistics.median(value for _, value in each) for each in groups
    ]


def part_of(repetition: Repetition) -> int:
    """Which uninterrupted part of the measurement it belongs to, from 1 on."""
    return int(repetition.labels.get("part", 1))


def offsets_of(done: Sequence[Repetition]) -> dict[int, float]:
    """Part → what to add to its times, so that each begins where the one before it ended."""
    offsets, end_s = {}, 0.0
    for part in sorted({part_of(r) for r in done}):
        mine = [r for r in done if part_of(r) == part]
        offsets[part] = end_s - min(r.at_s or 0.0 for r in mine)
        end_s = max(offsets[part] + (r.at_s or 0.0) + r.metrics["e2e_s"] for r in mine)
    return offsets


def _covered(stretches: Iterable[tuple[float, float]]) -> float:
    """How much time lies in at least one of them."""
    total, reached = 0.0, -math.inf
    for begin, end in sorted(stretches):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
