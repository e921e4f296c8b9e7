"""Measurements of the long profiles made by hand: a machine of known speed, noise and drift."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Measurement, MonitorSample, Repetition, Timing, Usage

OUTPUT_TOKENS = 50
READ_S, WRITE_S = 0.004, 0.02
"""Of a token, on the machine as it is at first."""

Pace = Callable[[float], float]
"""Share of the measurement that is over → how many times as long everything takes."""


def steady(_: float) -> float:
    return 1.0


def slower_by(share: float) -> Pace:
    """Grows evenly by `share`, around a mean of 1."""
    return lambda over: 1 + share * (over - 0.5)


def measurement(
    profile: str, repetitions: Sequence[Repetition], settings: Mapping[str, Any], **more: Any
) -> Measurement:
    units = {name: metric.unit for name, metric in METRICS.items()}
    return Measurement("m", "k", "model", profile, settings, "host", tuple(repetitions), units=units, **more)


def document(index: int, at_s: float, prompt_tokens: int, pace: float, **labels: Any) -> Repetition:
    """One document, as long as its tokens take at this pace."""
    ttft_s, tpot_s = prompt_tokens * READ_S * pace, WRITE_S * pace
    e2e_s = ttft_s + (OUTPUT_TOKENS - 1) * tpot_s
    metrics = {"ttft_s": ttft_s, "tpot_s": tpot_s, "e2e_s": e2e_s}
    return Repetition(
        index,
        0,
        "",
        metrics,
        usage=Usage(prompt_tokens, OUTPUT_TOKENS),
        labels={"document": labels["place"], "part": 1, **labels},
        at_s=at_s,
    )


def one_after_another(
    sizes: Sequence[int], pace: Pace = steady, *, noise: float = 0.0, seed: int = 0, begin_s: float = 0.0, part: int = 1
) -> Iterator[Repetition]:
    """A pass with one slot."""
    chance, at_s = random.Random(seed), begin_s
    for place, size in enumerate(sizes):
        taken = pace(place / (len(sizes) - 1)) * (1 + chance.gauss(0, noise))
        each = document(place, at_s, size, taken, slots=1, place=place, part=part)
        at_s += each.metrics["e2e_s"]
        yield each


def in_parallel(
    sizes: Sequence[int], slots: int, gain: float, *, noise: float = 0.0, seed: int = 1, begin_s: float = 0.0
) -> Iterator[Repetition]:
    """A pass with several slots, on a machine that gets `gain` times as much done with all of them busy."""
    chance, free = random.Random(seed), [begin_s] * slots
    for place, size in enumerate(sizes):
        free.sort()
        taken = slots / gain * (1 + chance.gauss(0, noise))
        each = document(1000 + place, free[0], size, taken, slots=slots, place=place)
        free[0] += each.metrics["e2e_s"]
        yield each


def batch_of(repetitions: Sequence[Repetition], **more: Any) -> Measurement:
    slots = sorted({int(each.labels["slots"]) for each in repetitions})
    return measurement("batch", repetitions, {"slots": slots, "output_tokens": OUTPUT_TOKENS}, **more)


def varied_sizes(count: int, seed: int = 3) -> list[int]:
    """Tokens of documents, from notes to reports."""
    return [random.Random(seed + number).randrange(80, 900) for number in range(count)]


def generating(
    seconds: float, tps: Callable[[float], float], *, noise: float = 0.0, seed: int = 0
) -> Iterator[Repetition]:
    """Requests of 40 tokens without a pause, at a speed that depends on the second."""
    chance, at_s, index = random.Random(seed), 0.0, 0
    while at_s < seconds:
        stamps, now_s = [], at_s
        for _ in range(40):
            now_s += 1 / (tps(now_s) * max(0.2, 1 + chance.gauss(0, noise)))
            stamps.append(now_s)
        gaps = tuple(after - before for before, after in itertools.pairwise(stamps))
        timing = Timing(ttft_s=stamps[0] - at_s, gaps_s=gaps, written_s=0.0, e2e_s=now_s - at_s)
        yield Repetition(index, 0, "", {"e2e_s": now_s - at_s}, timing=timing, usage=Usage(10, 40), at_s=at_s)
        at_s, index = now_s, index + 1


def stress_of(repetitions: Sequence[Repetition], seconds: float, window_s: float = 1.0, **more: Any) -> Measurement:
    settings = {"seconds": seconds, "window_s": window_s, "output_tokens": 40}
    return measurement("stress", repetitions, settings, **more)


def sampled(seconds: int, **readings: Callable[[float], float]) -> tuple[MonitorSample, ...]:
    """A sample a second, each reading a function of time."""
    return tuple(
        MonitorSample(float(at_s), {name: value(float(at_s)) for name, value in readings.items()})
        for at_s in range(seconds)
    )
