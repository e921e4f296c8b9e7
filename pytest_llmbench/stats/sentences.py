"""Results read as sentences: what differs, by how much, how sure, of how many, and whether that is much."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_llmbench.stats.differences import Difference
from pytest_llmbench.stats.effects import Word
from pytest_llmbench.stats.ratios import Ratio

_MOST_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Beside:
    """What a sentence tells beside the figures."""

    one: str = "A"
    """What is compared with."""
    other: str = "B"
    """What the sentence is about."""
    paired: bool = True
    p_value: float | None = None
    """Instead of the finding's own, such as a corrected one."""
    correction: str = ""
    """By whom: `Holm`."""
    effect: Word | None = None
    """From `effects.word_of`."""


_PLAIN = Beside()


def difference_sentence(
    found: Difference, beside: Beside = _PLAIN, *, unit: str = "points", higher_is_better: bool = True
) -> str:
    """`B is 3.1 points better than A (95 %: 0.4 to 5.8; n = 200 paired; Holm p = 0.03; small effect)`.

    The interval is told in the direction of the sentence: of what is worse, how much worse.

    Args:
        found: other − one.
        beside: names, and what is known besides.
        unit: `points`: of a share, shown times 100; else the values' own, or "".
        higher_is_better: which direction is better.
    """
    scale = 100.0 if unit == "points" else 1.0
    words = ("better", "worse") if higher_is_better else ("worse", "better")
    return _sentence(found, beside, (scale * found.low, scale * found.high), _scaled(found.value, scale), unit, words)


def ratio_sentence(found: Ratio, beside: Beside = _PLAIN, *, more: str = "more", less: str = "less") -> str:
    """`B is 11.3 % slower than A (95 %: 6.6 to 12.1 %; n = 20 paired; Holm p = 0.0004)`.

    Args:
        found: other / one.
        beside: names, and what is known besides.
        more: what a ratio above 1 is called: `slower` of times.
        less: what one below 1 is called.
    """
    change = None if found.value is None else 100 * (found.value - 1)
    return _sentence(found, beside, (100 * (found.low - 1), 100 * (found.high - 1)), change, "%", (more, less))


def p_text(p_value: float) -> str:
    """`= 0.03`, `< 0.0001`: two digits."""
    return "< 0.0001" if p_value < 0.0001 else f"= {p_value:.2g}"


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale


def _sentence(  # noqa: PLR0917
    found: Difference | Ratio,
    beside: Beside,
    ends: tuple[float, float],
    value: float | None,
    unit: str,
    words: tuple[str, str],
) -> str:
    if value is None:
        return f"{beside.other} was not compared with {beside.one}: nothing was measured on both"
    digits = _digits(ends, value)
    size = " ".join(filter(None, (f"{abs(value):.{digits}f}", unit, words[value < 0])))
    told = f"{size} than {beside.one}" if value else f"neither {words[0]} nor {words[1]} than {beside.one}"
    p_value = found.p_value if beside.p_value is None else beside.p_value
    parts = [
        _interval((-ends[1], -ends[0]) if value < 0 else ends, digits, " %" if unit == "%" else ""),
        f"n = {found.n}{' paired' if beside.paired else ''}",
        f"{beside.correction} p {p_text(p_value)}".lstrip(),
        *([f"{beside.effect} effect"] if beside.effect else []),
    ]
    return f"{beside.other} is {told} ({'; '.join(parts)})"


def _interval(ends: tuple[float, float], digits: int, unit: str) -> str:
    if not all(map(math.isfinite, ends)):
        return "too few for an interval"
    low, high = (f"{end:.{digits}f}".replace("-", "−") for end in ends)
    return f"95 %: {low} to {high}{unit}"


def _digits(ends: tuple[float, float], value: float) -> int:
    """Decimals: two digits of half the interval's width, or of the value where there is none."""
    size = (ends[1] - ends[0]) / 2
    size = size if math.isfinite(size) and size else abs(value)
    return min(max(0, 1 - math.floor(math.log10(size))), _MOST_DIGITS) if size else 0
