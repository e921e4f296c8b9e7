"""What a difference of speed is worth: was it the model, or was the machine in another mood?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from pytest_llmbench.anchor import TOLERANCE, anchor_shift
from pytest_llmbench.records import Measurement
from pytest_llmbench.results.comparability import MOST_DIRTY
from pytest_llmbench.results.criteria import paired
from pytest_llmbench.stats.log_ratios import log_ratio

CPU = "cpu_s_per_token"
_FEWEST = 3
"""Requests of which the CPU time is known on both sides, from which it can tell."""
_AGREES = 0.5
"""The share of a difference by the clock that CPU time has to show, too."""


@dataclass(frozen=True, slots=True)
class Mood:
    """What a measurement tells of the machine that it was taken on."""

    model: str
    anchor_s: float | None
    """How long a fixed piece of work took; None: it was not timed."""
    asked: int
    dirty: int
    """Requests, and those of them that others disturbed."""
    cpu_times: Mapping[Hashable, float]
    """Request → CPU time of the server's processes for each of its tokens."""
    threads: object
    on_card: bool
    """Whether CPU time says little of its speed."""


def mood(measurement: Measurement) -> Mood:
    """Read once of a measurement, however many it is compared with."""
    asked, subject = measurement.asked, measurement.settings.get("subject") or {}
    return Mood(
        model=measurement.model,
        anchor_s=measurement.scalars.get("anchor_s"),
        asked=len(asked),
        dirty=sum(bool(each.dirty) for each in asked),
        cpu_times={each.index: each.metrics[CPU] for each in asked if each.metrics.get(CPU)},
        threads=subject.get("threads"),
        on_card=bool(subject.get("gpu_layers")),
    )


def unlike(before: Mood, after: Mood) -> str:
    """Why the speeds of two measurements cannot be held against each other; empty where they can.

    Requests that others disturbed are no obstacle where CPU time can tell.
    """
    was, now = before.anchor_s, after.anchor_s
    if was and now and abs(shift := anchor_shift(now, was)) > TOLERANCE:
        return f"between the two the machine itself became {abs(shift):.0%} {'slower' if shift > 0 else 'faster'}"
    if before.dirty <= MOST_DIRTY * before.asked and after.dirty <= MOST_DIRTY * after.asked:
        return ""
    for each in () if _cpu_pairs(before, after) else (before, after):
        if each.dirty > MOST_DIRTY * each.asked:
            return f"others used the machine during {each.dirty:,} of {each.asked:,} requests to {each.model}"
    return ""


def contradicted(change: float, before: Mood, after: Mood, least: float) -> str:
    """Why a difference by the clock is none, going by the server's CPU time, which neighbours hardly touch.

    Args:
        change: logarithm of by how much `after` is slower.
        before: the one measurement.
        after: the other.
        least: the share by which CPU times of the same thing differ here.

    Returns:
        Empty where CPU time says the same, or cannot tell: on a graphics card, with other threads, not metered.
    """
    pairs = _cpu_pairs(before, after)
    if not pairs:
        return ""
    ratio = log_ratio(*zip(*pairs, strict=True))
    assert ratio.value is not None
    same_way = math.log(ratio.value) * math.copysign(1.0, change)
    if same_way > max(math.log1p(least), _AGREES * abs(change)):
        return ""
    return (
        f"by the clock it is {_word(change)}, and the server's CPU time a token differs by {ratio.value - 1:+.0%}, "
        "which does not explain it: the machine was in another mood"
    )


def _word(change: float) -> str:
    return f"{math.expm1(abs(change)):.0%} {'slower' if change > 0 else 'faster'}"


def _cpu_pairs(before: Mood, after: Mood) -> list[tuple[float, float]]:
    """CPU times of the same requests; empty where they cannot tell."""
    if before.on_card or after.on_card or before.threads != after.threads:
        return []
    found = paired(before.cpu_times, after.cpu_times)
    return found if len(found) >= _FEWEST else []
