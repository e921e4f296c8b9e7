"""Numbers in a sentence."""

from __future__ import annotations

READING_TPS = 5.3
"""Silent reading in tokens per second: 238 words a minute (Brysbaert 2019, J. Memory and Language 109) at 0.75 words a
token."""


def seconds(value: float) -> str:
    """`216 ms`, `1.42 s`."""
    return f"{value * 1000:.3g} ms" if value < 1 else f"{value:.3g} s"


def figure(value: float) -> str:
    """`139`, `12.4`, `0.43`: three digits, and never a 0 for what is merely slow."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def against_reading(tps: float) -> str:
    """A speed in tokens per second beside that of a reader."""
    times = tps / READING_TPS
    if times >= 1.5:
        return f"{times:.0f}× faster than one reads" if times >= 2 else "a little faster than one reads"
    return "about as fast as one reads" if times >= 0.8 else "slower than one reads"
