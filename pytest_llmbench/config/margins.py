"""How much worse something may be than it was: `10%`, `3 points`, `0.02`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

EXAMPLES = '"10%", "3 points" (of a rate or score) or "0.02"'
_FORM = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>%|points?|)")


class MarginKind(StrEnum):
    """What a margin is a part of."""

    RELATIVE = "relative"
    """Of the value in the baseline."""
    POINTS = "points"
    """Hundredths of a rate or score."""
    ABSOLUTE = "absolute"
    """In the unit of the metric."""


@dataclass(frozen=True, slots=True)
class Margin:
    """How much worse something may be."""

    amount: float
    """0.1 for 10 %, 0.03 for 3 points; else in the metric's unit."""
    kind: MarginKind

    def __str__(self) -> str:
        if self.kind is MarginKind.RELATIVE:
            return f"{self.amount * 100:.6g} %"
        if self.kind is MarginKind.POINTS:
            return f"{self.amount * 100:.6g} point{'' if math.isclose(self.amount, 0.01) else 's'}"
        return f"{self.amount:.6g}"


def margin(told: str | float) -> Margin:
    """The margin that is meant.

    Args:
        told: `"10%"`, `"3 points"`, or a number in the metric's unit.

    Raises:
        ValueError: it is none.
    """
    found = None if isinstance(told, bool) else _FORM.fullmatch(str(told).strip())
    if found is None:
        raise ValueError(f"{told!r:.80} is no margin: write {EXAMPLES}")
    amount, unit = float(found["number"]), found["unit"]
    if unit == "%":
        return Margin(amount / 100, MarginKind.RELATIVE)
    return Margin(amount / 100, MarginKind.POINTS) if unit else Margin(amount, MarginKind.ABSOLUTE)
