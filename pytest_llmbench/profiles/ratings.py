"""Numbers → words. The default table can be overridden under `ratings:` in llmbench.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_llmbench.metrics import METRICS, Direction
from pytest_llmbench.records import Measurement

BELOW_ALL = "poor"
"""The word for what keeps no limit."""

READING_TPS = 5.3
"""Silent reading in tokens per second: 238 words a minute (Brysbaert 2019, J. Memory and Language 109) at 0.75 words a
token."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row of a rating: the word for a value that keeps the limit."""

    limit: float
    word: str


DEFAULT_RATINGS: Mapping[str, tuple[Step, ...]] = {
    # Around 1 s and 10 s: flow of thought kept, attention lost (Nielsen 1993, Usability Engineering, ch. 5).
    "ttft_s": (Step(0.5, "excellent"), Step(1.0, "good"), Step(3.0, "usable"), Step(10.0, "slow")),
    # Multiples of reading speed: eight, four, two, one.
    "decode_tps": (Step(40, "excellent"), Step(20, "good"), Step(10, "usable"), Step(5, "slow")),
}
"""Metric → its steps, best first. Time to first token is judged at p95, decode speed at the median."""

_STATISTIC = {"ttft_s": "p95", "decode_tps": "p50"}


def rate(measurement: Measurement, overrides: Mapping[str, Sequence[Step]] | None = None) -> tuple[str, str]:
    """The worst word over the rated metrics, with the numbers behind it.

    Args:
        measurement: a finished measurement.
        overrides: metric → steps that replace the default ones.

    Returns:
        The word and a sentence; the word is empty where none of the rated metrics was measured.
    """
    ranked = [
        _ranked(measurement, metric, steps)
        for metric, steps in ({**DEFAULT_RATINGS, **(overrides or {})}).items()
        if measurement.series(metric)
    ]
    if not ranked:
        return "", "not rated: nothing it is rated by was measured"
    _, worst = max(ranked, key=lambda pair: pair[0])
    return worst, _sentence(measurement, worst)


def _ranked(measurement: Measurement, metric: str, steps: Sequence[Step]) -> tuple[int, str]:
    """How many steps are missed, and the word of the first that is kept."""
    value = getattr(measurement.series(metric), _STATISTIC.get(metric, "p50"))
    lower_is_better = METRICS[metric].direction is Direction.LOWER
    for missed, step in enumerate(steps):
        if value <= step.limit if lower_is_better else value >= step.limit:
            return missed, step.word
    return len(steps), BELOW_ALL


def _sentence(measurement: Measurement, word: str) -> str:
    ttft, decode = measurement.series("ttft_s"), measurement.series("decode_tps")
    parts = []
    if ttft:
        parts.append(f"an answer starts after {_seconds(ttft.p50)} (95 % within {_seconds(ttft.p95)}, n = {ttft.n})")
    if decode:
        parts.append(f"then runs at {decode.p50:.0f} tokens/s, {_against_reading(decode.p50)}")
    return f"{word}: {', '.join(parts)}"


def _seconds(value: float) -> str:
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def _against_reading(tps: float) -> str:
    times = tps / READING_TPS
    if times >= 1.5:
        return f"{times:.0f}× faster than one reads" if times >= 2 else "a little faster than one reads"
    return "about as fast as one reads" if times >= 0.8 else "slower than one reads"
