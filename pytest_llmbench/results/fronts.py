"""Pareto fronts: what nothing else beats in quality without costing more."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float | None, float | None]
"""(quality, which is better higher; price, which is better lower); None: not known."""


def front(points: Sequence[Point]) -> list[bool]:
    """Which points no other one dominates: at least as good for at most the same price, and one of the two better.

    Equal points are on the front together; one that is not known in full is on none.
    """
    known = [(quality, price) for quality, price in points if quality is not None and price is not None]
    return [
        quality is not None
        and price is not None
        and not any(
            better >= quality and cheaper <= price and (better > quality or cheaper < price)
            for better, cheaper in known
        )
        for quality, price in points
    ]


def shortfalls(points: Sequence[Point]) -> list[float | None]:
    """By how much the best point that costs no more is better: 0 on the front; None: not known."""
    known = [(quality, price) for quality, price in points if quality is not None and price is not None]
    return [
        None
        if quality is None or price is None
        else max(better for better, cheaper in known if cheaper <= price) - quality
        for quality, price in points
    ]
